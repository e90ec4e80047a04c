"""What fit promises beside the update rules: runs that can be cut and resumed, random draws, dropout, weights, history.

Not here: the rules (test_optimizers.py), how a run ends (test_stopping.py), the forms of data (test_data.py), refusals
(test_bad_input.py)."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import reference
from conftest import OPTIMIZERS, assert_close, circles, fingerprint, make_data
from reference import ACTIVATIONS, Twin, initial_parameters

import mlpc

SCHEDULES = {
    "constant": None,
    "step": mlpc.StepDecay(2, 0.5),
    "exponential": mlpc.ExponentialDecay(0.8),
    "inverse": mlpc.InverseScaling(),
    "cosine": mlpc.CosineDecay(5, minimum=0.1, warmup=2),
    "one_cycle": mlpc.OneCycle(6),
    "plateau": mlpc.ReduceOnPlateau("loss", factor=0.5, patience=0, min_delta=0.05),
    "plateau_validation": mlpc.ReduceOnPlateau(factor=0.5, patience=0, min_delta=0.05),
}


def saved(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    return mlpc.load(tmp_path / "net.safetensors")


def pickled(net, tmp_path):
    return pickle.loads(pickle.dumps(net))


def copied(net, tmp_path):
    return net.copy()


def assert_resumes(make, fit_arguments, tmp_path):
    """Four epochs at once, one by one, and with the network put away and taken out in between."""
    whole = make().fit(epochs=4, **fit_arguments)
    once = make()
    for _ in range(4):
        once.fit(epochs=1, **fit_arguments)
    assert fingerprint(once) == fingerprint(whole)
    for put_away in (saved, pickled, copied):
        net = make().fit(epochs=1, **fit_arguments)
        taken_out = put_away(net, tmp_path)
        assert fingerprint(taken_out) == fingerprint(net)
        taken_out.fit(epochs=2, **fit_arguments)
        again = put_away(taken_out, tmp_path).fit(epochs=1, **fit_arguments)
        assert fingerprint(again) == fingerprint(whole)
        assert again.history.stop_reason == "epochs"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resuming(optimizer, schedule, dtype, tmp_path):
    X, y = make_data(np.random.default_rng(0), 37, 3, 4, "categorical_cross_entropy")

    def make():
        return mlpc.Network(
            [3, 8, 6, 4],
            loss="categorical_cross_entropy",
            dropout=[0.3, 0.1],
            dtype=dtype,
            seed=5,
            l1=1e-3,
            optimizer=OPTIMIZERS[optimizer](schedule=SCHEDULES[schedule], clip_norm=1.0),
        )

    assert_resumes(make, {"X": X, "y": y, "batch_size": 8, "validation_data": (X[:9], y[:9])}, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["rprop", "lbfgs"])
def test_resuming_full_batch_rules(optimizer, dtype, tmp_path):
    X, y = make_data(np.random.default_rng(0), 37, 3, 2, "squared_error")

    def make():
        return mlpc.Network(
            [3, 8, 2], loss="squared_error", hidden_activation="tanh", optimizer=optimizer, dtype=dtype, seed=5
        )

    assert_resumes(make, {"X": X, "y": y}, tmp_path)


def test_resuming_with_a_callable_schedule(tmp_path):
    """Everything but a file keeps a function of the epoch."""
    X, y = circles()
    seen = []

    def make(schedule):
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.1, schedule=schedule), seed=1)

    def schedule(epoch):
        seen.append(epoch)
        return 0.5**epoch

    whole = make(schedule).fit(X, y, epochs=4)
    assert seen == [0, 1, 2, 3]
    net = make(schedule).fit(X, y, epochs=1).copy().fit(X, y, epochs=3)
    assert fingerprint(net) == fingerprint(whole)
    with pytest.raises((TypeError, ValueError), match="schedule"):
        net.save(tmp_path / "net")


def test_the_same_seed_gives_the_same_run_in_another_process():
    code = (
        "import numpy as np, mlpc; r = np.random.default_rng(0); X = r.normal(size=(40, 3)); y = r.normal(size=40);"
        "net = mlpc.Network([3, 7, 1], loss='huber', dropout=0.2, seed=8).fit(X, y, epochs=3);"
        "print(net.parameters.tobytes().hex())"
    )
    once, again = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert once == again != ""
    net = pickle.loads(pickle.dumps(mlpc.Network([3, 7, 1], loss="huber", dropout=0.2, seed=8)))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    net.fit(X, rng.normal(size=40), epochs=3)
    assert net.parameters.tobytes().hex() == once.strip()


# ---- Randomness.


@pytest.mark.parametrize("activation", [*ACTIVATIONS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_first_weights(activation, dtype):
    net = mlpc.Network([4, 6, 5, 2], loss="huber", hidden_activation=[activation, "tanh"], dtype=dtype, seed=12)
    twin = Twin([4, 6, 5, 2], [activation, "tanh"], "huber")
    expected = initial_parameters(twin, np.random.default_rng(12))
    assert net.parameters.tobytes() == expected.astype(dtype).tobytes()


@pytest.mark.parametrize(
    "name", ["zeros", *(f"{k}_{s}" for k in ("glorot", "he", "lecun") for s in ("uniform", "normal"))]
)
def test_named_initializers(name):
    net = mlpc.Network([4, 6, 1], loss="huber", initializer=name, seed=12)
    expected = initial_parameters(Twin([4, 6, 1]), np.random.default_rng(12), name)
    assert net.parameters.tobytes() == expected.tobytes()


def test_callable_initializer_and_generators():
    net = mlpc.Network([4, 6, 1], loss="huber", initializer=lambda f, shape: f.uniform(0, 1, shape), bias=False, seed=3)
    rng = np.random.default_rng(3)
    assert_close(
        net.parameters, np.concatenate([rng.uniform(0, 1, (4, 6)).ravel(), rng.uniform(0, 1, (6, 1)).ravel()]), 0
    )
    generator = np.random.default_rng(77)
    net = mlpc.Network([4, 6, 1], loss="huber", seed=generator)
    other = np.random.default_rng(77)
    expected = mlpc.Network([4, 6, 1], loss="huber", seed=int(other.integers(2**63)))
    assert net.parameters.tobytes() == expected.parameters.tobytes()
    assert generator.bit_generator.state == other.bit_generator.state


def test_without_a_seed_networks_differ():
    one, two = (mlpc.Network([4, 6, 1], loss="huber") for _ in range(2))
    assert one.parameters.tobytes() != two.parameters.tobytes()


@pytest.mark.parametrize("n", [2, 7, 100, 1000])
def test_orders(n):
    """The order of each epoch is rng.permutation(n), drawn after the weights: seen by taking a step a row."""
    net = mlpc.Network([1, 1], loss="absolute_error", optimizer=mlpc.SGD(1.0), seed=4)
    rng = np.random.default_rng(4)
    p = initial_parameters(Twin([1, 1], [], "absolute_error"), rng)
    twin = Twin([1, 1], [], "absolute_error")
    X, y = np.random.default_rng(0).normal(size=(n, 1)), np.random.default_rng(1).normal(size=n)
    net.fit(X, y, epochs=3, batch_size=1)
    reference.fit(twin, p, reference.SGD(1.0), X, y, epochs=3, batch_size=1, rng=rng)
    assert_close(net.parameters, p, 1e-9)


def test_what_draws_no_order():
    X, y = circles(40)

    def random_state(**fit):
        net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=4).fit(X, y, epochs=2, **fit)
        return net.fit(X, y, epochs=1, batch_size=8).parameters.tobytes(), net

    full = random_state(batch_size=None)[0]
    assert full == random_state(batch_size=40)[0] == random_state(batch_size=1000)[0]
    assert full == random_state(batch_size=None, shuffle=False)[0]
    in_order = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=4)
    p = in_order.parameters.copy()
    in_order.fit(X, y, epochs=2, batch_size=8, shuffle=False)
    twin = Twin([2, 3, 1], "relu", "binary_cross_entropy")
    reference.fit(twin, p, reference.Adam(), X, y, epochs=2, batch_size=8)
    assert_close(in_order.parameters, p, 1e-12)
    rng = np.random.default_rng(4)
    initial_parameters(twin, rng)
    in_order.fit(X, y, epochs=1, batch_size=8)
    shuffled = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=4)
    shuffled_p = shuffled.parameters.astype(np.float64)
    shuffled.fit(X, y, epochs=1, batch_size=8)
    reference.fit(twin, shuffled_p, reference.Adam(), X, y, epochs=1, batch_size=8, rng=rng)
    assert_close(shuffled.parameters, shuffled_p, 1e-12)


def test_reset():
    X, y = circles()
    net = mlpc.Network([2, 5, 1], loss="binary_cross_entropy", dropout=0.2, seed=6)
    parameters, before = net.parameters, fingerprint(net)
    first = fingerprint(net.fit(X, y, epochs=3))
    net.reset()
    assert fingerprint(net) == before
    assert net.epoch == net.step == len(net.history["loss"]) == 0
    assert fingerprint(net.fit(X, y, epochs=3)) == first
    net.reset(7)
    fresh = mlpc.Network([2, 5, 1], loss="binary_cross_entropy", dropout=0.2, seed=7)
    assert net.parameters.tobytes() == fresh.parameters.tobytes()
    assert np.shares_memory(parameters, net.parameters)
    net.fit(X, y, epochs=2)
    assert net.parameters.tobytes() == fresh.fit(X, y, epochs=2).parameters.tobytes()


# ---- Dropout.


def of_identities(layer_sizes, dropout, learning_rate, seed=0):
    """A network whose gradients show its masks: far below its target the absolute error has slope -1."""
    return mlpc.Network(
        layer_sizes,
        loss="absolute_error",
        hidden_activation="identity",
        bias=False,
        dropout=dropout,
        reduction="sum",
        optimizer=mlpc.SGD(learning_rate),
        seed=seed,
    )


def masks(rate, n_units, n_rows, *, batch_size, epochs=1, seed=0):
    """The gradient of the last weights by step, where it is the sum of a batch's masks and nothing else.

    Inputs are 1, first weights 1."""
    net = of_identities([1, n_units, 1], rate, 1.0, seed)
    seen = []
    for _ in range(epochs):
        for first in range(0, n_rows, batch_size):
            net.parameters = np.concatenate([np.ones(n_units), np.full(n_units, 2.0)])
            rows = min(batch_size, n_rows - first)
            net.partial_fit(np.ones((rows, 1)), np.full(rows, 1e9))
            seen.append((net.weights[1][:, 0] - 2.0, net.weights[0][0] - 1.0))
    return np.array(seen)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_rate_and_scale(rate):
    last, first = masks(rate, 200, 100, batch_size=1).transpose(1, 0, 2)
    kept = last > 0
    assert np.allclose(last[kept], 1 / (1 - rate), rtol=1e-12)
    assert np.all(last[~kept] == 0)
    # The same masks in the backward pass: dropped units get no gradient, kept ones theirs times the scale.
    assert np.allclose(first, 2.0 * last, rtol=1e-12)
    spread = np.sqrt(rate * (1 - rate))
    assert abs(kept.mean() - (1 - rate)) < 4 * spread / np.sqrt(kept.size)
    assert np.all(np.abs(kept.mean(axis=0) - (1 - rate)) < 5 * spread / np.sqrt(100))
    assert np.all(np.abs(kept.mean(axis=1) - (1 - rate)) < 5 * spread / np.sqrt(200))
    assert abs(np.corrcoef(kept[:-1].ravel(), kept[1:].ravel())[0, 1]) < 4 / np.sqrt(kept.size)
    assert abs(np.corrcoef(kept[:, :-1].ravel(), kept[:, 1:].ravel())[0, 1]) < 4 / np.sqrt(kept.size)


def test_dropout_of_rows_in_a_batch():
    """Rows of one batch have masks of their own: counts spread like a binomial's."""
    counts = masks(0.5, 4000, 64, batch_size=64)[0, 0] / 2
    assert abs(counts.mean() - 32) < 0.3
    assert 12 < counts.var() < 20
    assert np.any(masks(0.5, 50, 1, batch_size=1, seed=0) != masks(0.5, 50, 1, batch_size=1, seed=1))


def test_dropout_of_several_layers():
    """Each layer at its own rate; an output that drops everything is the bias alone."""
    net = of_identities([1, 1000, 1000, 1], [0.0, 0.75], 1e-3)
    before = [weight.copy() for weight in net.weights]
    net.partial_fit([[1.0]], [1e9])
    changed = [np.any(after != start, axis=1) for after, start in zip(net.weights, before, strict=True)]
    assert changed[1].all()
    assert abs(changed[2].mean() - 0.25) < 0.06


@pytest.mark.parametrize("n_units", [12, 400])
def test_dropout_of_rows_far_down_a_batch(n_units):
    """Rows are driven through the layers 256 at a time; the next ones have masks of their own."""
    counts = masks(0.5, n_units, 512, batch_size=512)[0, 0] / 2
    assert (counts % 2 == 1).any()  # equal halves would make every count even
    assert abs(counts.mean() - 256) < 5 * np.sqrt(128 / n_units)


def test_dropout_of_very_many_units():
    """Rows of so wide a layer are dropped one at a time, each with a mask of its own."""
    counts = masks(0.5, 300_000, 2, batch_size=2)[0, 0] / 2
    np.testing.assert_allclose(np.bincount(counts.astype(int)) / 300_000, [0.25, 0.5, 0.25], atol=0.01)


def test_dropout_of_layers_of_one_width():
    net = of_identities([1, 200, 200, 1], 0.5, 1e-3)
    before = net.weights[1].copy()
    changed = net.partial_fit([[1.0]], [1e9]).weights[1] != before
    first, second = changed.any(axis=1), changed.any(axis=0)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_dropout_is_off_outside_fit():
    X, y = circles()
    plain, dropping = (
        mlpc.Network([2, 9, 1], loss="binary_cross_entropy", hidden_activation="tanh", dropout=rate, seed=0)
        for rate in (0, 0.5)
    )
    assert plain.predict_proba(X).tobytes() == dropping.predict_proba(X).tobytes()
    assert plain.objective(X, y) == dropping.objective(X, y)
    assert plain.gradient(X, y).tobytes() == dropping.gradient(X, y).tobytes()
    dropping.fit(X, y, epochs=3, validation_data=(X, y))
    assert dropping.history["validation_loss"][-1] == pytest.approx(dropping.objective(X, y), rel=1e-13)
    assert dropping.history["loss"][-1] != dropping.history["validation_loss"][-2]


# ---- Weights.


@pytest.mark.parametrize("reduction", ["mean", "sum", "penalized_mean"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "rprop", "lbfgs"])
def test_repeating_a_row_is_weighing_it(reduction, optimizer):
    X, y = make_data(np.random.default_rng(0), 20, 3, 2, "huber")
    times = np.random.default_rng(1).integers(1, 4, 20)

    def make():
        return mlpc.Network(
            [3, 6, 2], loss="huber", hidden_activation="tanh", reduction=reduction, optimizer=optimizer, l2=0.01, seed=2
        )

    weighed = make().fit(X, y, epochs=5, batch_size=None, sample_weight=times)
    repeated = make().fit(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0), epochs=5, batch_size=None)
    assert_close(weighed.parameters, repeated.parameters, 1e-9)
    assert_close(weighed.history["loss"], repeated.history["loss"], 1e-10)


def test_batches_without_weight():
    """They have no data term: only the penalty moves the parameters."""
    X, y = make_data(np.random.default_rng(0), 24, 3, 1, "huber")
    weight = np.repeat([1.0, 0.0, 2.0], 8)
    net = mlpc.Network([3, 4, 1], loss="huber", l2=0.1, optimizer=mlpc.SGD(0.1), seed=2)
    p = net.parameters.copy()
    net.fit(X, y, epochs=3, batch_size=8, shuffle=False, sample_weight=weight)
    losses = reference.fit(
        Twin([3, 4, 1], "relu", "huber", l2=0.1), p, reference.SGD(0.1), X, y, epochs=3, batch_size=8, weight=weight
    )
    assert_close(net.parameters, p, 1e-12)
    assert_close(net.history["loss"], losses, 1e-12)


@pytest.mark.parametrize(("loss", "n_classes"), [("binary_cross_entropy", 2), ("categorical_cross_entropy", 3)])
def test_class_weight(loss, n_classes):
    X, _ = circles(45)
    y = np.random.default_rng(0).choice(n_classes, 45, p=[0.7, 0.3] if n_classes == 2 else [0.6, 0.3, 0.1])
    outputs = 1 if n_classes == 2 else 3
    sample_weight = np.random.default_rng(1).random(45)
    validation = (X[:10], y[:10])

    def trained(**fit):
        net = mlpc.Network([2, 5, outputs], loss=loss, seed=0)
        return net.fit(X, y, epochs=3, batch_size=16, validation_data=validation, **fit)

    given = trained(class_weight={0: 0.5, 1: 3}, sample_weight=sample_weight)
    factors = np.array([0.5, 3.0, 1.0])
    same = trained(sample_weight=sample_weight * factors[y])
    assert_close(given.parameters, same.parameters, 1e-11)
    assert_close(given.history["loss"], same.history["loss"], 1e-11)
    assert_close(given.history["validation_loss"], same.history["validation_loss"], 1e-11)
    assert given.history["validation_loss"][-1] == pytest.approx(given.objective(*validation), rel=1e-12)

    for kind in (float, np.float32):  # as labels that np.unique found in a y of floats
        again = trained(class_weight={kind(0): 0.5, kind(1): 3}, sample_weight=sample_weight)
        assert again.parameters.tobytes() == given.parameters.tobytes()

    balanced = trained(class_weight="balanced")
    share = 45 / (n_classes * np.bincount(y, minlength=n_classes))
    assert_close(balanced.parameters, trained(sample_weight=share[y]).parameters, 1e-11)


# ---- History.


@pytest.mark.parametrize("reduction", ["mean", "sum", "penalized_mean"])
def test_history(reduction):
    X, y = make_data(np.random.default_rng(0), 50, 3, 2, "squared_error")
    weight = np.random.default_rng(1).random(50)
    X_val, y_val = make_data(np.random.default_rng(2), 21, 3, 2, "squared_error")
    weight_val = np.random.default_rng(3).random(21)
    net = mlpc.Network(
        [3, 5, 2],
        loss="squared_error",
        hidden_activation="tanh",
        reduction=reduction,
        l1=0.01,
        l2=0.05,
        optimizer=mlpc.SGD(0.01),
        seed=0,
    )
    twin = Twin([3, 5, 2], "tanh", "squared_error", reduction=reduction, l1=0.01, l2=0.05)
    rng = np.random.default_rng(0)
    p = initial_parameters(twin, rng)
    losses, validation = [], []
    for epoch in range(4):
        losses += reference.fit(
            twin, p, reference.SGD(0.01), X, y, epochs=1, batch_size=16, rng=rng, weight=weight, start=epoch
        ).tolist()
        validation.append(twin.evaluate(p, X_val, y_val, weight_val).data_term)
    net.fit(X, y, epochs=3, batch_size=16, sample_weight=weight, validation_data=(X_val, y_val, weight_val))
    net.fit(X, y, epochs=1, batch_size=16, sample_weight=weight, validation_data=(X_val, y_val, weight_val))
    history = net.history
    for name, expected in (("loss", losses), ("validation_loss", validation)):
        assert history[name].dtype == np.float64
        assert_close(history[name], expected, 1e-12)
        assert np.array_equal(getattr(history, name), history[name])
    assert history.epochs.tolist() == [1, 2, 3, 4]
    assert history.learning_rate.tolist() == [0.01] * 4
    assert history.stop_reason == "epochs"
    assert net.epoch == 4
    assert net.step == 16
    frame = history.to_frame()
    assert frame["loss"].tolist() == history.loss.tolist()
    before = net.objective(X, y, sample_weight=weight)
    net.fit(X, y, epochs=1, batch_size=None, sample_weight=weight)
    assert net.history.loss[-1] == pytest.approx(before, rel=1e-13)
    assert np.isnan(net.history.validation_loss[-1])
    assert len(net.history.validation_loss) == 5


def test_float32_losses_are_added_in_double():
    """Half a million equal terms: a float32 sum of them would be off in its fourth digit."""
    n = 500_000
    net = mlpc.Network(
        [1, 1], loss="absolute_error", reduction="sum", dtype="float32", optimizer=mlpc.SGD(1e-30), seed=0
    )
    net.parameters = [0.0, 0.0]
    X, y = np.zeros((n, 1), dtype=np.float32), np.full(n, np.float32(0.1))
    net.fit(X, y, epochs=1, batch_size=1000)
    assert net.history["loss"][0] == pytest.approx(n * float(np.float32(0.1)), rel=1e-9)
    assert net.objective(X, y) == pytest.approx(n * float(np.float32(0.1)), rel=1e-9)


# ---- Other ways to train, and to look at the result.


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_partial_fit(optimizer):
    X, y = circles()

    def make():
        return mlpc.Network(
            [2, 4, 1],
            loss="binary_cross_entropy",
            optimizer=OPTIMIZERS[optimizer](schedule=mlpc.StepDecay(1, 0.5)),
            seed=0,
        )

    by_part, whole = make(), make()
    for _ in range(3):
        by_part.partial_fit(X, y, batch_size=16)
        assert by_part.epoch == whole.epoch
        by_part.end_epoch()
        whole.fit(X, y, epochs=1, batch_size=16, shuffle=False)
        assert by_part.epoch == whole.epoch
        assert by_part.step == whole.step
        assert by_part.parameters.tobytes() == whole.parameters.tobytes()
    one_step = make()
    one_step.partial_fit(X, y)
    assert one_step.step == 1
    assert len(one_step.history.loss) == 0
    by_batches = make()
    for first in range(0, 60, 16):
        by_batches.partial_fit(X[first : first + 16], y[first : first + 16])
    assert (
        by_batches.parameters.tobytes() == make().fit(X, y, epochs=1, batch_size=16, shuffle=False).parameters.tobytes()
    )


def test_a_batch_is_cut_into_chunks_by_its_own_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 20)), rng.normal(size=1000)

    def make():
        return mlpc.Network([20, 64, 1], loss="squared_error", seed=0)

    by_batches, whole = make(), make().fit(X, y, epochs=1, batch_size=700, shuffle=False)
    for rows in (slice(700), slice(700, 1000)):
        by_batches.partial_fit(X[rows], y[rows])
    assert by_batches.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("rows", [191, 192, 200, 256, 257])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_full_batches_of_narrow_networks(rows, n_threads):
    """Data that stays in the core from step to step, and is cut into chunks."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, 64)), rng.normal(size=rows)

    def make():
        return mlpc.Network([64, 12, 1], loss="squared_error", hidden_activation="tanh", seed=0, optimizer="adam")

    steps, run = make(), make()
    objectives = []
    for _ in range(4):
        objectives.append(steps.objective(X, y))
        steps.partial_fit(X, y)
    run.fit(X, y, epochs=4, shuffle=False, batch_size=rows, n_threads=n_threads)
    assert run.history.loss == pytest.approx(objectives, rel=1e-12)
    assert run.parameters.tobytes() == steps.parameters.tobytes()


def test_batches_larger_than_the_data():
    X, y = circles(20)
    one, two, three = (
        mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=3, batch_size=size)
        for size in (20, 999, None)
    )
    assert fingerprint(one) == fingerprint(two) == fingerprint(three)
    automatic, given = (
        mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(*circles(100), epochs=3, batch_size=size)
        for size in ("auto", 32)
    )
    assert fingerprint(automatic) == fingerprint(given)


def test_views_stay_valid():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    parameters, weights, biases = net.parameters, net.weights, net.biases
    net.fit(X, y, epochs=2).reset()
    net.fit(X, y, epochs=2)
    assert parameters.tobytes() == net.parameters.tobytes()
    for view, now in zip((*weights, *biases), (*net.weights, *net.biases), strict=True):
        assert np.shares_memory(view, now)
        assert np.shares_memory(view, parameters)
    weights[0][1, 2] = 7.0
    biases[1][0] = -3.0
    assert net.parameters[1 * 4 + 2] == 7.0
    assert net.parameters[-1] == -3.0
    unpacked = net.unpack(parameters)
    assert np.shares_memory(unpacked[0][0], parameters)


def test_copy_to_another_dtype():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=2)
    single = net.copy(dtype="float32")
    assert str(np.dtype(single.dtype)) == "float32"
    assert single.parameters.tobytes() == net.parameters.astype(np.float32).tobytes()
    single.fit(X, y, epochs=1)
    net.fit(X, y, epochs=1)
    assert np.allclose(single.parameters, net.parameters, atol=1e-5)


def test_predict():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    binary = mlpc.Network([3, 4, 1], loss="binary_cross_entropy", seed=0)
    outputs = binary.predict_proba(X)
    assert outputs.shape == (30, 1)
    for threshold in (0.0, 0.3, 0.5, 1.0):
        labels = binary.predict(X, threshold=threshold)
        assert labels.dtype == np.int64
        assert np.array_equal(labels, (outputs[:, 0] >= threshold).astype(np.int64))
    assert np.array_equal(binary.predict(X), binary.predict(X, threshold=0.5))
    several = mlpc.Network([3, 4, 2], loss="binary_cross_entropy", seed=0)
    assert np.array_equal(several.predict(X, threshold=[0.4, 0.6]), several.predict_proba(X) >= [0.4, 0.6])
    softmax = mlpc.Network([3, 4, 5], loss="categorical_cross_entropy", seed=0)
    assert np.array_equal(softmax.predict(X), softmax.predict_proba(X).argmax(axis=1))
    assert softmax.predict(X).dtype == np.int64
    one = mlpc.Network([3, 4, 1], loss="huber", dtype="float32", seed=0)
    assert one.predict(X).shape == (30,)
    assert one.predict(X).dtype == np.float32
    assert mlpc.Network([3, 4, 2], loss="huber", seed=0).predict(X).shape == (30, 2)
