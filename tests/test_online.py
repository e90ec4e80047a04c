"""Steps through narrow layers have ways of their own, of one sample, a few or a block of them: the general one's bits.

Weights of one make the same steps the general way.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse

import mlpc

LOSSES = [
    ("binary_cross_entropy", 1, None),
    ("binary_cross_entropy", 3, None),
    ("categorical_cross_entropy", 4, None),
    ("squared_error", 1, "sigmoid"),
    ("squared_error", 2, "gelu"),
    ("poisson", 2, None),
    ("huber", 1, None),
    ("quantile", 2, "tanh"),
    ("squared_error", 1, "gelu"),
    ("half_squared_error", 1, "mish"),
    ("absolute_error", 1, "elu"),
    ("log_cosh", 1, "tanh"),
    ("quantile", 1, "silu"),
    ("poisson", 1, None),
]


def data(loss, n_in, n_out, rng, n=70):
    X = rng.standard_normal((n, n_in))
    y = rng.integers(0, n_out, n) if loss == "categorical_cross_entropy" else rng.integers(0, 2, (n, n_out)) * 1.0
    return X, y


def assert_same(left, right):
    np.testing.assert_array_equal(left.parameters, right.parameters)
    np.testing.assert_array_equal(left.history.loss, right.history.loss)
    np.testing.assert_array_equal(left.history.learning_rate, right.history.learning_rate)
    assert (left.step, left.epoch, left.history.stop_reason) == (right.step, right.epoch, right.history.stop_reason)


def test_a_softmax_of_one_output():
    X = np.random.default_rng(0).normal(size=(9, 3))
    net = mlpc.Network([3, 4, 1], loss="categorical_cross_entropy", optimizer=mlpc.SGD(0.1), seed=0)
    before = net.parameters.copy()
    net.fit(X, np.zeros(9, int), epochs=2, batch_size=1)
    assert net.history.loss.tolist() == [0, 0]
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "n_out", "output"), LOSSES)
@pytest.mark.parametrize("hidden", [(), (3,), (12, 7), (1,)])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "mish"])
def test_the_same_bits_as_in_general(dtype, loss, n_out, output, hidden, activation):
    rng = np.random.default_rng(0)
    settings = {"loss": loss, "output_activation": output, "dtype": dtype, "seed": 1}
    X, y = data(loss, 40, n_out, rng)
    for bias, classic in ((True, False), (False, False), (True, True)):
        optimizer = mlpc.SGD(0.01, classic=classic)
        own, general = (
            mlpc.Network([40, *hidden, n_out], hidden_activation=activation, bias=bias, optimizer=optimizer, **settings)
            for _ in range(2)
        )
        before = own.parameters.copy()
        own.fit(X, y, epochs=2, batch_size=1)
        general.fit(X, y, epochs=2, batch_size=1, sample_weight=np.ones(70))
        assert not np.array_equal(own.parameters, before)
        assert_same(own, general)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_units_are_dropped_in_steps_on_few_samples(batch_size):
    X, y = data("huber", 4, 1, np.random.default_rng(0))
    settings = {"loss": "huber", "dropout": 0.5, "optimizer": mlpc.SGD(0.1), "seed": 1}
    own, general = (mlpc.Network([4, 6, 1], **settings) for _ in range(2))
    own.fit(X, y, epochs=2, batch_size=batch_size)
    general.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=np.ones(70))
    assert_same(own, general)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "n_out", "output"), LOSSES)
@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 11, 16, 33, None])
def test_the_same_bits_of_a_block(dtype, loss, n_out, output, batch_size):
    rng = np.random.default_rng(0)
    optimizers = [mlpc.Adam(0.01), mlpc.SGD(0.01, momentum=0.9, nesterov=True), mlpc.AdamW(0.01, clip_norm=0.1)]
    for hidden, activation, optimizer in zip([(), (3,), (11, 7)], ["relu", "mish", "tanh"], optimizers, strict=True):
        X, y = data(loss, 2 + len(hidden) * 5, n_out, rng)
        own, general = (
            mlpc.Network(
                [X.shape[1], *hidden, n_out],
                loss=loss,
                hidden_activation=activation,
                output_activation=output,
                bias=activation != "tanh",
                l2=0.01,
                optimizer=optimizer,
                dtype=dtype,
                seed=1,
            )
            for _ in range(2)
        )
        for shuffle in (True, False):
            own.fit(X, y, epochs=2, batch_size=batch_size, shuffle=shuffle)
            general.fit(X, y, epochs=2, batch_size=batch_size, shuffle=shuffle, sample_weight=np.ones(70))
            assert_same(own, general)


@pytest.mark.parametrize("schedule", [None, mlpc.StepDecay(1), mlpc.CosineDecay(3), mlpc.OneCycle(3), lambda e: 0.5**e])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_schedules_and_orders(schedule, reduction):
    rng = np.random.default_rng(0)
    X, y = data("binary_cross_entropy", 2, 1, rng, n=1500)
    for shuffle in (True, False):
        own, general = (
            mlpc.Network(
                [2, 3, 1],
                loss="binary_cross_entropy",
                reduction=reduction,
                optimizer=mlpc.SGD(0.1, schedule=schedule),
                seed=2,
            )
            for _ in range(2)
        )
        own.fit(X.astype(np.float16), y, epochs=3, batch_size=1, shuffle=shuffle)
        general.fit(
            X.astype(np.float16), y, epochs=3, batch_size=1, shuffle=shuffle, sample_weight=np.ones(len(X), dtype=int)
        )
        assert_same(own, general)


def test_divergence_is_found_at_the_same_step():
    rng = np.random.default_rng(0)
    X, y = data("squared_error", 4, 2, rng, n=700)
    X[600] *= 1e200
    messages = []
    for weight in (None, np.ones(700)):
        net = mlpc.Network([4, 3, 2], loss="squared_error", optimizer=mlpc.SGD(0.01), seed=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            net.fit(X, y, epochs=2, batch_size=1, shuffle=False, sample_weight=weight)
        messages.append(str(caught[0].message))
        assert net.step == 0
    assert messages[0] == messages[1]
    assert "step 6" in messages[0]


def test_partial_fit_goes_on_where_fit_stopped():
    rng = np.random.default_rng(0)
    X, y = data("binary_cross_entropy", 2, 1, rng)
    one, many = (mlpc.Network([2, 3, 1], loss="binary_cross_entropy", optimizer="sgd", seed=0) for _ in range(2))
    one.partial_fit(X, y, batch_size=1)
    for i in range(len(X)):
        many.partial_fit(X[i : i + 1], y[i : i + 1])
    np.testing.assert_array_equal(one.parameters, many.parameters)
    assert one.step == many.step == 70


@pytest.mark.parametrize("batch_size", [1, 5])
def test_sparse_rows(batch_size):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 30)) * (rng.random((600, 30)) < 0.1)
    y = rng.integers(0, 3, 600)
    nets = [mlpc.Network([30, 5, 3], loss="categorical_cross_entropy", optimizer="sgd", seed=0) for _ in range(2)]
    for net, rows in zip(nets, (X, scipy.sparse.csr_array(X)), strict=True):
        net.fit(rows, y, epochs=2, batch_size=batch_size)
    assert_same(*nets)
