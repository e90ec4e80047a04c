"""Update rules, schedules and clipping against their NumPy twins, and the rules' own edge cases."""

import math
import pickle

import numpy as np
import pytest
import reference
from conftest import assert_close, circles, columns, make_data
from reference import LOSSES, Twin, initial_parameters

import mlpc

SIZES = [4, 9, 5, 2]
# name -> (the optimizer, its twin): each with settings of its own, so that none is ignored unnoticed.
FIRST_ORDER = {
    "sgd": (lambda **k: mlpc.SGD(0.05, **k), lambda: reference.SGD(0.05)),
    "momentum": (lambda **k: mlpc.SGD(0.02, momentum=0.8, **k), lambda: reference.SGD(0.02, 0.8)),
    "nesterov": (
        lambda **k: mlpc.SGD(0.02, momentum=0.8, nesterov=True, **k),
        lambda: reference.SGD(0.02, 0.8, True),
    ),
    "classic": (
        lambda **k: mlpc.SGD(0.02, momentum=0.8, classic=True, **k),
        lambda: reference.SGD(0.02, 0.8, classic=True),
    ),
    "classic_nesterov": (
        lambda **k: mlpc.SGD(0.02, momentum=0.8, nesterov=True, classic=True, **k),
        lambda: reference.SGD(0.02, 0.8, True, classic=True),
    ),
    "adam": (lambda **k: mlpc.Adam(0.01, **k), lambda: reference.Adam(0.01)),
    "adam_classic": (
        lambda **k: mlpc.Adam(0.01, epsilon=1e-3, classic=True, **k),
        lambda: reference.Adam(0.01, epsilon=1e-3, classic=True),
    ),
    "adam_settings": (
        lambda **k: mlpc.Adam(0.02, beta_1=0.7, beta_2=0.95, epsilon=1e-3, **k),
        lambda: reference.Adam(0.02, 0.7, 0.95, 1e-3),
    ),
    "adamw": (lambda **k: mlpc.AdamW(0.01, weight_decay=0.2, **k), lambda: reference.Adam(0.01, weight_decay=0.2)),
    "rmsprop": (lambda **k: mlpc.RMSprop(0.005, **k), lambda: reference.RMSprop(0.005)),
    "rmsprop_momentum": (
        lambda **k: mlpc.RMSprop(0.002, rho=0.8, epsilon=1e-4, momentum=0.6, **k),
        lambda: reference.RMSprop(0.002, 0.8, 1e-4, 0.6),
    ),
}
FULL_BATCH = {
    "rprop": (lambda: mlpc.Rprop(), lambda: reference.Rprop()),
    "rprop_settings": (
        lambda: mlpc.Rprop(0.02, eta_minus=0.4, eta_plus=1.5, step_min=1e-3, step_max=0.05),
        lambda: reference.Rprop(0.02, 0.4, 1.5, 1e-3, 0.05),
    ),
    "lbfgs": (lambda: mlpc.LBFGS(), lambda: reference.LBFGS()),
    "lbfgs_short": (lambda: mlpc.LBFGS(history_size=3), lambda: reference.LBFGS(3)),
}
SCHEDULES = {
    "step": (lambda: mlpc.StepDecay(3, 0.5), lambda: lambda e, step: reference.step_decay(e, step, 3, 0.5)),
    "exponential": (
        lambda: mlpc.ExponentialDecay(0.9),
        lambda: lambda e, step: reference.exponential_decay(e, step, 0.9),
    ),
    "inverse": (lambda: mlpc.InverseScaling(0.7), lambda: lambda e, step: reference.inverse_scaling(e, step, 0.7)),
    "cosine": (
        lambda: mlpc.CosineDecay(15, minimum=0.1),
        lambda: lambda e, step: reference.cosine_decay(e, step, 15, 0.1),
    ),
    "warmup": (
        lambda: mlpc.CosineDecay(18, warmup=4),
        lambda: lambda e, step: reference.cosine_decay(e, step, 18, 0.0, 4),
    ),
    "one_cycle": (
        lambda: mlpc.OneCycle(18, peak=4.0, start_fraction=0.4),
        lambda: lambda e, step: reference.one_cycle(e, step, 18, 4.0, 0.4),
    ),
    "plateau": (
        lambda: mlpc.ReduceOnPlateau("loss", factor=0.5, patience=1, min_delta=0.02, minimum=0.1),
        lambda: reference.Plateau(0.5, 1, 0.02, 0.1),
    ),
    "callable": (lambda: lambda epoch: 1 / (1 + epoch), lambda: lambda e, step: 1 / (1 + math.floor(e))),
}


def run(optimizer, rule, *, loss="squared_error", reduction="mean", batch_size=16, weight=None, **twin_options):
    """Both trained alike from the documented first draws: (network, its twin's parameters, the twin's losses)."""
    X, y = make_data(np.random.default_rng(9), 50, SIZES[0], SIZES[-1], loss)
    net = mlpc.Network(
        SIZES, loss=loss, hidden_activation="tanh", reduction=reduction, l2=0.01, optimizer=optimizer, seed=21
    )
    net.fit(X, y, epochs=20, batch_size=batch_size, sample_weight=weight)
    twin = Twin(SIZES, "tanh", loss, reduction=reduction, l2=0.01)
    rng = np.random.default_rng(21)
    p = initial_parameters(twin, rng)
    if getattr(rule, "weight_decay", 0):
        rule.decays = twin.is_weight()
    losses = reference.fit(
        twin, p, rule, X, y, epochs=20, batch_size=batch_size, rng=rng, weight=weight, **twin_options
    )
    return net, p, losses


@pytest.mark.parametrize("name", FIRST_ORDER)
@pytest.mark.parametrize(
    ("reduction", "batch_size"), [("mean", 16), ("mean", None), ("sum", 16), ("sum", 7), ("penalized_mean", 16)]
)
def test_first_order(name, reduction, batch_size):
    optimizer, rule = (make() for make in FIRST_ORDER[name])
    weight = np.random.default_rng(3).random(50) * (0.05 if reduction == "sum" else 1.0)
    net, p, losses = run(optimizer, rule, reduction=reduction, batch_size=batch_size, weight=weight)
    assert_close(net.parameters, p, 1e-12)
    assert_close(net.history["loss"], losses, 1e-12)
    assert net.step == 20 * {16: 4, None: 1, 7: 8}[batch_size]
    assert np.all(columns(net)["learning_rate"] == rule.learning_rate)


@pytest.mark.parametrize("name", FULL_BATCH)
@pytest.mark.parametrize("loss", ["squared_error", "categorical_cross_entropy", "poisson"])
def test_full_batch_rules(name, loss):
    optimizer, rule = (make() for make in FULL_BATCH[name])
    net, p, losses = run(optimizer, rule, loss=loss, batch_size=None)
    lbfgs = name.startswith("lbfgs")
    # Each search branches on comparisons and its steps carry the last bits of all before it.
    assert_close(net.parameters, p, 1e-7 if lbfgs else 1e-12)
    assert_close(net.history["loss"], losses, 1e-7 if lbfgs else 1e-12)
    assert len(net.history["loss"]) == 20


@pytest.mark.parametrize("name", ["momentum", "adamw", "rmsprop_momentum"])
@pytest.mark.parametrize("clip_norm", [0.05, 0.5, 1e3])
def test_clipping(name, clip_norm):
    optimizer, rule = FIRST_ORDER[name]
    net, p, losses = run(optimizer(clip_norm=clip_norm), rule(), clip_norm=clip_norm)
    assert_close(net.parameters, p, 1e-12)
    assert_close(net.history["loss"], losses, 1e-12)


@pytest.mark.parametrize("name", ["sgd", "classic", "classic_nesterov", "adam", "adamw"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(name, schedule):
    optimizer, rule = FIRST_ORDER[name]
    made, twin_schedule = (make() for make in SCHEDULES[schedule])
    net, p, losses = run(optimizer(schedule=made), rule(), schedule=twin_schedule)
    assert_close(net.parameters, p, 1e-12)
    assert_close(net.history["loss"], losses, 1e-12)


def test_learning_rates_in_history():
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")
    for schedule, expected in (
        (mlpc.StepDecay(2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
        (mlpc.ExponentialDecay(0.5), [1, 0.5, 0.25, 0.125, 0.0625]),
        (lambda epoch: epoch + 1.0, [1, 2, 3, 4, 5]),
        (mlpc.InverseScaling(1.0), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    ):
        net = mlpc.Network([3, 2, 1], loss="huber", optimizer=mlpc.SGD(0.001, schedule=schedule), seed=0)
        net.fit(X, y, epochs=2).fit(X, y, epochs=3)
        assert net.history["learning_rate"] == pytest.approx(0.001 * np.array(expected), rel=1e-14)


def test_decays_reach_0():
    for schedule in (mlpc.StepDecay(1, 0.5), mlpc.ExponentialDecay(0.5)):
        assert [schedule(epoch) for epoch in (1e4, 1e18, 2.0**64, 1e30)] == [0] * 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_that_forgets_at_once(dtype):
    """With both decays 0 each step is rate times the gradient's sign, however much smaller than the last one it is."""
    adam = mlpc.Adam(1e-3, beta_1=0.0, beta_2=0.0)
    net = mlpc.Network([1, 1], loss="half_squared_error", bias=False, dtype=dtype, optimizer=adam, seed=0)
    place = float(net.parameters[0])
    for slope in (1.0, 1e-5, -1e-5, 1e-4):
        net.partial_fit([[1.0]], [place - slope])
        moved, place = float(net.parameters[0]) - place, float(net.parameters[0])
        assert moved == pytest.approx(-1e-3 * np.sign(slope), rel=2e-2)


def test_plateau_counts_epochs():
    """Reduced after patience + 1 epochs no better than the best; a value that callbacks give may be watched."""
    values = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5]
    schedule = mlpc.ReduceOnPlateau("score", factor=0.5, patience=1, minimum=0.2)
    net = mlpc.Network([3, 2, 1], loss="huber", optimizer=mlpc.SGD(1e-3, schedule=schedule), seed=0)
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")

    def score(net, epoch, logs):
        logs["score"] = values[epoch - 1]

    net.fit(X, y, epochs=12, callbacks=score)
    expected = [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert net.history["learning_rate"] == pytest.approx(1e-3 * np.array(expected), rel=1e-14)
    assert net.history["score"].tolist() == values


@pytest.mark.parametrize(
    "optimizer",
    [
        mlpc.SGD(0.01, momentum=0.8),
        mlpc.Adam(0.01, beta_1=0.8, beta_2=0.7),
        mlpc.AdamW(0.01, beta_1=0.8, beta_2=0.7),
        mlpc.RMSprop(0.01, rho=0.7, momentum=0.8),
    ],
    ids=lambda o: o.rule,
)
@pytest.mark.parametrize("sizes", [[2, 3, 1], [2, 40, 30, 1]], ids=str)  # samples in the lanes, and by units
def test_averages_fade_to_zero(sizes, optimizer):
    """Those of an input that is zero from some step on do not stay subnormal numbers, which divide slowly."""
    net = mlpc.Network(sizes, loss="squared_error", seed=0, dtype="float32", optimizer=optimizer)
    X, y = make_data(np.random.default_rng(1), 32, 2, 1, "squared_error")
    net.fit(X, y, epochs=2, batch_size=16)
    X[:, 1] = 0
    net.fit(X, y, epochs=254, batch_size=16)
    state = abs(net._get_state()["optimizer_state"]).reshape(-1, net.n_parameters)
    assert (state[:, sizes[1] : 2 * sizes[1]] == 0).all()
    assert (state[:, : sizes[1]] > 0).any()
    assert ((state == 0) | (state >= np.finfo("float32").tiny)).all()


def test_averages_do_not_fade_where_nothing_is_added_to_their_root():
    """Without an epsilon 0 / 0 would be no number."""
    optimizer = mlpc.Adam(0.01, beta_1=0.8, beta_2=0.7, epsilon=0.0)
    net = mlpc.Network(
        [2, 3, 1], loss="squared_error", hidden_activation="tanh", seed=0, dtype="float32", optimizer=optimizer
    )
    X, y = make_data(np.random.default_rng(1), 32, 2, 1, "squared_error")
    net.fit(X, y, epochs=2, batch_size=16)
    X[:, 1] = 0
    net.fit(X, y, epochs=254, batch_size=16)
    assert np.isfinite(net.parameters).all()


def test_rprop_step_bounds():
    """Steps grow to step_max on a slope that never turns, from the learning rate on."""
    net = mlpc.Network(
        [1, 1], loss="absolute_error", bias=False, seed=0, optimizer=mlpc.Rprop(0.5, eta_plus=2.0, step_max=3.0)
    )
    net.parameters = [0.0]
    places = []
    net.fit([[1.0]], [1000.0], epochs=5, callbacks=lambda net, epoch, logs: places.append(float(net.parameters[0])))
    assert places == [0.5, 1.5, 3.5, 6.5, 9.5]


def test_lbfgs_converges_and_says_so():
    """A quadratic: the minimum of a linear least squares problem, known in closed form."""
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    net = mlpc.Network([5, 1], loss="squared_error", optimizer="lbfgs", seed=0)
    net.fit(X, y, epochs=200)
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), y, rcond=None)[0]
    assert net.history.stop_reason == "converged"
    assert (net.history.learning_rate == 1).all()  # a step is searched for around it
    assert net.epoch < 60
    assert np.allclose(net.parameters, solution, rtol=0, atol=1e-5)
    epoch = net.epoch
    assert net.fit(X, y, epochs=10).history.stop_reason == "converged"
    assert net.epoch <= epoch + 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_looks_at_all_of_the_gradient(dtype):
    """It has one element that is not 0, the last."""
    for n in range(1, 40):
        net = mlpc.Network([n, 1], loss="squared_error", initializer="zeros", optimizer="lbfgs", dtype=dtype)
        net.fit(np.zeros((2, n)), [1.0, 1.0])
        assert net.parameters[-1] == pytest.approx(1.0)


def test_lbfgs_reaches_out_tenfold():
    """From the step 1, though two points of a parabola show where it ends: until the slope is 0.9 of the first one."""
    net = mlpc.Network([1, 1], loss="squared_error", bias=False, initializer="zeros", optimizer="lbfgs")
    net.fit([[0.01]], [1.0], epochs=1)
    assert net.parameters == pytest.approx([0.02 * 1000])


def test_lbfgs_never_climbs():
    X, y = make_data(np.random.default_rng(5), 80, 4, 3, "categorical_cross_entropy")
    net = mlpc.Network([4, 12, 3], loss="categorical_cross_entropy", optimizer="lbfgs", seed=0).fit(X, y, epochs=60)
    assert np.all(np.diff(net.history["loss"]) <= 0)
    assert net._evaluations < 60 * 1.6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs"])
def test_every_rule_lowers_every_loss(loss, optimizer):
    X, y = make_data(np.random.default_rng(6), 64, 3, 2, loss)
    for dtype in ("float32", "float64"):
        net = mlpc.Network([3, 8, 2], loss=loss, hidden_activation="tanh", optimizer=optimizer, dtype=dtype, seed=0)
        before = net.objective(X, y)
        net.fit(X, y, epochs=15)
        assert net.objective(X, y) < before


def test_changing_the_optimizer():
    """The same class keeps its state, another starts afresh."""
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    twin = Twin(SIZES, "tanh", "squared_error")
    net = mlpc.Network(SIZES, loss="squared_error", hidden_activation="tanh", optimizer=mlpc.Adam(0.01), seed=3)
    p = initial_parameters(twin, np.random.default_rng(3))
    rule = reference.Adam(0.01)
    net.fit(X, y, epochs=5, batch_size=None)
    reference.fit(twin, p, rule, X, y, epochs=5)
    net.optimizer = mlpc.Adam(0.002)
    rule.learning_rate = 0.002
    net.fit(X, y, epochs=5, batch_size=None)
    reference.fit(twin, p, rule, X, y, epochs=5)
    assert_close(net.parameters, p, 1e-12)
    net.optimizer = mlpc.RMSprop()
    net.fit(X, y, epochs=5, batch_size=None)
    reference.fit(twin, p, reference.RMSprop(), X, y, epochs=5)
    assert_close(net.parameters, p, 1e-12)
    assert net.optimizer == mlpc.RMSprop()


def test_another_optimizer_starts_its_schedule_anew():
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    never = mlpc.ReduceOnPlateau("loss", patience=0, min_delta=1e9, factor=0.1)
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.Adam(0.01, schedule=never), seed=3)
    net.fit(X, y, epochs=4)
    net.optimizer = mlpc.Adam(0.02, schedule=never)  # goes on: 0.1 ** 3 is what it had come to
    net.fit(X, y, epochs=1)
    net.optimizer = mlpc.SGD(0.01, schedule=never)
    net.fit(X, y, epochs=3)
    rates = [0.01, 0.01, 0.001, 0.0001, 0.02 * 0.001, 0.01, 0.01, 0.001]
    np.testing.assert_allclose(net.history.learning_rate, rates, rtol=1e-12)


def test_partial_fit_steps_by_the_rate_that_a_plateau_has_come_to():
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    never = mlpc.ReduceOnPlateau(patience=0, min_delta=1e9, factor=0.5)
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.SGD(0.01, schedule=never), seed=3)
    net.fit(X, y, epochs=3, validation_data=(X, y))
    before, gradient = net.parameters.copy(), net.gradient(X, y)
    net.partial_fit(X, y)  # which validates nothing
    np.testing.assert_allclose(net.parameters, before - 0.0025 * gradient, rtol=1e-12)


def test_the_lowest_value_of_all_is_one():
    values = iter([-np.inf, 0.0, 0.0, 0.0])
    schedule = mlpc.ReduceOnPlateau("score", patience=0, factor=0.5)
    net = mlpc.Network([3, 1], loss="huber", optimizer=mlpc.SGD(1e-3, schedule=schedule), seed=0)
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")
    net.fit(X, y, epochs=4, callbacks=lambda net, epoch, logs: logs.update(score=next(values)))
    assert net.history.learning_rate == pytest.approx([1e-3, 1e-3, 0.5e-3, 0.25e-3], rel=1e-14)


def test_an_epoch_whose_value_never_came_counts_for_nothing():
    schedule = mlpc.ReduceOnPlateau("score", patience=0, factor=0.5)
    net = mlpc.Network([3, 1], loss="huber", optimizer=mlpc.SGD(1e-3, schedule=schedule), seed=0)
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")

    def score(net, epoch, logs):
        if epoch == 2:
            raise KeyError(epoch)
        logs["score"] = 1 / epoch

    with pytest.raises(KeyError):
        net.fit(X, y, epochs=4, callbacks=[lambda *_: None, score])
    net.fit(X, y, epochs=3, callbacks=score)
    assert net.history.learning_rate == pytest.approx([1e-3] * 5, rel=1e-14)


def test_a_callbacks_value_counts_once():
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    schedule = mlpc.ReduceOnPlateau("score", patience=1, factor=0.5)
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.SGD(0.01, schedule=schedule), seed=3)
    net.fit(X, y, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=1.0))
    for _ in range(5):  # the second epoch's is no better than the first one's, and no callback says more
        before, gradient = net.parameters.copy(), net.gradient(X, y)
        net.partial_fit(X, y)
        np.testing.assert_allclose(net.parameters, before - 0.01 * gradient, rtol=1e-12)


@pytest.mark.parametrize("classic", [False, True])
def test_a_velocity_of_another_meaning_is_dropped(classic):
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.SGD(1e-3, 0.9, classic=not classic), seed=3)
    net.fit(X, y, epochs=3)
    fresh = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.SGD(1e-3, 0.9, classic=classic), seed=3)
    fresh.parameters = net.parameters
    net.optimizer = fresh.optimizer
    for one in (net, fresh):
        one.fit(X, y, epochs=2, shuffle=False)
    assert net.parameters.tobytes() == fresh.parameters.tobytes()


@pytest.mark.parametrize("batch_size", [1, 8, None])
def test_without_momentum_both_forms_are_one(batch_size):
    """The same bits, and of small networks the same ways of their own to take such steps."""
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    ends = set()
    for classic in (False, True):
        net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.SGD(3e-3, classic=classic), seed=3)
        ends.add(net.fit(X, y, epochs=3, batch_size=batch_size).parameters.tobytes())
    assert len(ends) == 1


@pytest.mark.parametrize("rule", [mlpc.SGD, mlpc.RMSprop])
def test_a_velocity_rests_while_the_momentum_is_0(rule, tmp_path):
    """As PyTorch's buffers do; it is saved and copied meanwhile."""
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=rule(0.01, momentum=0.9), seed=3).fit(X, y, epochs=3)
    same, moving = net.copy(), net.optimizer
    same.optimizer = rule(0.01)
    same.optimizer = moving
    assert same.fit(X, y, epochs=2).parameters.tobytes() == net.copy().fit(X, y, epochs=2).parameters.tobytes()
    velocity = net._get_state()["optimizer_state"][-net.n_parameters :]
    net.optimizer = rule(0.01)
    net.fit(X, y, epochs=2)
    assert np.array_equal(net._get_state()["optimizer_state"][-net.n_parameters :], velocity)
    net.save(tmp_path / "net.mlpc")
    others = [net.copy(), pickle.loads(pickle.dumps(net)), mlpc.load(tmp_path / "net.mlpc")]
    for other in (net, *others):
        other.optimizer = moving
        other.fit(X, y, epochs=2)
    assert {other.parameters.tobytes() for other in others} == {net.parameters.tobytes()}
    fresh = mlpc.Network(SIZES, loss="squared_error", optimizer=rule(0.01), seed=3)
    small = fresh._get_state()
    fresh.optimizer = moving
    fresh.optimizer = rule(0.01)
    fresh._set_state(small)
    assert fresh._get_state()["optimizer_state"].size == small["optimizer_state"].size
    for wrong in (1, 3 * net.n_parameters):
        with pytest.raises(ValueError, match="optimizer_state must have"):
            fresh._set_state(small | {"optimizer_state": np.zeros(wrong)})


def test_a_momentum_that_comes_later_leaves_the_averages():
    """The state has another vector then; so small a momentum moves nothing."""
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    nets = [mlpc.Network(SIZES, loss="squared_error", optimizer="rmsprop", seed=3).fit(X, y, epochs=3) for _ in "ab"]
    nets[1].optimizer = mlpc.RMSprop(momentum=1e-300)
    first, second = (net.fit(X, y, epochs=2).parameters.tobytes() for net in nets)
    assert first == second


def test_rprop_steps_may_shrink_to_0():
    X, y = make_data(np.random.default_rng(7), 40, 4, 2, "squared_error")
    net = mlpc.Network(SIZES, loss="squared_error", optimizer=mlpc.Rprop(step_min=0.0), seed=3)
    assert net.fit(X, y, epochs=30).objective(X, y) < net.history.loss[0]


def test_settings_are_values():
    for make, _ in [*FIRST_ORDER.values(), *FULL_BATCH.values()]:
        one, two = make(), make()
        assert one == two
        assert hash(one) == hash(two)
        assert pickle.loads(pickle.dumps(one)) == one
        assert repr(one) == repr(two)
        assert repr(one).startswith(type(one).__name__ + "(")
        with pytest.raises(AttributeError):
            one.learning_rate = 3.0
    assert mlpc.SGD(0.1) != mlpc.SGD(0.2)
    assert mlpc.Adam() != mlpc.AdamW()
    assert mlpc.SGD(schedule=mlpc.StepDecay(3)) == mlpc.SGD(schedule=mlpc.StepDecay(3))


@pytest.mark.parametrize("schedule", [mlpc.OneCycle(6), mlpc.CosineDecay(5), mlpc.CosineDecay(6, warmup=3)], ids=repr)
def test_the_history_has_the_rate_of_an_epochs_first_step(schedule):
    """Schedules that act per step: see the rate that the first of four steps had."""
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")
    net = mlpc.Network([3, 2, 1], loss="huber", optimizer=mlpc.SGD(0.001, schedule=schedule), seed=0)
    rates = net.fit(X, y, epochs=4, batch_size=5).history.learning_rate
    warmup = getattr(schedule, "warmup", 0)
    expected = [(e + 0.25) / warmup if e < warmup else schedule(e) for e in range(4)]
    assert rates == pytest.approx(0.001 * np.array(expected), rel=1e-13)


@pytest.mark.parametrize("schedule", [mlpc.OneCycle(6), mlpc.CosineDecay(6, warmup=2), mlpc.StepDecay(1)], ids=repr)
def test_partial_fit_goes_through_a_schedule_as_an_epoch_of_fit_does(schedule):
    X, y = circles()
    fitted, partial = (
        mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.1, schedule=schedule), seed=0)
        for _ in range(2)
    )
    for _ in range(3):
        fitted.fit(X, y, epochs=1, batch_size=16, shuffle=False)
        partial.partial_fit(X, y, batch_size=16).end_epoch()
        assert partial.parameters.tobytes() == fitted.parameters.tobytes()


def test_warming_up_ends_at_1():
    schedule = mlpc.CosineDecay(10, warmup=2)
    assert [schedule(epoch) for epoch in (0.0, 0.5, 1.0, 1.5)] == [0.5, 0.75, 1.0, 1.0]


def test_callbacks_write_parameters_under_lbfgs():
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer="lbfgs", seed=0)

    def halve(net, epoch, logs):
        net.parameters[:] *= 0.5

    net, by_hand = make().fit(X, y, epochs=3, callbacks=halve), make()
    for _ in range(3):
        by_hand.fit(X, y, epochs=1)
        by_hand.parameters[:] *= 0.5
    assert net.parameters.tobytes() == by_hand.parameters.tobytes()
    assert net.history.loss.tobytes() == by_hand.history.loss.tobytes()


@pytest.mark.parametrize("sizes", [(5, 20), (20, 3), (4, 1, 8), (2, 3, 2)])
def test_another_history_size_keeps_the_newest_pairs(sizes):
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", hidden_activation="tanh", optimizer="lbfgs", seed=0)
    twin, p, rule = Twin([2, 4, 1], "tanh", "binary_cross_entropy"), net.parameters.copy(), reference.LBFGS()
    losses = []
    for size in sizes:
        net.optimizer = mlpc.LBFGS(size)
        net.fit(X, y, epochs=5)
        rule.history_size = size
        losses.extend(reference.fit(twin, p, rule, X, y, epochs=5))
    assert_close(net.parameters, p, 1e-7)
    assert_close(net.history["loss"], losses, 1e-7)


def test_the_best_epoch_of_lbfgs_has_its_pairs():
    """What early stopping goes back to trains on like the run itself."""
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer="lbfgs", seed=0)

    def score(net, epoch, logs):
        logs["score"] = -epoch if epoch <= 4 else 0

    net = make().fit(X, y, epochs=30, callbacks=score, early_stopping=mlpc.EarlyStopping("score", patience=9))
    assert (net.epoch, net.history.best_epoch) == (13, 4)
    assert net.fit(X, y, epochs=5).parameters.tobytes() == make().fit(X, y, epochs=9).parameters.tobytes()


def test_lbfgs_converges_where_rounding_hides_the_rest():
    """Without a tolerance it ends when neither its pairs nor the gradient itself lead down any more."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(40, 3)), (rng.random(40) > 0.5) * 1.0
        settings = {"hidden_activation": "tanh", "dtype": "float32", "l2": 1e-3, "seed": seed}
        net = mlpc.Network([3, 4, 1], loss="huber", optimizer=mlpc.LBFGS(10, 0.0), **settings)
        assert net.fit(X, y, epochs=1000).history.stop_reason == "converged"
        assert net.epoch < 1000
        end, n_epochs = net.parameters.tobytes(), net.epoch
        assert net.fit(X, y, epochs=2).epoch == n_epochs  # no step is no epoch, however often it is asked for
        assert (net.history.stop_reason, len(net.history)) == ("converged", n_epochs)
        net.optimizer = mlpc.LBFGS(9, 0.0)  # with pairs forgotten
        assert net.fit(X, y, epochs=1000).parameters.tobytes() == end


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weight_of_zero_has_no_l1_slope(dtype):
    net = mlpc.Network([2, 3, 1], loss="squared_error", l1=0.5, initializer="zeros", dtype=dtype, seed=0)
    net.weights[0][0, 1] = -2.0
    gradient, _ = net.unpack(net.gradient(np.zeros((4, 2)), np.zeros(4)))
    assert gradient[0].tolist() == [[0, -0.5, 0], [0, 0, 0]]
    assert not gradient[1].any()


def test_an_optimizer_too_large_for_memory():
    net = mlpc.Network([3000, 3000, 3000], loss="squared_error", initializer="zeros", optimizer=mlpc.SGD(0.25))
    with pytest.raises((MemoryError, ValueError), match="optimizer's state"):
        net.optimizer = mlpc.LBFGS(1_000_000)  # 288 TB
    assert net.optimizer == mlpc.SGD(0.25)
    assert net.partial_fit(np.zeros((1, 3000)), np.zeros((1, 3000))).step == 1
