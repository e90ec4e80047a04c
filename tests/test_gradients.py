"""Every derivative against the NumPy twin, central finite differences, and a step worked by hand."""

import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import assert_close, make_data
from reference import ACTIVATIONS, CANONICAL, LOSSES, REGRESSION, Twin

import mlpc
from mlpc import _core

PAIRS = [(loss, output) for loss in REGRESSION for output in ACTIVATIONS]
PAIRS += [(loss, own) for loss, (own, *_) in CANONICAL.items()]
WIDTHS = (1, 2, 3, 5, 17, 31, 33, 63, 65)
LOSS_OBJECTS = {"huber": (mlpc.Huber(0.7), (0.7,)), "quantile": (mlpc.Quantile(0.3), (0.3,))}


def build(rng, sizes, hidden, loss, output, *, reduction, penalties, bias, dtype="float64"):
    """The same network twice, with the same random parameters."""
    l1, l2 = (0.02, 0.3) if penalties else (0.0, 0.0)
    loss_argument, loss_parameters = LOSS_OBJECTS.get(loss, (loss, ()))
    net = mlpc.Network(
        sizes,
        loss=loss_argument,
        hidden_activation=hidden,
        output_activation=output,
        reduction=reduction,
        l1=l1,
        l2=l2,
        bias=bias,
        dtype=dtype,
        seed=0,
    )
    twin = Twin(sizes, hidden, loss, output, loss_parameters, reduction, l1, l2, bias)
    vector = rng.normal(size=net.n_parameters)
    for weight in twin.unpack(vector)[0]:
        weight *= 1.5 / math.sqrt(len(weight))
    net.parameters = vector
    return net, twin, net.parameters.astype(np.float64)


def random_case(rng, loss, output, hidden, index, dtype="float64"):
    """Shapes and options that differ from case to case and cover all of them together."""
    depth = int(rng.integers(0, 3))
    sizes = [int(width) for width in rng.choice(WIDTHS, depth + 2)]
    if loss == "categorical_cross_entropy":
        sizes[-1] = max(2, sizes[-1])
    names = [hidden, *(str(name) for name in rng.choice(list(ACTIVATIONS), max(depth - 1, 0)))][:depth]
    reduction = ("mean", "sum", "penalized_mean")[index % 3]
    net, twin, vector = build(
        rng,
        sizes,
        names,
        loss,
        output,
        reduction=reduction,
        penalties=bool(index // 2 % 2),
        bias=index % 5 != 4,
        dtype=dtype,
    )
    n = int(rng.choice((1, 2, 7, 31, 100, 300)))
    X, y = make_data(rng, n, sizes[0], sizes[-1], loss)
    weight = rng.random(n) * (rng.random(n) < 0.8) + 1e-3 if index // 4 % 2 else None
    return net, twin, vector, X, y, weight


def test_the_twin_knows_every_activation_and_loss():
    assert set(_core.ACTIVATIONS) == set(ACTIVATIONS)
    assert dict(_core.LOSSES) == LOSSES


@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_twin(loss, output):
    rng = np.random.default_rng([len(loss), len(output), sum(map(ord, loss + output))])
    for index, (hidden, _) in enumerate(itertools.product(ACTIVATIONS, range(2))):
        net, twin, vector, X, y, weight = random_case(rng, loss, output, hidden, index)
        expected = twin.evaluate(vector, X, y, weight)
        objective, gradient = net.objective_and_gradient(X, y, sample_weight=weight)
        assert objective == pytest.approx(expected.objective, rel=1e-11, abs=1e-13)
        assert_close(gradient, expected.gradient)
        assert_close(net.input_gradient(X, y, sample_weight=weight), expected.input_gradient)
        assert_close(net.predict_proba(X), expected.A[-1], 1e-11)
        weighted = expected.sample_losses * (1 if weight is None else weight)
        assert_close(net.sample_losses(X, y, sample_weight=weight), weighted, 1e-10)
        assert net.objective(X, y, sample_weight=weight) == objective
        assert net.gradient(X, y, sample_weight=weight).tobytes() == gradient.tobytes()


@pytest.mark.parametrize(("sizes", "n"), [([2500, 40, 2600, 3], 300), ([5, 30, 4500], 1100)], ids=str)
def test_wide_layers_and_long_batches(sizes, n):
    """Products longer than a panel is deep, in all three directions; batches of several blocks and chunks."""
    rng = np.random.default_rng(8)
    net, twin, vector = build(
        rng, sizes, "tanh", "squared_error", "identity", reduction="mean", penalties=True, bias=True
    )
    X, y = make_data(rng, n, sizes[0], sizes[-1], "squared_error")
    expected = twin.evaluate(vector, X, y, None)
    objective, gradient = net.objective_and_gradient(X, y)
    assert objective == pytest.approx(expected.objective, rel=1e-11)
    assert_close(gradient, expected.gradient)
    assert_close(net.input_gradient(X, y), expected.input_gradient)
    assert_close(net.predict_proba(X), expected.A[-1], 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_output_after_a_layer_of_any_width(dtype):
    rng = np.random.default_rng(4)
    for width in range(1, 80):
        net, twin, vector = build(
            rng, [3, width, 1], "tanh", "huber", None, reduction="mean", penalties=False, bias=True, dtype=dtype
        )
        X, y = make_data(rng, 70, 3, 1, "huber")
        expected = twin.evaluate(vector, X, y, None)
        assert_close(net.gradient(X, y), expected.gradient, 1e-9 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_finite_differences(loss, output):
    rng = np.random.default_rng(5)
    for index, hidden in enumerate(ACTIVATIONS):
        net, _, vector = build(
            rng,
            [2, 3, 2],
            hidden,
            loss,
            output,
            reduction=("mean", "sum", "penalized_mean")[index // 2 % 3],
            penalties=index % 3 == 0,
            bias=True,
        )
        X, y = make_data(rng, 4, 2, 2, loss)
        weight = rng.random(4) + 0.1 if index % 4 else None
        step = 1e-6
        gradient = net.gradient(X, y, sample_weight=weight)
        for k, at in enumerate(np.eye(len(vector)) * step):
            up = net.objective(X, y, sample_weight=weight, parameters=vector + at)
            down = net.objective(X, y, sample_weight=weight, parameters=vector - at)
            assert gradient[k] == pytest.approx((up - down) / (2 * step), rel=2e-6, abs=2e-8 * (1 + abs(up)))
        gradient = net.input_gradient(X, y, sample_weight=weight)
        for place in np.ndindex(X.shape):
            at = np.zeros_like(X)
            at[place] = step
            up, down = (net.objective(X + sign * at, y, sample_weight=weight) for sign in (1, -1))
            assert gradient[place] == pytest.approx((up - down) / (2 * step), rel=2e-6, abs=2e-8 * (1 + abs(up)))


@pytest.mark.parametrize("loss", LOSSES)
def test_float32(loss):
    rng = np.random.default_rng(11)
    for index, hidden in enumerate(ACTIVATIONS):
        net, twin, vector, X, y, weight = random_case(rng, loss, LOSSES[loss], hidden, index, "float32")
        X = X.astype(np.float32)
        expected = twin.evaluate(vector, X, y, weight)
        gradient = net.gradient(X, y, sample_weight=weight)
        assert gradient.dtype == np.float32
        error = np.linalg.norm(gradient - expected.gradient)
        assert error <= 1e-4 * np.linalg.norm(expected.gradient) + 1e-7
        outputs = net.predict_proba(X)
        assert outputs.dtype == np.float32
        assert np.abs(outputs - expected.A[-1]).max() <= 1e-4 * (1 + np.abs(expected.A[-1]).max())
        assert net.objective(X, y, sample_weight=weight) == pytest.approx(expected.objective, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_activations_far_out(hidden):
    """Values and slopes of an activation on its own, where exponentials overflow or vanish and near zero."""
    z = np.array([-700.0, -100, -40, -20, -5, -1, -1e-3, -1e-8, 1e-8, 1e-3, 1, 5, 20, 40, 100, 700])
    net = mlpc.Network([1, 1, 1], loss="squared_error", hidden_activation=hidden, reduction="sum", seed=0)
    net.parameters = [1.0, 0.0, 1.0, 0.0]
    value, slope = ACTIVATIONS[hidden]
    X, y = z[:, None], np.zeros(len(z))
    assert np.allclose(net.predict_proba(X)[:, 0], value(z), rtol=1e-12, atol=1e-15)
    expected = 2 * value(z) * slope(z)
    assert np.allclose(net.input_gradient(X, y)[:, 0], expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("loss", "largest"), [("binary_cross_entropy", 700.0), ("log_cosh", 1e300), ("huber", 1e150)])
def test_losses_far_out(loss, largest):
    net = mlpc.Network([1, 1], loss=loss, seed=0)
    net.parameters = [1.0, 0.0]
    z = np.array([-largest, -30.0, 0.0, 30.0, largest])
    twin = Twin([1, 1], [], loss)
    expected = twin.evaluate(np.array([1.0, 0.0]), z[:, None], np.zeros(5))
    assert np.allclose(net.sample_losses(z[:, None], np.zeros(5)), expected.sample_losses, rtol=1e-13, atol=0)


@pytest.mark.parametrize("n", [5, 700])
def test_weighted_losses_add_up_to_the_objective(n):
    """A sample of weight 0 is none, though its loss be infinite."""
    rng = np.random.default_rng(n)
    net = mlpc.Network([2, 40, 1], loss="squared_error", reduction="sum", seed=0)
    X, y, weight = rng.standard_normal((n, 2)), rng.standard_normal(n), rng.random(n)
    y[3], weight[3] = 1e200, 0
    losses = net.sample_losses(X, y, sample_weight=weight)
    assert losses[3] == 0
    assert np.isinf(net.sample_losses(X, y)[3])
    assert losses.sum() == pytest.approx(net.objective(X, y, sample_weight=weight), rel=1e-13)
    kept = weight > 0
    assert losses[kept].tobytes() == (weight[kept] * net.sample_losses(X, y)[kept]).tobytes()


def test_softmax_far_out():
    net = mlpc.Network([3, 3], loss="categorical_cross_entropy", bias=False, seed=0)
    net.parameters = np.eye(3).ravel()
    X = np.array([[1000.0, 0, -1000], [-1e4, -1e4, -1e4], [0, 800, 800]])
    assert np.allclose(net.predict_proba(X), [[1, 0, 0], [1 / 3] * 3, [0, 0.5, 0.5]], rtol=1e-15, atol=0)
    assert np.allclose(net.sample_losses(X, [2, 0, 0]), [2000, math.log(3), 800 + math.log(2)], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [31, 32, 33, 48, 65, 127, 1000])
def test_many_classes(n_classes, dtype):
    """Labels take a way of their own, rows of probabilities and records another."""
    rng, tolerance = np.random.default_rng(4), 2e-5 if dtype == "float32" else 1e-12
    net = mlpc.Network([6, 20, n_classes], loss="categorical_cross_entropy", dtype=dtype, seed=0)
    twin = Twin([6, 20, n_classes], "relu", "categorical_cross_entropy")
    for n in (1, 3, 16, 17, 300):
        X, labels = make_data(rng, n, 6, n_classes, "categorical_cross_entropy")
        X, weight = X.astype(dtype), rng.choice([0.0, 0.5, 2.0], n, p=[0.2, 0.4, 0.4])
        weight[0] = 1.0
        expected = twin.evaluate(net.parameters, X, labels, weight)
        rows = np.eye(n_classes)[labels]
        for y in (labels, rows):
            assert_close(net.sample_losses(X, y), expected.sample_losses, tolerance)
            assert_close(net.gradient(X, y, sample_weight=weight), expected.gradient, 10 * tolerance)
        assert_close(net.input_gradient(X, labels, sample_weight=weight), expected.input_gradient, 10 * tolerance)
        record = net.backpropagate(X, labels, sample_weight=weight)[-1]
        assert_close(record.A, expected.A[-1], tolerance)
        probabilities = net.predict_proba(X)
        assert_close(probabilities, expected.A[-1], tolerance)
        assert np.allclose(probabilities.sum(axis=1), 1, atol=n_classes * np.finfo(dtype).eps)
        assert probabilities[n // 2].tobytes() == net.predict_proba(X[n // 2 : n // 2 + 1]).tobytes()
        assert net.predict(X).tolist() == probabilities.argmax(axis=1).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [40, 64])
def test_softmax_of_many_classes_far_out(n, dtype):
    net = mlpc.Network([n, n], loss="categorical_cross_entropy", bias=False, dtype=dtype, seed=0)
    net.parameters = np.eye(n).ravel()
    X, labels = np.zeros((5, n)), np.array([n - 1, 3, 5, 0, n - 1])
    X[0, [0, n - 1]] = 80, -80
    X[1] = -1e4
    X[2, [2, 5]] = 75
    X[3, 1:] = -60.0  # a class that outweighs the others: its loss and slope are of their size
    X[4, n - 1] = 30.0
    others = (n - 1) * math.exp(-60), (n - 1) * math.exp(-30)
    expected = [160, math.log(n), math.log(2), others[0], math.log1p(others[1])]
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    assert np.allclose(net.sample_losses(X, labels), expected, rtol=tolerance, atol=0)
    slopes = net.unpack(net.gradient(X[4:], labels[4:]))[0][0][n - 1] / 30
    assert slopes[n - 1] == pytest.approx(-others[1] / (1 + others[1]), rel=tolerance)
    assert np.allclose(slopes[:-1], math.exp(-30) / (1 + others[1]), rtol=tolerance, atol=0)
    X[0, 7] = np.nan
    probabilities = net.predict_proba(X)
    assert np.isnan(probabilities[0]).all()
    assert np.isfinite(probabilities[1:]).all()


def test_probabilities_as_targets():
    rng = np.random.default_rng(0)
    net, twin, vector = build(
        rng, [4, 5, 3], "tanh", "categorical_cross_entropy", None, reduction="mean", penalties=True, bias=True
    )
    X, labels = make_data(rng, 20, 4, 3, "categorical_cross_entropy")
    y = rng.dirichlet(np.ones(3), 20)
    assert_close(net.gradient(X, y), twin.evaluate(vector, X, y).gradient)
    assert_close(net.gradient(X, np.eye(3)[labels]), net.gradient(X, labels), 1e-14)


@pytest.mark.parametrize("n", [3, 21])
def test_several_quantiles_against_one_target(n):
    rng = np.random.default_rng(1)
    q = tuple(np.linspace(0.1, 0.9, n))
    net = mlpc.Network([2, 4, n], loss=mlpc.Quantile(list(q)), hidden_activation="tanh", seed=0)
    twin = Twin([2, 4, n], "tanh", "quantile", loss_parameters=(q,))
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    expected = twin.evaluate(net.parameters, X, y)
    for target in (y, y[:, None]):
        assert_close(net.gradient(X, target), expected.gradient)
        assert_close(net.sample_losses(X, target), expected.sample_losses)


def test_weights_of_zero_and_their_mean():
    """Rows of weight zero count for nothing, and a batch of them has no data term."""
    rng = np.random.default_rng(2)
    net, _, _ = build(rng, [3, 4, 1], "tanh", "huber", None, reduction="mean", penalties=True, bias=True)
    X, y = make_data(rng, 30, 3, 1, "huber")
    weight = (np.arange(30) < 10) * 2.5
    assert_close(net.gradient(X, y, sample_weight=weight), net.gradient(X[:10], y[:10]), 1e-13)
    assert np.count_nonzero(net.input_gradient(X, y, sample_weight=weight)[10:]) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[2, 3, 3, 1], [2, 3, 2], [70, 3, 1], [2, 20, 1], [2, 20, 20]], ids=str)
@pytest.mark.parametrize(
    ("hidden", "output"),
    [("relu", "identity"), ("gelu", "identity"), ("softplus", "identity"), ("relu", "sigmoid"), ("relu", "silu")],
)
def test_rows_of_weight_0_may_overflow(hidden, output, sizes, dtype):
    rng = np.random.default_rng(3)
    settings = {"hidden_activation": hidden, "output_activation": output, "dtype": dtype}
    net = mlpc.Network(sizes, loss="squared_error", seed=0, **settings)
    X, y = rng.normal(size=(21, sizes[0])).astype(dtype), rng.normal(size=(21, sizes[-1]))
    for row in (0, 7, 20):
        weight = (np.arange(21) != row) * 1.0
        X[row] = np.finfo(dtype).max
        expected = net.gradient(np.delete(X, row, 0), np.delete(y, row, 0))
        for data in (X, np.asfortranarray(X)):
            gradient = net.gradient(data, y, sample_weight=weight)
            assert_close(gradient, expected, 3e-5 if dtype == "float32" else 1e-13)
        X[row] = 0


@pytest.mark.parametrize("n", [1, 15, 16, 17])
def test_vectors_that_rows_do_not_fill_add_nothing(n):
    """With these parameters a row of zeros overflows, and a row of ones does not."""
    net = mlpc.Network([1, 1, 1, 1], loss="squared_error", dtype="float32", seed=0)
    net.parameters = [-1e20, 1e20, 1e20, 0, 1e-3, 0]
    assert net.gradient(np.ones((n, 1)), np.zeros(n)).tolist() == [0] * 6


def test_circles_step_in_numbers():
    """One step of the circles network, small enough to do on paper: every intermediate is a binary fraction.

    With W = 0 and b = 0 each h is 1/2; w_m = (4, 0, -4) makes s2 = 0 and the prediction 1/2. For x = (1, 2), y = 1 the
    output's slope is -1/2, so dw_m = -1/4, db_m = -1/2, delta = -1/2 w_m / 4 = (-1/2, 0, 1/2), dW = delta x^T."""
    net = mlpc.Network(
        [2, 3, 1],
        loss="binary_cross_entropy",
        hidden_activation="sigmoid",
        reduction="sum",
        optimizer=mlpc.SGD(0.5),
        seed=0,
    )
    net.parameters = [0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, -4, 0]
    X, y = np.array([[1.0, 2.0]]), np.array([1])
    gradient = [-0.5, 0, 0.5, -1, 0, 1, -0.5, 0, 0.5, -0.25, -0.25, -0.25, -0.5]
    assert net.gradient(X, y).tolist() == gradient
    assert net.objective(X, y) == pytest.approx(math.log(2), rel=1e-15)
    net.fit(X, y, epochs=1, batch_size=None)
    assert net.parameters.tolist() == [0.25, 0, -0.25, 0.5, 0, -0.5, 0.25, 0, -0.25, 4.125, 0.125, -3.875, 0.25]


def test_circles_step_by_the_formulas():
    """The same network at random parameters, one sample at a time in plain Python, W as (3, 2) as on paper."""
    rng = np.random.default_rng(3)
    W, b = rng.normal(size=(3, 2)).tolist(), rng.normal(size=3).tolist()
    wm, bm = rng.normal(size=3).tolist(), float(rng.normal())
    X, y = rng.normal(size=(8, 2)), rng.integers(0, 2, 8)
    dW, db, dwm, dbm = [[0.0, 0.0] for _ in range(3)], [0.0] * 3, [0.0] * 3, 0.0
    for x, target in zip(X.tolist(), y.tolist(), strict=True):
        h = [1 / (1 + math.exp(-(w[0] * x[0] + w[1] * x[1] + bias))) for w, bias in zip(W, b, strict=True)]
        prediction = 1 / (1 + math.exp(-(sum(w * hk for w, hk in zip(wm, h, strict=True)) + bm)))
        dbm += prediction - target
        for k in range(3):
            dwm[k] += (prediction - target) * h[k]
            delta = (prediction - target) * wm[k] * (1 - h[k]) * h[k]
            db[k] += delta
            dW[k][0] += delta * x[0]
            dW[k][1] += delta * x[1]
    net = mlpc.Network(
        [2, 3, 1],
        loss="binary_cross_entropy",
        hidden_activation="sigmoid",
        reduction="sum",
        optimizer=mlpc.SGD(0.01),
        seed=0,
    )
    net.parameters = np.concatenate([np.array(W).T.ravel(), b, wm, [bm]])
    before = net.parameters.copy()
    gradient = np.concatenate([np.array(dW).T.ravel(), db, dwm, [dbm]])
    assert_close(net.gradient(X, y), gradient, 1e-12)
    net.fit(X, y, epochs=1, batch_size=None)
    assert_close(net.parameters, before - 0.01 * gradient, 1e-13)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [[3, 5, 4, 2], [3, 5, 14, 21], [3, 5, 18, 1], [3, 5, 30, 1], [3, 5, 6, 37]], ids=str)
def test_backpropagate(loss, bias, sizes):
    if loss == "categorical_cross_entropy":
        sizes = [*sizes[:-1], max(sizes[-1], 2)]
    rng = np.random.default_rng(4)
    output = "gelu" if loss == "squared_error" and bias else None
    net, twin, vector = build(rng, sizes, ["gelu", "tanh"], loss, output, reduction="sum", penalties=False, bias=bias)
    X, y = make_data(rng, 9, 3, sizes[-1], loss)
    weight = rng.random(9)
    expected = twin.evaluate(vector, X, y, weight)
    records = net.backpropagate(X, y, sample_weight=weight)
    assert len(records) == 3
    for layer, record in enumerate(records, start=1):
        assert record.A.tobytes() == net.activations(X)[layer].tobytes()
        for name in ("Z", "A", "dA", "dZ", "dW", "db"):
            assert_close(getattr(record, name), getattr(expected, name)[layer], 1e-10)
    weights, biases = net.unpack(net.gradient(X, y, sample_weight=weight))
    for layer, record in enumerate(records):
        assert_close(record.dW, weights[layer], 1e-13)
        if bias:
            assert_close(record.db, biases[layer], 1e-13)


def test_evaluating_elsewhere_leaves_the_network_alone():
    rng = np.random.default_rng(6)
    net, twin, vector = build(
        rng, [3, 4, 2], "silu", "squared_error", None, reduction="mean", penalties=True, bias=True
    )
    X, y = make_data(rng, 12, 3, 2, "squared_error")
    elsewhere = vector + rng.normal(size=len(vector))
    expected = twin.evaluate(elsewhere, X, y)
    assert_close(net.gradient(X, y, parameters=elsewhere), expected.gradient)
    assert_close(net.input_gradient(X, y, parameters=elsewhere), expected.input_gradient)
    assert_close(net.sample_losses(X, y, parameters=elsewhere), expected.sample_losses)
    assert net.objective(X, y, parameters=elsewhere) == pytest.approx(expected.objective, rel=1e-13)
    assert net.parameters.tobytes() == vector.tobytes()


def test_activations_and_transform():
    rng = np.random.default_rng(7)
    net, twin, vector = build(
        rng, [3, 5, 4, 2], ["relu", "elu"], "squared_error", None, reduction="mean", penalties=False, bias=True
    )
    X = rng.normal(size=(11, 3)).astype(np.float32)
    got, (_, expected) = net.activations(X), twin.forward(vector, X)
    assert len(got) == 4
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == np.float64
        assert_close(a, b, 1e-13)
    for layer, same in ((1, -2), (2, -1)):
        assert net.transform(X, layer=layer).tobytes() == got[layer].tobytes() == net.transform(X, layer=same).tobytes()
    assert net.transform(X).tobytes() == got[2].tobytes()
    assert net.forward(X).tobytes() == net.predict_proba(X).tobytes() == got[3].tobytes()


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_check_gradient(hidden):
    rng = np.random.default_rng(8)
    net, _, _ = build(rng, [3, 4, 2], hidden, "huber", None, reduction="mean", penalties=True, bias=True)
    X, y = make_data(rng, 10, 3, 2, "huber")
    result = mlpc.check_gradient(net, X, y)
    assert result
    assert result.passed
    assert result.max_relative_error < 1e-5
    assert result.worst[0] in ("weights", "biases")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_certain_output_still_has_a_gradient(dtype, target):
    """Of a sigmoid that rounds to 1, as of one near 0: its distance from the target."""
    net = mlpc.Network([1, 1], loss="binary_cross_entropy", bias=False, dtype=dtype)
    net.weights[0][...] = 1.0
    z = 45.0 if target else -45.0
    expected = (-1 if target else 1) * np.exp(-45.0) * z
    assert net.gradient([[z]], [target])[0] == pytest.approx(expected, rel=4e-7 if dtype == "float32" else 1e-14, abs=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_certain_class_still_has_a_loss_and_a_gradient(dtype):
    """Of a softmax that rounds to 1: both by the other classes."""
    net = mlpc.Network([1, 3], loss="categorical_cross_entropy", bias=False, dtype=dtype)
    net.weights[0][...] = [[1.0, 0.0, -1.0]]
    others = np.exp([-45.0, -90.0 if dtype == "float64" else -np.inf])
    rel = 4e-7 if dtype == "float32" else 1e-14
    assert net.objective([[45.0]], [0]) == pytest.approx(others.sum(), rel=rel, abs=0)
    gradient = net.gradient([[45.0]], [0]) / 45
    assert gradient[:2] == pytest.approx([-others.sum(), others[0]], rel=rel, abs=0)
    assert net.gradient([[0.0]], [0]).tolist() == [0, 0, 0]
    assert net.objective([[0.0]], [0]) == pytest.approx(np.log(3), rel=rel)  # three of them are the largest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_softmax_of_many_alike(dtype):
    net = mlpc.Network([1, 1000], loss="categorical_cross_entropy", initializer="zeros", dtype=dtype)
    gradient = net.gradient([[1.0]], [7])[:1000]
    expected = np.full(1000, 1e-3)
    expected[7] -= 1
    np.testing.assert_allclose(gradient, expected, rtol=2e-7 if dtype == "float32" else 1e-15)


KERNELS = """
import json, sys
import numpy as np
import mlpc
out = {}
for dtype in ("float64", "float32"):
    for hidden in ("tanh", "relu", "gelu", "mish", "selu", "softsign"):
        rng = np.random.default_rng(0)
        loss = "categorical_cross_entropy"
        net = mlpc.Network([7, 33, 5, 3], loss=loss, hidden_activation=hidden, dtype=dtype, seed=1)
        X, y = rng.normal(size=(70, 7)), rng.integers(0, 3, 70)
        arrays = [net.predict_proba(X), net.gradient(X, y), net.input_gradient(X, y)]
        net.fit(X, y, epochs=3, batch_size=16)
        arrays.append(net.parameters)
        out[dtype + hidden] = [array.ravel().tolist() for array in arrays]
json.dump(out, sys.stdout)
"""


def test_instruction_sets():
    """AVX2 and AVX-512 give the same bits; the generic kernels, without fused operations of their width, come close."""
    results = {}
    for kernels in _core.KERNELS:
        environment = {**os.environ, "MLPC_ISA": kernels}
        done = subprocess.run(
            [sys.executable, "-c", KERNELS], env=environment, capture_output=True, text=True, check=True
        )
        results[kernels] = json.loads(done.stdout)
    assert "generic" in results
    for kernels, result in results.items():
        for key, arrays in result.items():
            for index, (got, expected) in enumerate(zip(arrays, results["generic"][key], strict=True)):
                tolerance = (1e-12 if key.startswith("float64") else 1e-4) * (1, 10, 10, 100)[index]
                assert np.linalg.norm(np.subtract(got, expected)) <= tolerance * np.linalg.norm(expected), (
                    kernels,
                    key,
                )
    if "avx2" in results and "avx512" in results:
        assert results["avx2"] == results["avx512"]


@pytest.mark.parametrize("sizes", [[2, 3, 3, 1], [2, 20, 20, 2], [70, 20, 1]], ids=str)
@pytest.mark.parametrize("hidden", ["relu", "gelu"])
def test_rows_of_weight_0_may_overflow_under_dropout(hidden, sizes):
    rng = np.random.default_rng(3)
    net = mlpc.Network(sizes, loss="squared_error", hidden_activation=hidden, dropout=0.5, dtype="float32", seed=0)
    X, y = rng.normal(size=(21, sizes[0])), rng.normal(size=(21, sizes[-1]))
    X[7] = np.finfo(np.float32).max
    net.fit(X, y, sample_weight=np.arange(21) != 7, epochs=5, batch_size=None)  # a warning would be an error
    assert net.epoch == 5


@pytest.mark.parametrize("reduction", ["mean", "penalized_mean", "sum"])
def test_weights_without_an_inverse_are_no_weights(reduction):
    """A batch whose weights have so small a sum that 1 / sum overflows."""
    X, y = np.linspace(-1, 1, 4)[:, None], np.linspace(0, 1, 4)
    nets = [mlpc.Network([1, 1], loss="squared_error", reduction=reduction, l2=0.1, seed=0) for _ in range(2)]
    for net, least in zip(nets, (1e-310, 0.0), strict=True):
        net.fit(X, y, epochs=2, batch_size=1, sample_weight=[1, 1, least, 1], shuffle=False)
        assert net.epoch == 2
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)


def test_records_of_saturated_outputs():
    """dA where an output is exactly right: a part of the formula is 0 / 0, and counts as its factor, 0."""
    net = mlpc.Network([1, 1], loss="binary_cross_entropy", bias=False, seed=0)
    net.parameters = [1.0]
    (record,) = net.backpropagate([[1000.0], [-1000.0]], [1, 0])
    assert record.A.tolist() == [[1], [0]]
    assert record.dA.tolist() == [[-0.5], [0.5]]
    assert record.dZ.tolist() == [[0], [0]]
    net = mlpc.Network([1, 2], loss="categorical_cross_entropy", bias=False, reduction="sum", seed=0)
    net.parameters = [1.0, -1.0]
    (record,) = net.backpropagate([[1000.0]], [0])
    assert record.dA.tolist() == [[-1, 0]]
    net = mlpc.Network([1, 1], loss="poisson", bias=False, seed=0)
    net.parameters = [1.0]
    (record,) = net.backpropagate([[-1000.0]], [0])
    assert record.dA.tolist() == [[1]]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_records_of_a_saturated_output_of_weight_0(loss):
    net = mlpc.Network([1, 1 if loss.startswith("b") else 2], loss=loss, seed=0)
    net.weights[0][:] = [[5000.0, 0.0][: net.layer_sizes[-1]]]
    net.biases[0][:] = 0
    record = net.backpropagate([[-1.0], [0.0]], [[1.0, 0.0][: net.layer_sizes[-1]]] * 2, sample_weight=[0, 1])[-1]
    assert (record.dA[0] == 0).all()
    assert np.isfinite(record.dA).all()
    assert (record.dZ[0] == 0).all()
