"""How a run ends and what sees it on the way: early stopping, callbacks, divergence."""

import warnings

import numpy as np
import pytest
from conftest import OPTIMIZERS, circles, columns, fingerprint

import mlpc

# ---- Stopping.

SCORES = [5.0, 4.0, 3.0, 3.5, 3.0, 2.95, 2.0, 1.0]


def scores(net, epoch, logs):
    logs["score"] = SCORES[epoch - 1]


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "rmsprop"])
@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_early_stopping(optimizer, mode, sign):
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=OPTIMIZERS[optimizer](), seed=0)

    def signed(net, epoch, logs):
        logs["score"] = sign * SCORES[epoch - 1]

    stop = {"monitor": "score", "mode": mode, "patience": 3, "min_delta": 0.1}
    net = make().fit(X, y, epochs=8, callbacks=signed, early_stopping=mlpc.EarlyStopping(**stop))
    assert len(net.history.loss) == 6
    assert net.history.stop_reason == "early_stopping"
    assert net.history.best_epoch == 3
    assert net.history["score"].tolist() == [sign * score for score in SCORES[:6]]
    best = make().fit(X, y, epochs=3)
    assert net.parameters.tobytes() == best.parameters.tobytes()
    state, best_state = net._get_state(), best._get_state()
    assert state["optimizer_state"].tobytes() == best_state["optimizer_state"].tobytes()
    assert state["progress"]["optimizer_step"] == best_state["progress"]["optimizer_step"]

    last = make().fit(X, y, epochs=8, callbacks=signed, early_stopping=mlpc.EarlyStopping(**stop, restore_best=False))
    assert last.parameters.tobytes() == make().fit(X, y, epochs=6).parameters.tobytes()
    assert last.history.best_epoch == 3


def test_early_stopping_restores_however_fit_ends():
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)

    best = make().fit(X, y, epochs=3).parameters.tobytes()
    stop = mlpc.EarlyStopping(monitor="score", patience=100, min_delta=0.1)
    net = make().fit(X, y, epochs=5, callbacks=scores, early_stopping=stop)
    assert net.history.stop_reason == "epochs"
    assert net.parameters.tobytes() == best
    net = make().fit(X, y, epochs=8, callbacks=[scores, lambda net, epoch, logs: epoch == 4], early_stopping=stop)
    assert net.history.stop_reason == "callback"
    assert net.parameters.tobytes() == best


def test_better_by_min_delta_is_not_better():
    """As numbers are: 4 - 0.1 is 3.9, though 4 - 3.9 is more than 0.1."""
    X, y = circles()
    for mode, sign in (("min", 1), ("max", -1)):

        def score(net, epoch, logs, sign=sign):
            logs["score"] = sign * (4.0 if epoch == 1 else 3.9)

        stop = mlpc.EarlyStopping(monitor="score", mode=mode, patience=2, min_delta=0.1)
        net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
        net.fit(X, y, epochs=9, callbacks=score, early_stopping=stop)
        assert (net.history.best_epoch, net.epoch) == (1, 3)


def test_a_score_that_is_no_number_is_not_the_best():
    X, y = circles()

    def score(net, epoch, logs):
        logs["score"] = 3.0 if epoch == 2 else np.nan

    for mode in ("min", "max"):
        net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
        net.fit(X, y, callbacks=score, early_stopping=mlpc.EarlyStopping("score", mode, patience=3))
        assert (net.epoch, net.history.best_epoch) == (5, 2)


def test_early_stopping_counts_afresh():
    X, y = circles()
    stop = mlpc.EarlyStopping(monitor="score", patience=2, restore_best=False)

    def worse(net, epoch, logs):
        logs["score"] = epoch

    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    for total in (3, 6):
        net.fit(X, y, epochs=10, callbacks=worse, early_stopping=stop)
        assert net.epoch == total
        assert net.history.stop_reason == "early_stopping"


def test_early_stopping_watches_validation_loss():
    X, y = circles(100)
    net = mlpc.Network([2, 30, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(2.0), seed=0)
    net.fit(X, y, epochs=400, validation_data=[X[:30], 1 - y[:30]], early_stopping=True)
    assert net.history.stop_reason == "early_stopping"
    validation = net.history.validation_loss
    best = int(np.argmin(validation))
    assert net.history.best_epoch == best + 1
    assert len(validation) == best + 11
    assert net.objective(X[:30], 1 - y[:30]) == pytest.approx(validation[best], rel=1e-13)


def test_early_stopping_needs_what_it_watches():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    before = fingerprint(net)
    with pytest.raises(ValueError, match="validation"):
        net.fit(X, y, early_stopping=True)
    assert fingerprint(net) == before
    with pytest.raises(ValueError, match="nothing_of_the_kind"):
        net.fit(X, y, batch_size=8, early_stopping=mlpc.EarlyStopping("nothing_of_the_kind"), callbacks=scores)
    assert fingerprint(net) == before  # found after an epoch, but an argument was wrong


# ---- Callbacks.


def test_callbacks_see_a_finished_epoch():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    seen = []

    def look(net_, epoch, logs):
        assert net_ is net
        seen.append((epoch, net.epoch, dict(logs), len(net.history.loss), net.predict_proba(X[:3]).tobytes()))
        assert net.history.loss[-1] == logs["loss"]
        assert logs["validation_loss"] == net.history.validation_loss[-1]
        assert logs["learning_rate"] == 0.001
        logs["half"] = epoch / 2

    net.fit(X, y, epochs=3, callbacks=[look, lambda *_: None], validation_data=(X, y))
    assert [(epoch, total, length) for epoch, total, _, length, _ in seen] == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    assert net.history["half"].tolist() == [0.5, 1.0, 1.5]
    net.fit(X, y, epochs=1)
    assert np.isnan(net.history["half"][-1])
    assert len(net.history["half"]) == 4


def test_a_copy_has_what_the_callbacks_before_it_added():
    X, y = circles()
    copies = []

    def add(net, epoch, logs):
        logs.update(kept=epoch, changed=epoch, given_up=epoch)

    def change(net, epoch, logs):
        copies.append(net.copy())
        logs["changed"] = -epoch
        del logs["given_up"]

    callbacks = [add, change, lambda net, epoch, logs: copies.append(net.copy())]
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=2, callbacks=callbacks)
    early, late = copies[:2]
    assert [early.history[name].tolist() for name in ("kept", "changed", "given_up")] == [[1.0], [1.0], [1.0]]
    assert [late.history[name].tolist() for name in ("kept", "changed")] == [[1.0], [-1.0]]
    assert "given_up" not in late.history.to_frame()
    late.fit(X, y, epochs=1, callbacks=callbacks)
    for history in (net.history, late.history):
        assert history["kept"].tolist() == [1.0, 2.0]
        assert history["changed"].tolist() == [-1.0, -2.0]
        assert "given_up" not in history.to_frame()


def test_callbacks_resume_like_the_run_itself():
    """What is copied in a callback goes on as the run does."""
    X, y = circles()
    copies = []
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", dropout=0.2, seed=0)
    net.fit(X, y, epochs=4, batch_size=8, callbacks=lambda net, epoch, logs: copies.append(net.copy()))
    whole = net.copy().fit(X, y, epochs=1, batch_size=8)
    for copy in copies:
        copy.fit(X, y, epochs=5 - copy.epoch, batch_size=8)
        assert copy.parameters.tobytes() == whole.parameters.tobytes()


def test_callbacks_write_parameters():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)

    def halve(net, epoch, logs):
        net.parameters[:] *= 0.5

    net.fit(X, y, epochs=3, callbacks=halve)
    by_hand = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    for _ in range(3):
        by_hand.fit(X, y, epochs=1)
        by_hand.parameters[:] *= 0.5
    assert net.parameters.tobytes() == by_hand.parameters.tobytes()


def test_fit_within_a_callback():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    errors = []

    def again(net, epoch, logs):
        calls = (
            lambda: net.fit(X, y, epochs=1),
            lambda: net.partial_fit(X, y),
            net.reset,
            lambda: net.fold_input(0, 2),
            lambda: setattr(net, "optimizer", "sgd"),
        )
        for call in calls:
            with pytest.raises(RuntimeError, match="not within a callback of this network's own training"):
                call()
            errors.append(epoch)
        assert len(net.history) == net.copy().epoch == epoch

    net.fit(X, y, epochs=2, callbacks=again)
    assert errors == 5 * [1] + 5 * [2]
    assert fingerprint(net) == fingerprint(
        mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=2)
    )


def test_exceptions_leave_the_completed_epoch():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", dropout=0.1, seed=0)

    def fail(net, epoch, logs):
        if epoch == 3:
            raise KeyError("of the callback's own")

    net.fit(X, y, epochs=1, batch_size=8, early_stopping=mlpc.EarlyStopping("loss"))
    with pytest.raises(KeyError, match="of the callback's own"):
        net.fit(X, y, epochs=4, callbacks=fail, batch_size=8)
    assert net.epoch == 3
    assert net.history.stop_reason is None
    assert net.history.best_epoch == 1 + np.argmin(net.history.loss) > 1  # no longer that of the fit before
    other = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", dropout=0.1, seed=0).fit(X, y, epochs=3, batch_size=8)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert columns(net)["loss"].tobytes() == columns(other)["loss"].tobytes()
    net.fit(X, y, epochs=2, batch_size=8)
    assert net.parameters.tobytes() == other.fit(X, y, epochs=2, batch_size=8).parameters.tobytes()


def test_a_fit_that_does_not_begin_leaves_what_ended_the_last_one():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=2)
    with pytest.raises(ValueError, match="X"):
        net.fit(X[:, :1], y, epochs=2)
    assert net.history.stop_reason == "epochs"


@pytest.mark.parametrize("name", ["loss", "learning_rate", "validation_loss"])
def test_callbacks_do_not_change_what_training_found(name):
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)

    def change(net, epoch, logs):
        logs[name] += epoch - 1

    with pytest.raises(ValueError, match=rf"callbacks must not change logs\['{name}'\] to "):
        net.fit(X, y, epochs=3, validation_data=(X, y), callbacks=change)
    assert net.epoch == 2


def test_a_validation_loss_that_is_no_number_is_not_taken_for_a_change():
    net = mlpc.Network([1, 2, 1], loss="squared_error", hidden_activation="identity", bias=False, seed=0)
    net.parameters = [10.0, 10.0, 1.0, -1.0]
    net.fit([[0.0]], [0.0], epochs=2, validation_data=([[1e308]], [0.0]), callbacks=lambda *_: None)
    assert np.isnan(net.history.validation_loss).all()


def test_callbacks_may_clear_their_logs():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    seen = []
    callbacks = [lambda net, epoch, logs: logs.clear(), lambda net, epoch, logs: seen.append(dict(logs))]
    net.fit(X, y, epochs=2, callbacks=callbacks)
    assert seen == [{}, {}]
    assert (net.history.loss > 0).all()


def test_a_callback_stops():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    net.fit(X, y, epochs=9, callbacks=lambda net, epoch, logs: epoch == 2)
    assert net.epoch == 2
    assert net.history.stop_reason == "callback"


# ---- Divergence.


def diverging(dtype="float64"):
    """Finite for three epochs, then a learning rate that no number survives, from the epoch's second batch on."""
    schedule = mlpc.StepDecay(3, 1e300 if dtype == "float64" else 1e38)
    return mlpc.Network(
        [2, 4, 1],
        loss="squared_error",
        hidden_activation="identity",
        dtype=dtype,
        optimizer=mlpc.SGD(1e-3, schedule=schedule),
        seed=0,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence(dtype):
    X, y = circles(40)
    net, finite = diverging(dtype), diverging(dtype).fit(X, y, epochs=3, batch_size=10)
    with pytest.warns(mlpc.DivergenceWarning, match=r"(?=.*epoch 4\b)(?=.*step 2\b)"):
        net.fit(X, y, epochs=10, batch_size=10)
    assert net.history.stop_reason == "diverged"
    assert net.parameters.tobytes() == finite.parameters.tobytes()
    assert net.epoch == 3
    assert net.step == 12
    assert len(net.history.loss) == 3

    net = diverging(dtype)
    with pytest.raises(FloatingPointError, match=r"(?=.*epoch 4\b)(?=.*step 2\b)"):
        net.fit(X, y, epochs=10, batch_size=10, on_divergence="raise")
    assert net.parameters.tobytes() == finite.parameters.tobytes()
    assert net.epoch == 3


def test_divergence_takes_back_the_order_drawn():
    X, y = circles(40)
    net, finite = diverging(), diverging().fit(X, y, epochs=3, batch_size=10)
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit(X, y, epochs=10, batch_size=10)
    for each in (net, finite):
        each.optimizer = mlpc.SGD(1e-3)
        each.fit(X, y, epochs=1, batch_size=10)
    assert net.parameters.tobytes() == finite.parameters.tobytes()

    net = diverging()
    state = net._bit_generator.state
    for rows, batch_size in ((X.tolist(), 64), (X.tolist(), 40), (X, 40)):
        net = diverging()
        with pytest.warns(mlpc.DivergenceWarning):  # no order was: all rows are one batch
            net.fit(rows, y, epochs=100, batch_size=batch_size)
        assert net.epoch > 0
        assert net._bit_generator.state == state


@pytest.mark.parametrize("rule", [mlpc.Adam, mlpc.AdamW])
@pytest.mark.parametrize("clip_norm", [None, 1e30])
def test_divergence_with_adam(rule, clip_norm):
    """Without clip_norm the weights of a step that diverges have changed before its loss is looked at."""
    X, y = circles(40)
    nets = []
    for _ in range(2):
        optimizer = rule(1e-3, schedule=mlpc.StepDecay(3, 1e300), clip_norm=clip_norm)
        nets.append(mlpc.Network([2, 40, 1], loss="squared_error", optimizer=optimizer, seed=0))
        nets[-1].fit(X, y, epochs=3, batch_size=10)
    net, finite = nets
    with pytest.warns(mlpc.DivergenceWarning, match=r"(?=.*epoch 4\b)(?=.*step 2\b)"):
        net.fit(X, y, epochs=10, batch_size=10)
    for each in nets:  # the means are those of the last finite epoch as well
        each.optimizer = rule(1e-3)
        each.fit(X, y, epochs=1, batch_size=10)
    assert net.parameters.tobytes() == finite.parameters.tobytes()


@pytest.mark.parametrize("rule", [mlpc.Adam, mlpc.AdamW, mlpc.RMSprop])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_average_that_overflows_is_divergence(rule, dtype):
    """Its square root would divide all steps to come down to nothing, while loss and parameters stay finite."""
    large = 1e12 if dtype == "float32" else 1e80
    net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros", dtype=dtype, optimizer=rule(0.1))
    net.fit([[1.0], [2.0]], [3.0, 5.0], epochs=3)
    before = fingerprint(net)
    with pytest.warns(mlpc.DivergenceWarning, match="averages"):
        net.partial_fit([[large]], [large])
    assert fingerprint(net) == before
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit([[large]], [large])
    net.fit([[1.0], [2.0]], [3.0, 5.0], epochs=500)
    assert net.history.loss[-1] < 0.1


def test_a_norm_that_overflows_is_divergence_and_no_step_of_zero():
    net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros", optimizer=mlpc.SGD(0.1, clip_norm=1.0))
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit([[1e80]], [1e80])
    assert net.epoch == 0


def test_a_penalty_that_overflows_is_divergence():
    net = mlpc.Network([1, 1], loss="squared_error", l2=1.0, optimizer=mlpc.SGD(1e-3), seed=0)
    net.parameters = [1e160, 0.0]
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit([[0.0]], [0.0])
    assert net.epoch == 0


def test_divergence_of_a_single_pass():
    X, y = circles(40)
    net = diverging().fit(X, y, epochs=3, batch_size=10)
    before = fingerprint(net)
    with pytest.warns(mlpc.DivergenceWarning, match="The network is at the state before this call; try"):
        net.partial_fit(X, y, batch_size=10)
    assert fingerprint(net) == before


def test_divergence_restores_the_best_epoch():
    X, y = circles(40)
    net, best = diverging(), diverging().fit(X, y, epochs=2, batch_size=10)

    def watch(net, epoch, logs):
        logs["score"] = [3.0, 1.0, 2.0][epoch - 1]

    again, last = net.copy(), net.copy()
    stopping = {"callbacks": watch, "early_stopping": mlpc.EarlyStopping("score")}
    with pytest.warns(mlpc.DivergenceWarning, match="The network is at the best epoch; try"):
        net.fit(X, y, epochs=9, batch_size=10, **stopping)
    with pytest.raises(FloatingPointError, match="The network is at the best epoch; try"):
        again.fit(X, y, epochs=9, batch_size=10, on_divergence="raise", **stopping)
    assert again.parameters.tobytes() == best.parameters.tobytes()
    assert net.history.stop_reason == "diverged"
    assert net.history.best_epoch == 2
    assert net.parameters.tobytes() == best.parameters.tobytes()
    stopping["early_stopping"] = mlpc.EarlyStopping("score", restore_best=False)
    with pytest.warns(mlpc.DivergenceWarning, match="The network is at the last finite epoch; try"):
        last.fit(X, y, epochs=9, batch_size=10, **stopping)
    assert last.parameters.tobytes() == diverging().fit(X, y, epochs=3, batch_size=10).parameters.tobytes()


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop", "adam"])
def test_divergence_of_a_first_epoch(optimizer):
    """Squares that overflow: the network stays where it was."""
    X, y = circles(40)
    net = mlpc.Network([2, 4, 1], loss="squared_error", hidden_activation="identity", optimizer=optimizer, seed=0)
    net.parameters[:] = 1e154
    before = net.parameters.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(X, y, epochs=3, batch_size=None, early_stopping=mlpc.EarlyStopping("loss"))
    assert [warning.category for warning in caught] == [mlpc.DivergenceWarning]
    assert "epoch 1" in str(caught[0].message)
    assert "The network is at the last finite epoch; try" in str(caught[0].message)  # there is no best one
    assert net.parameters.tobytes() == before.tobytes()
    assert net.history.stop_reason == "diverged"


def test_a_gradient_that_is_not_finite_is_no_convergence():
    net = mlpc.Network([1, 1], loss="squared_error", bias=False, dtype="float32", optimizer="lbfgs", seed=0)
    net.parameters = [1e-35]
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit([[3e38], [-3e38]], [-1e5, -1e5])
    assert net.history.stop_reason == "diverged"


def test_a_label_that_turns_bad_is_named():
    """Labels become indices: they are looked at in every epoch."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60000, 4)), rng.integers(0, 3, 60000)
    net = mlpc.Network([4, 5, 3], loss="categorical_cross_entropy", seed=0)

    def change(net, epoch, logs):
        y[40001] = 9

    with pytest.raises(ValueError, match=r"y\[40001\] is 9: it must be a whole number from 0 to 2"):
        net.fit(X, y, epochs=3, batch_size=None, callbacks=change)


@pytest.mark.parametrize("loss", ["squared_error", "log_cosh", "poisson"])
def test_a_row_of_weight_0_is_none_at_all(loss):
    net = mlpc.Network([1, 1], loss=loss, dtype="float32", seed=0)
    net.parameters = [1.0, 0.0]
    X, y, weight = [[1e30], [1.0], [2.0]], [0.0, 1.0, 2.0], [0.0, 1.0, 1.0]
    assert net.objective(X, y, sample_weight=weight) == net.objective(X[1:], y[1:])
    assert np.isfinite(net.fit(X, y, sample_weight=weight, epochs=3).parameters).all()


def test_a_callback_comes_before_other_reasons_to_stop():
    """In one epoch a callback stops and patience runs out; then with L-BFGS, which converges in that epoch."""
    X, y = circles()

    def third(net, epoch, logs):
        logs["score"] = epoch
        return epoch == 3

    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    net.fit(X, y, callbacks=third, early_stopping=mlpc.EarlyStopping("score", patience=2))
    assert (net.epoch, net.history.stop_reason) == (3, "callback")

    X, y = np.random.default_rng(4).normal(size=(60, 5)), np.random.default_rng(5).normal(size=60)

    def make():
        return mlpc.Network([5, 1], loss="squared_error", optimizer="lbfgs", seed=0)

    last = make().fit(X, y, epochs=200).epoch
    net = make().fit(X, y, epochs=200, callbacks=lambda net, epoch, logs: epoch == last)
    assert (net.epoch, net.history.stop_reason) == (last, "callback")


@pytest.mark.parametrize(
    ("mode", "scores", "best"),
    [
        ("max", [np.inf, 5, 1], 1),
        ("max", [1, np.inf, 2], 2),
        ("min", [np.inf, 5, 9], 2),
        ("min", [np.nan, -np.inf, 1], 2),
    ],
)
def test_scores_that_are_not_finite(mode, scores, best):
    """Infinity may be the best there is; NaN is not better than anything."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    net = mlpc.Network([2, 1], loss="squared_error", seed=0)
    stopping = mlpc.EarlyStopping("score", mode, patience=9)
    net.fit(
        X, X[:, 0], epochs=3, callbacks=lambda net, e, logs: logs.update(score=scores[e - 1]), early_stopping=stopping
    )
    assert net.history.best_epoch == best
