"""The Python face: settings as values, what a network says of itself, seeds, callbacks, progress, gradient checks."""

import copy
import inspect
import pickle
import signal
import threading
import warnings

import numpy as np
import pytest
from conftest import circles, fingerprint, make_data

import mlpc
from mlpc import _class_weight, _progress, gradcheck

SETTINGS = [
    mlpc.SGD(),
    mlpc.SGD(0.1, 0.9, True, schedule=mlpc.StepDecay(3), clip_norm=2),
    mlpc.Adam(0.01, 0.8, 0.99, 1e-7),
    mlpc.AdamW(weight_decay=0.1),
    mlpc.RMSprop(0.01, 0.8, 1e-6, 0.5),
    mlpc.Rprop(0.01, 0.4, 1.3, 1e-7, 10),
    mlpc.LBFGS(5, 1e-9),
    mlpc.StepDecay(3),
    mlpc.ExponentialDecay(0.5),
    mlpc.CosineDecay(10, 0.1, 2),
    mlpc.InverseScaling(1),
    mlpc.ReduceOnPlateau("accuracy", 0.5, 3, 0.01, 0.001),
    mlpc.OneCycle(10, 5, 0.2),
    mlpc.EarlyStopping("accuracy", "max", 3, 0.01, False),
    mlpc.Huber(2),
    mlpc.Quantile(0.1),
    mlpc.Quantile([0.1, 0.9]),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
def test_settings_are_values(settings):
    names = {name: getattr(mlpc, name) for name in mlpc.__all__}
    again = eval(repr(settings), names)
    assert again == settings
    assert hash(again) == hash(settings)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert repr(again) == repr(settings)
    with pytest.raises(AttributeError):
        settings.learning_rate = 3
    assert settings not in [other for other in SETTINGS if other is not settings]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mlpc.SGD(0.1, 0.9, True, None), r"SGD\(\) takes at most 3 positional arguments, got 4"),
        (lambda: mlpc.SGD(0.1, learning_rate=0.2), r"SGD\(\) got several values for learning_rate"),
        (lambda: mlpc.SGD(lr=0.1), r"SGD\(\) got an unexpected argument 'lr': there are .*learning_rate, momentum"),
        (lambda: mlpc.Rprop(schedule=None), r"Rprop\(\) got an unexpected argument 'schedule'"),
        (lambda: mlpc.StepDecay(factor=0.5), r"StepDecay\(\) is missing its argument every"),
        (lambda: mlpc.SGD(0.1).replace(rate=1), r"SGD\(\) got an unexpected argument 'rate'"),
    ],
)
def test_arguments_of_settings(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_settings_made_from_others():
    settings = mlpc.Adam(0.01, clip_norm=1.0, schedule=mlpc.StepDecay(10))
    assert settings.replace() == settings
    assert settings.replace(clip_norm=None) == mlpc.Adam(0.01, schedule=mlpc.StepDecay(10))
    assert copy.deepcopy(settings) == copy.copy(settings) == settings
    shared = {name: value for name, value in settings.values().items() if name != "classic"}
    assert settings != mlpc.AdamW(**shared)
    with pytest.raises(AttributeError, match="immutable"):
        del settings.beta_1
    with pytest.raises(ValueError, match="epsilon"):
        settings.replace(epsilon=-1)


def test_signatures_of_settings():
    assert str(inspect.signature(mlpc.SGD)) == (
        "(learning_rate=0.01, momentum=0.0, nesterov=False, *, schedule=None, clip_norm=None, classic=False)"
    )
    assert str(inspect.signature(mlpc.StepDecay)) == "(every, factor=0.1)"
    assert list(inspect.signature(mlpc.StepDecay(3)).parameters) == ["epoch"]


def test_defaults_are_the_documented_ones():
    assert mlpc.Adam(0.001, 0.9, 0.999, 1e-8) == mlpc.Adam()
    assert mlpc.AdamW(0.001, 0.9, 0.999, 1e-8, 0.01) == mlpc.AdamW()
    assert mlpc.RMSprop(0.001, 0.9, 1e-8, 0.0) == mlpc.RMSprop()
    assert mlpc.Rprop(0.01, 0.5, 1.2, 1e-6, 50.0) == mlpc.Rprop()
    assert mlpc.LBFGS(10, 1e-7) == mlpc.LBFGS()
    assert mlpc.SGD(0.01, 0.0, False) == mlpc.SGD()
    assert mlpc.Adam(np.float32(0.5)) == mlpc.Adam(0.5)


def test_numbers_beyond_64_bits_are_refused():
    net = mlpc.Network([1, 1], loss="squared_error", seed=0)
    for make in (
        lambda: mlpc.SGD(10**400),
        lambda: mlpc.EarlyStopping(patience=2**70),
        lambda: mlpc.LBFGS(1_000_001),
        lambda: net.fit([[1.0]], [1.0], epochs=2**70),
        lambda: net.fit([[1.0]], [1.0], batch_size=2**70),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()


def test_optimizers_by_name():
    for name, kind in {
        "sgd": mlpc.SGD,
        "adam": mlpc.Adam,
        "adamw": mlpc.AdamW,
        "rmsprop": mlpc.RMSprop,
        "rprop": mlpc.Rprop,
        "lbfgs": mlpc.LBFGS,
    }.items():
        assert mlpc.Network([1, 1], loss="huber", optimizer=name).optimizer == kind()


# ---- What a network says of itself.


def test_attributes():
    net = mlpc.Network(
        (3, 4, np.int64(5), 2),
        loss=mlpc.Huber(0.5),
        hidden_activation=["tanh", "relu"],
        reduction="sum",
        dtype=np.float32,
        dropout=[0.1, 0],
        l1=1,
        seed=7,
    )
    assert net.layer_sizes == (3, 4, 5, 2)
    assert net.hidden_activation == ("tanh", "relu")
    assert net.output_activation == "identity"
    assert net.loss == mlpc.Huber(0.5)
    assert net.optimizer == mlpc.Adam()
    assert net.dtype == "float32"
    assert (net.reduction, net.l1, net.l2, net.dropout, net.bias) == ("sum", 1.0, 0.0, (0.1, 0.0), True)
    assert net.seed == 7
    assert net.n_parameters == 3 * 4 + 4 + 4 * 5 + 5 + 5 * 2 + 2
    assert (net.epoch, net.step) == (0, 0)
    for name in ("layer_sizes", "loss", "dtype", "seed", "history", "n_parameters", "epoch", "weights"):
        with pytest.raises(AttributeError):
            setattr(net, name, 3)


def test_repr_makes_the_same_network():
    net = mlpc.Network([3, 4, 2], loss=mlpc.Quantile([0.1, 0.9]), optimizer=mlpc.SGD(0.1), l2=0.5, bias=False, seed=3)
    again = eval(repr(net), {name: getattr(mlpc, name) for name in mlpc.__all__})
    assert fingerprint(again) == fingerprint(net)
    assert repr(mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)).startswith(
        "Network([2, 3, 1], loss='binary_cross_entropy'"
    )


def test_a_network_is_made_once():
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    before = fingerprint(net)
    with pytest.raises(RuntimeError):
        net.__init__([1, 1], loss="huber")
    assert fingerprint(net) == before


def test_unpack_gives_views():
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    vector = np.arange(13.0)
    weights, biases = net.unpack(vector)
    biases[1][0] = -1
    weights[0][1, 2] = -2
    assert vector[12] == -1
    assert vector[5] == -2


# ---- Seeds.


def test_a_generator_gives_one_integer():
    rng, twin = np.random.default_rng(5), np.random.default_rng(5)
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=rng)
    drawn = int(twin.integers(2**63))
    assert net.seed == drawn
    assert rng.bit_generator.state == twin.bit_generator.state
    assert fingerprint(mlpc.Network([2, 3, 1], loss="squared_error", seed=drawn)) == fingerprint(net)


def test_the_drawn_seed_is_replayed():
    net = mlpc.Network([2, 3, 1], loss="squared_error", dropout=0.5)
    first = fingerprint(net)
    net.fit(*make_data(np.random.default_rng(0), 20, 2, 1, "squared_error"), epochs=2)
    assert fingerprint(net) != first
    assert fingerprint(net.reset()) == first
    assert fingerprint(mlpc.Network([2, 3, 1], loss="squared_error", dropout=0.5, seed=net.seed)) == first
    assert net.reset(4).seed == 4


def test_a_rejected_network_draws_nothing():
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match="loss"):
        mlpc.Network([2, 1], loss="none", seed=rng)
    assert rng.bit_generator.state == before


def test_a_failing_initializer_changes_nothing():
    calls = []

    def fails_later(rng, shape):
        calls.append(shape)
        if len(calls) > 2:
            raise KeyError("no more weights")
        return rng.normal(size=shape)

    net = mlpc.Network([2, 3, 1], loss="squared_error", initializer=fails_later, seed=0)
    net.partial_fit([[1.0, 2.0]], [3.0])
    before = fingerprint(net)
    with pytest.raises(KeyError, match="no more"):
        net.reset(1)
    assert fingerprint(net) == before
    with pytest.raises(ValueError, match="finite in float32"):
        mlpc.Network([1, 1], loss="huber", initializer=lambda rng, shape: np.full(shape, 1e300), dtype="float32")


@pytest.mark.parametrize(
    "settings",
    [
        {"initializer": lambda rng, shape: np.ones(3)},
        {"initializer": lambda *_: 1 / 0},
        {"initializer": lambda *_: signal.raise_signal(signal.SIGINT)},
    ],
)
def test_a_failing_initializer_leaves_the_generator(settings):
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    with pytest.raises((ValueError, ZeroDivisionError, KeyboardInterrupt)):
        mlpc.Network([2, 1], loss="squared_error", seed=rng, **settings)
    assert rng.bit_generator.state == before
    rows = iter([2])

    def once(generator, shape):
        return np.ones((next(rows, 3), 1))

    net = mlpc.Network([2, 1], loss="squared_error", initializer=once, seed=0)
    with pytest.raises(ValueError, match="shape"):
        net.reset(rng)
    assert rng.bit_generator.state == before
    assert net.seed == 0


def test_reset_replays_the_seed_last_given():
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    expected = fingerprint(net.reset(1))
    assert fingerprint(net.reset()) == expected
    assert net.seed == 1


# ---- Callbacks.

CIRCLES = circles()


def circles_net(**settings):
    return mlpc.Network([2, 3, 1], loss="binary_cross_entropy", optimizer=mlpc.Adam(0.05), seed=0, **settings)


def test_every_callback_runs():
    seen = []
    net = circles_net().fit(*CIRCLES, callbacks=[lambda *_: True, lambda *_: seen.append(1)])
    assert seen == [1]
    assert net.history.stop_reason == "callback"


def test_columns_of_callbacks():
    net = circles_net().fit(*CIRCLES, epochs=2)
    net.fit(*CIRCLES, epochs=3, callbacks=lambda net, epoch, logs: logs.update({f"at_{epoch}": np.float32(epoch)}))
    net.fit(*CIRCLES, epochs=1)
    nan = np.nan
    assert np.array_equal(net.history.at_4, [nan, nan, nan, 4, nan, nan], equal_nan=True)
    assert "at_4" in net.history.to_frame()
    assert list(net.history) == list(net.history.keys()) == list(dict(net.history))
    assert "at_4" in net.history
    assert "at_2" not in net.history
    with pytest.raises(AttributeError, match="at_4"):
        _ = net.history.at_2
    with pytest.raises(KeyError, match="at_2"):
        _ = net.history["at_2"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("score", "high", TypeError),
        ("score", np.ones(2), TypeError),
        ("score", None, TypeError),
        ("score", 1j, TypeError),
        ("score", 10**400, ValueError),
        pytest.param("score", 10**5000, ValueError, id="more digits than Python prints"),
        ("best_epoch", 1, ValueError),
        ("validation_loss", 1.0, ValueError),
        ("_names", 1.0, ValueError),
        (3, 1.0, TypeError),
    ],
)
def test_what_callbacks_may_not_add(name, value, error):
    net = circles_net()
    with pytest.raises(error, match=str(name)):
        net.fit(*CIRCLES, epochs=3, callbacks=lambda net, epoch, logs: logs.update({name: value}))
    assert net.epoch == 1


def test_a_monitor_that_never_comes_changes_nothing():
    for argument, arguments in (
        ("early_stopping", {"early_stopping": mlpc.EarlyStopping("accuracy")}),
        ("schedule", {"optimizer": mlpc.Adam(schedule=mlpc.ReduceOnPlateau("accuracy"))}),
    ):
        net = circles_net().fit(*CIRCLES, epochs=2)
        net.optimizer = arguments.pop("optimizer", net.optimizer)
        before = fingerprint(net)
        with pytest.raises(ValueError, match=f"{argument} monitors 'accuracy'.*found 'other'"):
            net.fit(*CIRCLES, callbacks=lambda net, epoch, logs: logs.update(other=1.0), **arguments)
        with pytest.raises(ValueError, match=f"{argument} monitors 'accuracy', which does not exist"):
            net.fit(*CIRCLES, **arguments)
        assert fingerprint(net) == before


def test_a_monitor_that_goes_away():
    def once(net, epoch, logs):
        if epoch == 1:
            logs["score"] = 1.0

    net = circles_net()
    with pytest.raises(ValueError, match=r"early_stopping monitors 'score'.* in epoch 2: found nothing"):
        net.fit(*CIRCLES, callbacks=once, early_stopping=mlpc.EarlyStopping("score"))
    assert net.epoch == 2


def test_plateau_on_a_callback_value():
    schedule = mlpc.ReduceOnPlateau("score", factor=0.5, patience=0)
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=schedule), seed=0)
    net.fit(*CIRCLES, epochs=4, callbacks=lambda net, epoch, logs: logs.update(score=1.0))
    assert net.history.learning_rate.tolist() == [0.5, 0.5, 0.25, 0.125]


def test_plateau_on_a_callback_value_that_is_saved_or_cut_off():
    """What a callback has said counts for a copy that the next callback makes, and where that one raises."""

    def make():
        schedule = mlpc.ReduceOnPlateau("score", factor=0.5, patience=0)
        return mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=schedule), seed=0)

    def score(net, epoch, logs):
        logs["score"] = [3.0, 2.0, float("nan"), 2.0, 1.0, 1.0][epoch - 1]

    copies = {}

    def keep(net, epoch, logs):
        copies[epoch] = net.copy()

    def fail(net, epoch, logs):
        if epoch == 3:
            raise LookupError

    whole = make().fit(*CIRCLES, epochs=6, callbacks=[score, keep])
    assert whole.history.learning_rate.tolist() == [0.5, 0.5, 0.5, 0.25, 0.125, 0.125]
    for epoch in range(1, 6):
        copies[epoch].fit(*CIRCLES, epochs=6 - epoch, callbacks=score)
        assert copies[epoch].fingerprint() == whole.fingerprint()
    cut_off = make()
    with pytest.raises(LookupError):
        cut_off.fit(*CIRCLES, epochs=6, callbacks=[score, fail])
    cut_off.fit(*CIRCLES, epochs=3, callbacks=score)
    assert cut_off.fingerprint() == whole.fingerprint()


def test_a_callback_value_does_not_count_for_a_plateau_of_the_loss():
    """The epoch that it was said of is over when the schedule begins to watch another number."""
    schedules = [mlpc.ReduceOnPlateau(monitor, factor=0.5, patience=0) for monitor in ("score", "loss")]
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=schedules[0]), seed=0)
    net.fit(*CIRCLES, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=5.0))
    net.optimizer = mlpc.SGD(0.5, schedule=schedules[1])
    net.fit(*CIRCLES, epochs=1)
    assert net.history.learning_rate.tolist() == [0.5, 0.5, 0.5]


def test_a_callback_value_counts_once():
    """Not again for the next epoch, where the first callback raised before one was added."""
    schedule = mlpc.ReduceOnPlateau("score", factor=0.5, patience=0)
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=schedule), seed=0)

    def score(net, epoch, logs):
        logs["score"] = 1.0

    def fail(net, epoch, logs):
        if epoch == 3:
            raise LookupError

    with pytest.raises(LookupError):
        net.fit(*CIRCLES, epochs=4, callbacks=[fail, score])
    net.fit(*CIRCLES, epochs=1, callbacks=score)
    assert net.history.learning_rate.tolist() == [0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("monitor", ["loss", "score"])
def test_partial_fit_keeps_what_a_plateau_waits_for(monitor):
    rates = []
    for between in (False, True):
        schedule = mlpc.ReduceOnPlateau(monitor, factor=0.5, patience=0, min_delta=1e9)
        net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=schedule), seed=0)
        net.fit(*CIRCLES, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=1.0))
        if between:
            net.partial_fit(*CIRCLES)
        net.fit(*CIRCLES, epochs=1, callbacks=lambda net, epoch, logs: logs.update(score=1.0))
        rates.append(net.history.learning_rate.tolist())
    assert rates == [[0.5, 0.5, 0.25]] * 2


def test_two_fits_at_once():
    started, go_on = threading.Event(), threading.Event()

    def wait(net, epoch, logs):
        started.set()
        go_on.wait(10)

    net = circles_net()
    thread = threading.Thread(target=net.fit, args=CIRCLES, kwargs={"epochs": 2, "callbacks": wait})
    thread.start()
    started.wait(10)
    for call in (lambda: net.fit(*CIRCLES), net.reset, lambda: net.partial_fit(*CIRCLES), net.end_epoch):
        with pytest.raises(RuntimeError):
            call()
    go_on.set()
    thread.join()
    assert fingerprint(net.fit(*CIRCLES, epochs=1)) == fingerprint(
        circles_net().fit(*CIRCLES, epochs=2, callbacks=lambda *_: None).fit(*CIRCLES, epochs=1)
    )


def test_training_within_a_callback():
    def meddle(net, epoch, logs):
        for call in (lambda: net.fit(*CIRCLES), net.reset, lambda: net.partial_fit(*CIRCLES)):
            with pytest.raises(RuntimeError, match="not within a callback of this network's own training"):
                call()

    circles_net().fit(*CIRCLES, epochs=1, callbacks=meddle)


# ---- Schedules and validation data that are none.


@pytest.mark.parametrize("value", ["a", None, 1j, [1.0], np.ones(2)], ids=repr)
def test_a_schedule_that_returns_no_number(value):
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=lambda epoch: value))
    before = fingerprint(net)
    for call in (lambda: net.fit(*CIRCLES), lambda: net.partial_fit(*CIRCLES)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == f"schedule(0) must be a number, got {value!r}"
    assert fingerprint(net) == before


@pytest.mark.parametrize("value", [10**400, np.inf, np.nan, -1], ids=["huge", "inf", "nan", "-1"])
def test_a_schedule_that_returns_no_rate(value):
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=lambda epoch: value))
    with pytest.raises(ValueError, match=r"^schedule\(0\) must be a finite number"):
        net.fit(*CIRCLES)


@pytest.mark.parametrize("value", [1, True, np.float32(1), np.array(1.0)], ids=repr)
def test_what_counts_as_a_number(value):
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.5, schedule=lambda epoch: value))
    assert net.fit(*CIRCLES, epochs=2).history.learning_rate.tolist() == [0.5, 0.5]


def test_validation_data_of_a_wrong_length():
    with pytest.raises(ValueError, match=r"validation_data .* got tuple of length 4"):
        circles_net().fit(*CIRCLES, validation_data=(*CIRCLES, *CIRCLES))


# ---- Class weights.


def test_balanced_weights_count_the_labels_there_are():
    X, y = np.random.default_rng(0).normal(size=(8, 2)), [0, 0, 0, 0, 0, 2, 2, 2]

    def fitted(class_weight):
        net = mlpc.Network([2, 4], loss="categorical_cross_entropy", reduction="sum", seed=0)
        return fingerprint(net.fit(X, y, epochs=3, class_weight=class_weight))

    assert fitted("balanced") == fitted({0: 8 / (2 * 5), 2: 8 / (2 * 3)})
    assert fitted("balanced") != fitted(None)
    assert fitted({1: 5.0}) == fitted(None)


def test_class_weights_of_bools():
    X, y = np.random.default_rng(0).normal(size=(8, 2)), np.arange(8) % 3 == 0
    fitted = [
        circles_net().fit(X, y, epochs=3, class_weight=weights) for weights in ({True: 5}, {1: 5.0}, {np.True_: 5})
    ]
    assert fingerprint(fitted[0]) == fingerprint(fitted[1]) == fingerprint(fitted[2])


def test_balanced_weights_of_many_rows_count_all_of_them(monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) < 40
    whole = circles_net().fit(X, y, epochs=2, class_weight="balanced")
    monkeypatch.setattr(_class_weight, "_PIECE", 7)
    assert fingerprint(circles_net().fit(X, y, epochs=2, class_weight="balanced")) == fingerprint(whole)


# ---- History.


def test_history_before_the_first_fit():
    history = circles_net().history
    assert len(history) == 0
    assert history.best_epoch is None
    assert history.stop_reason is None
    assert "0 epochs" in repr(history)


def test_history_is_a_value():
    net = circles_net().fit(*CIRCLES, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=epoch))
    history = net.history
    history.loss[:] = 0
    again = pickle.loads(pickle.dumps(net.history))
    assert again.score.tolist() == [1, 2]
    assert (again.loss > 0).all()
    assert repr(again) == repr(net.history)


def test_best_epoch_without_early_stopping():
    net = circles_net().fit(*CIRCLES, epochs=5)
    assert net.history.best_epoch == 1 + np.argmin(net.history.loss)
    net.fit(*CIRCLES, epochs=5, validation_data=(CIRCLES[0], 1 - CIRCLES[1]))
    assert net.history.best_epoch != 1 + np.argmin(net.history.loss)
    assert net.history.best_epoch == 1 + np.nanargmin(net.history.validation_loss)
    assert str(net.history.best_epoch) in repr(net.history)


def test_best_epoch_counts_rows():
    net = circles_net()
    net.partial_fit(*CIRCLES).end_epoch()
    net.fit(*CIRCLES, epochs=3, early_stopping=mlpc.EarlyStopping("loss"))
    assert net.epoch == 4
    assert net.history.best_epoch == 1 + np.argmin(net.history.loss)


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    net = circles_net().fit(*CIRCLES, epochs=3, validation_data=CIRCLES)
    ax = net.history.plot()
    assert [line.get_label() for line in ax.lines[:2]] == ["training", "validation"]
    assert np.array_equal(ax.lines[0].get_ydata(), net.history.loss)
    assert net.history.plot(ax) is ax
    matplotlib.pyplot.close(ax.figure)


# ---- Progress.


def test_progress_without_tqdm(monkeypatch):
    monkeypatch.setattr(_progress, "find_spec", lambda name: None)
    net = circles_net()
    before = fingerprint(net)
    with pytest.raises(ImportError, match="pip install tqdm"):
        net.fit(*CIRCLES, progress=True)
    assert fingerprint(net) == before


# ---- Divergence.


def test_divergence_warns_where_fit_was_called():
    net = mlpc.Network([1, 1], loss="squared_error", optimizer=mlpc.SGD(1e6), seed=0)
    X, y = np.arange(10.0)[:, None], np.arange(10.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(X, y, epochs=200)
    (warning,) = caught
    assert warning.category is mlpc.DivergenceWarning
    assert warning.filename == __file__
    assert "epoch" in str(warning.message)
    assert "step" in str(warning.message)
    with pytest.raises(FloatingPointError, match="epoch"):
        net.reset().fit(X, y, epochs=200, on_divergence="raise")
    net.reset().parameters[1] = np.nan
    with pytest.warns(mlpc.DivergenceWarning, match=r"parameters\[1\] was nan before; reset\(\)"):
        net.fit(X, y, epochs=2)


def test_a_network_that_no_memory_holds_names_its_layers():
    with pytest.raises(MemoryError, match=r"^layer_sizes: "):
        mlpc.Network([1000, 10**12, 1], loss="squared_error")


@pytest.mark.parametrize(
    ("name", "place"), [("learning_rate", r"optimizer\.replace"), ("batch_size", "fit"), ("epochs", "net.epoch")]
)
def test_settings_that_are_elsewhere_are_not_kept_for_nothing(name, place):
    net = circles_net()
    with pytest.raises(AttributeError, match=rf"a network has no attribute '{name}': .*{place}"):
        setattr(net, name, 1)
    assert not hasattr(net, name)
    net.note = "of the user's own"
    assert net.copy().note == net.note


def test_callbacks_may_change_parameters_but_not_the_optimizer():
    X, y = CIRCLES

    def zeroed(net, epoch, logs):
        net.parameters[...] = 0

    def stepped(net, epoch, logs):
        net.optimizer = mlpc.SGD(0.1)

    net = circles_net().fit(X, y, epochs=2, callbacks=zeroed)
    assert not net.parameters.any()
    with pytest.raises(RuntimeError, match="optimizer"):
        net.fit(X, y, epochs=1, callbacks=stepped)
    net.optimizer = mlpc.SGD(0.1)
    net.fit(X, y, epochs=1)


# ---- Gradient checks.


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "huber", "categorical_cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "selu"])
def test_gradients_pass(loss, activation):
    X, y = make_data(np.random.default_rng(0), 12, 3, 2, loss)
    net = mlpc.Network([3, 5, 2], loss=loss, hidden_activation=activation, l1=0.01, l2=0.1, dtype="float32", seed=1)
    before = fingerprint(net)
    result = mlpc.check_gradient(net, X, y, sample_weight=np.arange(12.0))
    assert result
    assert result.passed
    assert result.max_relative_error < 1e-6
    assert result.n_checked + result.n_skipped == net.n_parameters
    assert result.n_checked > net.n_parameters / 2
    assert "passed" in repr(result)
    assert fingerprint(net) == before


class WrongBias(mlpc.Network):
    """A network with an error of a hundredth in one place of its gradient."""

    def gradient(self, *args, **kwargs):
        gradient = super().gradient(*args, **kwargs)
        self.unpack(gradient)[1][0][2] *= 1.01
        return gradient


def test_a_wrong_gradient_is_found():
    X, y = CIRCLES
    net = WrongBias([2, 4, 1], loss="binary_cross_entropy", hidden_activation="tanh", seed=0)
    result = mlpc.check_gradient(net, X, y)
    assert not result
    assert result.worst == ("biases", 0, (2,))
    assert result.max_relative_error == pytest.approx(0.01, rel=0.02)
    assert "FAILED" in repr(result)
    assert "biases[0][2]" in repr(result)
    assert mlpc.check_gradient(net, X, y, tolerance=0.02)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("squared_error", "tanh"),
        ("poisson", "softplus"),
        ("binary_cross_entropy", "tanh"),
        ("binary_cross_entropy", "sigmoid"),
        ("categorical_cross_entropy", "gelu"),
    ],
)
def test_gradients_of_trained_networks_pass(loss, activation):
    """Their weights are large and their objectives sharply curved."""
    X = np.random.default_rng(2).normal(size=(50, 3))
    y = X[:, 0] * X[:, 1] > 0 if loss.endswith("entropy") else abs(X[:, 0] * X[:, 1])
    outputs = 2 if loss == "categorical_cross_entropy" else 1
    net = mlpc.Network([3, 6, outputs], loss=loss, hidden_activation=activation, optimizer="lbfgs", seed=2)
    net.fit(X, y, epochs=100, batch_size=None)
    assert mlpc.check_gradient(net, X, y)
    assert not mlpc.check_gradient(net, X, y, step=1e-4)


def test_differences_are_extrapolated():
    """Of a function that a step of 6e-6 is too long for, to what no single step reaches."""

    def difference(h):
        return gradcheck._Difference((np.exp(1e5 * h) - np.exp(-1e5 * h)) / (2 * h), h, 2 * h)

    first = difference(6e-6)
    assert abs(first.value / 1e5 - 1) > 0.05
    best = gradcheck._extrapolated(difference, first, 6e-6)
    assert best.value == pytest.approx(1e5, rel=1e-12)
    assert 6e-6 / 2**12 < best.rounding < 6e-6
    assert best.change == 2 * best.rounding
    nowhere = gradcheck._extrapolated(lambda h: first._replace(value=np.nan), first._replace(value=np.nan), 1.0)
    assert np.isnan(nowhere.value)


@pytest.mark.parametrize(
    "loss", ["squared_error", "half_squared_error", "huber", "log_cosh", "poisson", "binary_cross_entropy"]
)
def test_gradients_of_an_exact_fit_pass(loss):
    """Gradient and differences are next to nothing there, and so is the objective but for its rounding."""
    X = [[0.1, 0.2], [0.3, -0.4]]
    for seed in range(5):
        net = mlpc.Network([2, 3, 1], loss=loss, hidden_activation="tanh", seed=seed)
        assert mlpc.check_gradient(net, X, net.predict_proba(X))
    X = np.random.default_rng(0).normal(size=(6, 2))
    assert mlpc.check_gradient(mlpc.Network([2, 1], loss=loss, initializer="zeros"), X, np.full(6, loss == "poisson"))


def test_a_wrong_gradient_is_found_beside_a_minimum(monkeypatch):
    net = mlpc.Network([2, 3, 1], loss="squared_error", hidden_activation="tanh", seed=0)
    X = [[0.1, 0.2], [0.3, -0.4]]
    y = net.predict_proba(X)
    right = mlpc.Network.gradient
    monkeypatch.setattr(mlpc.Network, "gradient", lambda *args, **words: right(*args, **words) + 1e-9, raising=False)
    assert not mlpc.check_gradient(net, X, y)


def test_the_error_does_not_depend_on_the_tolerance():
    X, y = CIRCLES
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", hidden_activation="tanh", seed=0)
    default, strict, loose = (mlpc.check_gradient(net, X, y, tolerance=t) for t in (None, 1e-15, 0.1))
    assert default.passed
    assert not strict.passed
    assert loose.passed
    assert default.max_relative_error == strict.max_relative_error == loose.max_relative_error > 1e-15
    assert default.worst == strict.worst == loose.worst
    assert mlpc.check_gradient(net, X, y, tolerance=default.max_relative_error).passed


def test_a_wrong_gradient_of_a_large_weight_is_found(monkeypatch):
    net = mlpc.Network([1, 1], loss="squared_error", bias=False, seed=0)
    net.parameters = [1e12]
    assert mlpc.check_gradient(net, [[1e-12]], [0.0])
    right = mlpc.Network.gradient
    monkeypatch.setattr(mlpc.Network, "gradient", lambda *args, **words: 2 * right(*args, **words), raising=False)
    assert not mlpc.check_gradient(net, [[1e-12]], [0.0])


def test_kinks_are_skipped():
    net = mlpc.Network([1, 2, 1], loss="squared_error", bias=True, l1=0.1, initializer="zeros")
    net.weights[0][...] = [[1.0, 2.0]]
    net.weights[1][...] = [[1.0], [0.0]]
    result = mlpc.check_gradient(net, [[0.0]], [1.0])
    assert result.passed
    assert result.n_skipped == 3  # both hidden biases, at z = 0, and the weight that is zero under l1
    for loss in ("absolute_error", "quantile", mlpc.Quantile(0.1)):
        net = mlpc.Network([1, 1], loss=loss, initializer="zeros")
        result = mlpc.check_gradient(net, [[1.0]], [0.0], step=1e-4)
        assert (bool(result), result.n_checked, result.n_skipped, result.step) == (False, 0, 2, 1e-4)
        assert mlpc.check_gradient(net, [[1.0]], [1e-3], step=1e-2).n_skipped == 2
        assert mlpc.check_gradient(net, [[1.0]], [1e-3], step=1e-4).n_skipped == 0


def test_what_is_no_kink():
    net = mlpc.Network([1, 1], loss="squared_error", l2=0.1, initializer="zeros")
    assert mlpc.check_gradient(net, [[1.0]], [1.0]).n_skipped == 0  # a weight of 0, without l1
    net = mlpc.Network([1, 1], loss="absolute_error", initializer="zeros")
    net.biases[0][:] = 1.0
    assert mlpc.check_gradient(net, [[0.0], [1.0]], [1.0 + 1e-3, 3.0], step=1e-4).n_skipped == 0
    net.weights[0][:] = 1.0  # outputs 1 and 2: each is as far from its own target, and at the other's
    assert mlpc.check_gradient(net, [[0.0], [1.0]], [2.0, 1.0], step=1e-4).n_skipped == 0


@pytest.mark.parametrize("activation", ["elu", "softsign"])
def test_kinks_of_an_activations_slope_are_skipped(activation):
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    for seed in range(20):
        net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", hidden_activation=activation, seed=seed)
        result = mlpc.check_gradient(net, X, y)
        assert result.passed
        assert result.n_skipped == 3  # the hidden biases: of the first row every z is 0


@pytest.mark.parametrize(("loss", "scale"), [("huber", 1.0), (mlpc.Huber(0.5), 0.5)])
def test_kinks_of_hubers_slope_are_skipped(loss, scale):
    net = mlpc.Network([1, 2], loss=loss, initializer="zeros")
    result = mlpc.check_gradient(net, [[1.0], [2.0]], [[scale, 0.1], [-scale, 0.1]])  # d = -delta, then delta
    assert (bool(result), result.n_checked, result.n_skipped) == (True, 2, 2)
    for kink in (scale, -scale):
        assert mlpc.check_gradient(net, [[1.0]], [[kink, 0.1]]).n_skipped == 2
    assert mlpc.check_gradient(net, [[1.0]], [[0.9 * scale, 1.1 * scale]]).n_skipped == 0


def test_check_gradient_refuses():
    net = mlpc.Network([1, 1], loss="squared_error")
    with pytest.raises(ValueError, match="step"):
        mlpc.check_gradient(net, [[1.0]], [1.0], step=0)
    with pytest.raises(ValueError, match="tolerance"):
        mlpc.check_gradient(net, [[1.0]], [1.0], tolerance=-1.0)
    with pytest.raises(ValueError, match="X"):
        mlpc.check_gradient(net, [[np.nan]], [1.0])
    with pytest.raises(TypeError, match=r"net must be an mlpc\.Network, got 3$"):
        mlpc.check_gradient(3, [[1.0]], [1.0])
    net.parameters[0] = 1e200
    with pytest.raises(ValueError, match=r"net, X, y: their objective must be finite .* got inf$"):
        mlpc.check_gradient(net, [[1.0]], [1.0])
    net = mlpc.Network([1, 1], loss="absolute_error")
    for y in (5.0, [1.0, 2.0], []):
        with pytest.raises(ValueError, match=r"^y must have"):
            mlpc.check_gradient(net, [[1.0]], y)


# ---- Lists and frames.


def test_frames():
    pd = pytest.importorskip("pandas")
    X, y = CIRCLES
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    expected = fingerprint(circles_net().fit(X, y, epochs=2))
    assert fingerprint(circles_net().fit(frame, pd.Series(y, name="y"), epochs=2)) == expected
    assert fingerprint(circles_net().fit(frame.astype("Float64"), y.tolist(), epochs=2)) == expected
    net = mlpc.Network([3, 1], loss="squared_error", initializer="zeros", seed=0)
    mixed = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": pd.array([3, 4], dtype="Int64")})
    assert net.forward(mixed).shape == (2, 1)
    mixed["b"] = ["x", "y"]
    with pytest.raises(TypeError, match="column 'b'"):
        net.forward(mixed)
    missing = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": pd.array([3, None], dtype="Int64")})
    assert np.isnan(net.forward(missing)).ravel().tolist() == [False, True]
    with pytest.raises(ValueError, match="X"):
        net.fit(missing, [1, 2])
    with pytest.raises(TypeError, match="column 'a'"):
        net.forward(pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]), "b": [1], "c": [2]}))


# ---- The package.


def test_show_config(capsys):
    mlpc.show_config()
    shown = capsys.readouterr().out
    for word in (mlpc.__version__, "kernels", "threads"):
        assert word in shown


# ---- NumPy's own scalars.


def test_numpys_bools_and_texts_are_pythons():
    assert repr(mlpc.SGD(0.1, 0.9, np.True_)) == "SGD(learning_rate=0.1, momentum=0.9, nesterov=True)"
    net = mlpc.Network([2, 1], loss=np.str_("huber"), bias=np.False_, reduction=np.str_("sum"), seed=0)
    assert [type(value) for value in (net.loss, net.reduction, net.bias)] == [str, str, bool]
    assert "loss='huber'" in repr(net)
    X, y = CIRCLES
    nets = [circles_net().fit(X, y, epochs=2, early_stopping=stop) for stop in (None, False, np.False_)]
    assert fingerprint(nets[0]) == fingerprint(nets[1]) == fingerprint(nets[2])
    assert mlpc.Network(range(3, 0, -1), loss="huber").layer_sizes == (3, 2, 1)
