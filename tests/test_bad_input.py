"""What is refused, with which error, naming which argument; afterwards everything is as it was before the call."""

import pickle
import threading

import numpy as np
import pytest
from conftest import fingerprint, make_data
from reference import ACTIVATIONS
from safetensors.numpy import save_file

import mlpc

X, Y = make_data(np.random.default_rng(0), 24, 3, 2, "squared_error")
LABELS = np.random.default_rng(1).integers(0, 3, 24)
BINARY = LABELS % 2
TARGETS = {
    "squared_error": Y,
    "categorical_cross_entropy": LABELS,
    "binary_cross_entropy": BINARY,
    "poisson": np.abs(Y),
}


def with_value(array, value, place=(5, 1)):
    array = np.array(array, dtype=np.float64)
    array[place[: array.ndim]] = value
    return array


def trained(loss="squared_error", n_out=2, **settings):
    """A network that has something to lose: parameters, optimizer state, history, a place in its random numbers."""
    net = mlpc.Network([3, 4, n_out], loss=loss, optimizer=mlpc.SGD(0.01, momentum=0.9), seed=3, **settings)
    return net.fit(X, TARGETS[loss], epochs=2, batch_size=5)


def assert_refused(call, net, error, words, *arrays):
    """The call raises, its message has the words, and nothing has changed."""
    before = fingerprint(net)
    bytes_before = [array.tobytes() for array in arrays if isinstance(array, np.ndarray)]
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) in (error if isinstance(error, tuple) else (error,)), repr(caught.value)
    message = str(caught.value)
    for word in words.split("|"):
        assert word in message, message
    assert len(message) > 15
    assert fingerprint(net) == before
    assert [array.tobytes() for array in arrays if isinstance(array, np.ndarray)] == bytes_before


# ---- Making a network: (arguments, error, words in the message).

NETWORKS = {
    "one layer": ({"layer_sizes": [3]}, ValueError, "layer_sizes"),
    "no layer": ({"layer_sizes": []}, ValueError, "layer_sizes"),
    "not a list": ({"layer_sizes": 3}, TypeError, "layer_sizes"),
    "text sizes": ({"layer_sizes": "32"}, TypeError, "layer_sizes"),
    "a number's array": ({"layer_sizes": np.array(3)}, TypeError, "layer_sizes|at least two integers"),
    "zero": ({"layer_sizes": [3, 0, 1]}, ValueError, "layer_sizes|0"),
    "negative": ({"layer_sizes": [3, -2, 1]}, ValueError, "layer_sizes|-2"),
    "fraction": ({"layer_sizes": [3, 2.5, 1]}, TypeError, "layer_sizes|2.5"),
    "a float that is whole": ({"layer_sizes": [3, 2.0, 1]}, TypeError, "layer_sizes|2.0"),
    "bool": ({"layer_sizes": [3, True, 1]}, TypeError, "layer_sizes|True"),
    "overflow": ({"layer_sizes": [2**40, 2**40]}, ValueError, "layer_sizes"),
    "overflow of a sum": ({"layer_sizes": [2**31, 2**31, 2**31]}, ValueError, "layer_sizes"),
    "beyond 64 bits": ({"layer_sizes": [2**70, 2]}, ValueError, "layer_sizes"),
    "hidden activation": ({"hidden_activation": "rellu"}, ValueError, "hidden_activation|rellu|'relu'|'mish'"),
    "hidden softmax": ({"hidden_activation": "softmax"}, ValueError, "hidden_activation|softmax"),
    "too few activations": (
        {"layer_sizes": [3, 4, 4, 1], "hidden_activation": ["relu"]},
        ValueError,
        "hidden_activation|2",
    ),
    "activation number": ({"hidden_activation": 3}, TypeError, "hidden_activation|3"),
    "output activation": ({"output_activation": "logit"}, ValueError, "output_activation|logit|'tanh'"),
    "output softmax": ({"output_activation": "softmax"}, ValueError, "output_activation|softmax"),
    "bce identity": (
        {"loss": "binary_cross_entropy", "output_activation": "identity"},
        ValueError,
        "output_activation|sigmoid",
    ),
    "poisson relu": ({"loss": "poisson", "output_activation": "relu"}, ValueError, "output_activation|exp"),
    "loss": ({"loss": "mse"}, ValueError, "loss|mse|'squared_error'"),
    "loss number": ({"loss": 2}, TypeError, "loss"),
    "reduction": ({"reduction": "avg"}, ValueError, "reduction|avg|'mean'|'sum'"),
    "optimizer": ({"optimizer": "adamm"}, ValueError, "optimizer|adamm|'adam'"),
    "optimizer class": ({"optimizer": mlpc.Adam}, TypeError, "optimizer"),
    "l1": ({"l1": -1e-3}, ValueError, "l1|-0.001"),
    "l2": ({"l2": np.inf}, ValueError, "l2|inf"),
    "l2 nan": ({"l2": np.nan}, ValueError, "l2|nan"),
    "l2 text": ({"l2": "1"}, TypeError, "l2"),
    "dropout one": ({"dropout": 1.0}, ValueError, "dropout|1.0"),
    "dropout negative": ({"dropout": -0.1}, ValueError, "dropout|-0.1"),
    "dropout rates": ({"dropout": [0.1, 0.2]}, ValueError, "dropout|1"),
    "initializer": ({"initializer": "xavier"}, ValueError, "initializer|xavier|'glorot_uniform'"),
    "initializer of one": ({"initializer": np.zeros}, TypeError, "initializer|(rng, shape)"),
    "initializer shape": ({"initializer": lambda rng, shape: np.zeros(3)}, ValueError, "initializer"),
    "initializer nan": ({"initializer": lambda rng, shape: np.full(shape, np.nan)}, ValueError, "initializer"),
    "bias": ({"bias": "no"}, TypeError, "bias"),
    "dtype": ({"dtype": "float16"}, ValueError, "dtype|float16|float32"),
    "no dtype": ({"dtype": None}, TypeError, "dtype|None"),
    "dtype text": ({"dtype": "double precision"}, ValueError, "dtype"),
    "dtype with a comma": ({"dtype": ",loat64"}, ValueError, "dtype"),
    "seed": ({"seed": -1}, ValueError, "seed|-1"),
    "seed text": ({"seed": "0"}, TypeError, "seed"),
    "seed fraction": ({"seed": 0.5}, TypeError, "seed"),
    "lbfgs dropout": ({"optimizer": "lbfgs", "dropout": 0.1}, ValueError, "dropout|LBFGS"),
    "lbfgs dropout of a layer": (
        {"layer_sizes": [3, 4, 4, 1], "optimizer": "lbfgs", "dropout": [0.1, 0.0]},
        ValueError,
        "dropout|LBFGS",
    ),
    "rprop dropout": ({"optimizer": "rprop", "dropout": 0.1}, ValueError, "dropout|Rprop"),
    "quantiles": ({"layer_sizes": [3, 2], "loss": mlpc.Quantile([0.1, 0.5, 0.9])}, ValueError, "loss"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_making_a_network(case):
    settings, error, words = NETWORKS[case]
    with pytest.raises(error) as caught:
        mlpc.Network(**{"layer_sizes": [3, 4, 1], "loss": "squared_error", "seed": 0, **settings})
    assert type(caught.value) is error
    for word in words.split("|"):
        assert word in str(caught.value)


def test_loss_has_no_default():
    with pytest.raises(TypeError, match="loss"):
        mlpc.Network([2, 1])


SETTINGS = [
    (lambda: mlpc.SGD(-0.1), ValueError, "learning_rate"),
    (lambda: mlpc.SGD(0.0), ValueError, "learning_rate"),
    (lambda: mlpc.SGD(True), TypeError, "learning_rate"),
    (lambda: mlpc.SGD(np.nan), ValueError, "learning_rate"),
    (lambda: mlpc.Adam(np.inf), ValueError, "learning_rate"),
    (lambda: mlpc.Adam("0.1"), TypeError, "learning_rate"),
    (lambda: mlpc.SGD(momentum=1.01), ValueError, "momentum"),
    (lambda: mlpc.RMSprop(momentum=-0.01), ValueError, "momentum"),
    (lambda: mlpc.SGD(nesterov=True), ValueError, "nesterov"),
    (lambda: mlpc.Adam(beta_1=1.0), ValueError, "beta_1"),
    (lambda: mlpc.Adam(beta_2=-0.1), ValueError, "beta_2"),
    (lambda: mlpc.Adam(epsilon=-1e-8), ValueError, "epsilon"),
    (lambda: mlpc.AdamW(weight_decay=-1), ValueError, "weight_decay"),
    (lambda: mlpc.RMSprop(rho=1.5), ValueError, "rho"),
    (lambda: mlpc.Rprop(eta_minus=1.5), ValueError, "eta_minus"),
    (lambda: mlpc.Rprop(eta_plus=0.9), ValueError, "eta_plus"),
    (lambda: mlpc.Rprop(step_min=60.0), ValueError, "step_min"),
    (lambda: mlpc.LBFGS(history_size=0), ValueError, "history_size"),
    (lambda: mlpc.LBFGS(history_size=2.5), TypeError, "history_size"),
    (lambda: mlpc.LBFGS(tolerance=-1), ValueError, "tolerance"),
    (lambda: mlpc.SGD(clip_norm=0.0), ValueError, "clip_norm"),
    (lambda: mlpc.SGD(clip_norm=-1.0), ValueError, "clip_norm"),
    (lambda: mlpc.SGD(schedule="step"), TypeError, "schedule"),
    (lambda: mlpc.SGD(schedule=mlpc.StepDecay), TypeError, "schedule"),
    (lambda: mlpc.StepDecay(2)(-1), ValueError, "epoch"),
    (lambda: mlpc.LBFGS(schedule=mlpc.StepDecay(3)), TypeError, "schedule"),
    (lambda: mlpc.Rprop(clip_norm=1.0), TypeError, "clip_norm"),
    (lambda: mlpc.StepDecay(0), ValueError, "every"),
    (lambda: mlpc.StepDecay(2, -0.1), ValueError, "factor"),
    (lambda: mlpc.ExponentialDecay(np.nan), ValueError, "factor"),
    (lambda: mlpc.CosineDecay(0), ValueError, "epochs"),
    (lambda: mlpc.CosineDecay(5, warmup=5), ValueError, "warmup"),
    (lambda: mlpc.CosineDecay(5, minimum=-1), ValueError, "minimum"),
    (lambda: mlpc.InverseScaling(-1), ValueError, "power"),
    (lambda: mlpc.OneCycle(10, peak=0), ValueError, "peak"),
    (lambda: mlpc.OneCycle(10, start_fraction=1.5), ValueError, "start_fraction"),
    (lambda: mlpc.ReduceOnPlateau(factor=1.5), ValueError, "factor"),
    (lambda: mlpc.ReduceOnPlateau(patience=-1), ValueError, "patience"),
    (lambda: mlpc.ReduceOnPlateau(minimum=5.0), ValueError, "minimum"),
    (lambda: mlpc.StepDecay(evry=2), TypeError, "unexpected argument 'evry': there are every, factor"),
    (lambda: mlpc.StepDecay(), TypeError, "missing its argument every"),
    (lambda: mlpc.ReduceOnPlateau(patience=np.array([1, 2])), TypeError, "patience must be an integer"),
    (lambda: mlpc.Network([np.array([3]), 1], loss="huber"), TypeError, "layer_sizes"),
    (lambda: mlpc.EarlyStopping(mode="least"), ValueError, "mode"),
    (lambda: mlpc.EarlyStopping(patience=0), ValueError, "patience"),
    (lambda: mlpc.EarlyStopping(min_delta=-1), ValueError, "min_delta"),
    (lambda: mlpc.Huber(0), ValueError, "delta"),
    (lambda: mlpc.Network([2, 1], loss=mlpc.Huber(1e-60), dtype="float32"), ValueError, "loss .*in float32.*1e-60"),
    (lambda: mlpc.Network([2, 1], loss=mlpc.Quantile(1 - 1e-12)).copy("float32"), ValueError, "loss .*in float32"),
    (lambda: mlpc.Quantile(1.0), ValueError, "q"),
    (lambda: mlpc.Quantile([]), ValueError, "q"),
    (lambda: mlpc.Quantile([0.0, 0.5]), ValueError, r"q\[0\]"),
    (lambda: mlpc.Quantile([0.5, 1.0]), ValueError, r"q\[1\]"),
]


@pytest.mark.parametrize("index", range(len(SETTINGS)))
def test_settings(index):
    make, error, word = SETTINGS[index]
    with pytest.raises(error, match=word) as caught:
        make()
    assert type(caught.value) is error


@pytest.mark.parametrize("number", [int, np.int64, np.uint8])
def test_whole_numbers_at_their_bounds(number):
    assert mlpc.LBFGS(history_size=number(1)).history_size == 1
    assert mlpc.EarlyStopping(patience=number(1)).patience == 1
    assert mlpc.ReduceOnPlateau(patience=number(0)).patience == 0
    assert trained().fit(X, Y, epochs=number(1), n_threads=number(1)).epoch == 3
    with pytest.raises(ValueError, match="history_size must be at least 1, got 0"):
        mlpc.LBFGS(history_size=number(0))
    if number is not np.uint8:
        assert mlpc.LBFGS(history_size=number(1_000_000)).history_size == 1_000_000
        with pytest.raises(ValueError, match="history_size must be at most 1000000, got 1000001"):
            mlpc.LBFGS(history_size=number(1_000_001))


def test_settings_at_their_bounds():
    assert mlpc.InverseScaling(0.0)(7) == 1.0
    assert [mlpc.OneCycle(4, start_fraction=share)(0) for share in (0.0, 1.0)] == [10.0, 1.0]
    assert mlpc.OneCycle(4, start_fraction=1.0)(4) == 10.0
    net = mlpc.Network([3, 2], loss="huber", optimizer=mlpc.SGD(schedule=lambda epoch: 0.0), seed=0)
    before = net.parameters.copy()
    assert net.fit(X, Y, epochs=2).epoch == 2
    assert np.array_equal(net.parameters, before)


# ---- Bad X, to everything that reads it.

BAD_X = {
    "one dimension": (X[0], ValueError, "X"),
    "three dimensions": (X[None], ValueError, "X"),
    "a number": (3.0, ValueError, "X"),
    "too few columns": (X[:, :2], ValueError, "X|3|2"),
    "too many columns": (np.hstack([X, X]), ValueError, "X|3|6"),
    "no rows": (X[:0], ValueError, "X"),
    "complex": (X.astype(complex), TypeError, "X|complex"),
    "objects": (X.astype(object), TypeError, "X|object"),
    "text": (X.astype(str), TypeError, "X"),
    "dates": (np.zeros((24, 3), dtype="datetime64[s]"), TypeError, "X|datetime"),
    "ragged": ([[1.0, 2.0, 3.0], [1.0, 2.0]], ValueError, "X"),
    "None": (None, TypeError, "X"),
    "masked": (np.ma.masked_array(X, mask=X > 0.5), ValueError, "X|masked"),
}
NOT_FINITE_X = {
    "nan": (with_value(X, np.nan), ValueError, "X[5, 1]"),
    "inf": (with_value(X, np.inf), ValueError, "X[5, 1]"),
    "minus inf": (with_value(X, -np.inf, (23, 2)), ValueError, "X[23, 2]"),
    "float32 nan": (with_value(X, np.nan).astype(np.float32), ValueError, "X[5, 1]"),
    "float16 inf": (with_value(X, np.inf).astype(np.float16), ValueError, "X[5, 1]"),
    "swapped nan": (with_value(X, np.nan).astype(">f8"), ValueError, "X[5, 1]"),
    "fortran inf": (np.asfortranarray(with_value(X, np.inf)), ValueError, "X[5, 1]"),
    "reversed": (with_value(X, np.nan, (23, 2))[::-1], ValueError, "X[0, 2]"),
}


@pytest.mark.parametrize("case", BAD_X)
def test_bad_X_anywhere(case):
    bad, error, words = BAD_X[case]
    net = trained()
    for call in (net.predict, net.predict_proba, net.forward, net.transform, net.activations):
        assert_refused(lambda call=call: call(bad), net, error, words, bad)


@pytest.mark.parametrize("case", [*BAD_X, *NOT_FINITE_X])
def test_bad_X_with_targets(case):
    bad, error, words = (BAD_X | NOT_FINITE_X)[case]
    net = trained()
    y = Y[: len(bad)] if hasattr(bad, "__len__") and len(bad) in (2, 24) else Y
    for call in (
        net.objective,
        net.gradient,
        net.objective_and_gradient,
        net.input_gradient,
        net.sample_losses,
        net.backpropagate,
        net.fit,
        net.partial_fit,
    ):
        assert_refused(lambda call=call: call(bad, y), net, error, words, bad)
    for options in ({"batch_size": None}, {"batch_size": 1}, {"batch_size": 7}, {"shuffle": False, "batch_size": 5}):
        assert_refused(lambda options=options: net.fit(bad, y, epochs=3, **options), net, error, words, bad)
    assert_refused(lambda: net.fit(X, Y, validation_data=(bad, y)), net, error, "validation_data", bad)


def test_float32_networks_and_numbers_too_large_for_them():
    net = mlpc.Network([3, 4, 2], loss="squared_error", dtype="float32", seed=0)
    assert_refused(lambda: net.fit(with_value(X, 1e300), Y), net, ValueError, "X[5, 1]")


# ---- Bad y.

BAD_Y = [
    ("squared_error", 2, Y[:20], ValueError, "y|24|20"),
    ("squared_error", 2, Y[:, 0], ValueError, "y|2"),
    ("squared_error", 2, Y[:, :1], ValueError, "y|2"),
    ("squared_error", 2, np.hstack([Y, Y]), ValueError, "y|2|4"),
    ("squared_error", 2, Y[None], ValueError, "y"),
    ("squared_error", 2, with_value(Y, np.nan), ValueError, "y[5"),
    ("squared_error", 2, with_value(Y, np.inf, (23, 0)), ValueError, "y[23"),
    ("squared_error", 2, Y.astype(complex), TypeError, "y|complex"),
    ("squared_error", 2, Y.astype(object), TypeError, "y|object"),
    ("squared_error", 2, Y.astype(str), TypeError, "y"),
    ("squared_error", 2, None, TypeError, "y"),
    ("categorical_cross_entropy", 3, LABELS + 1, ValueError, "y|0|2"),
    ("categorical_cross_entropy", 3, with_value(LABELS, -1), ValueError, "y[5|-1"),
    ("categorical_cross_entropy", 3, with_value(LABELS, 3), ValueError, "y[5|3"),
    ("categorical_cross_entropy", 3, with_value(LABELS, 0.5), ValueError, "y[5|0.5"),
    ("categorical_cross_entropy", 3, with_value(LABELS, np.nan), ValueError, "y[5"),
    ("categorical_cross_entropy", 3, with_value(LABELS, 1e30), ValueError, "y[5"),
    (
        "categorical_cross_entropy",
        3,
        np.where(np.arange(24) == 5, 2**63 + 1, LABELS.astype("u8")),
        ValueError,
        "y[5",
    ),
    ("categorical_cross_entropy", 3, np.full((24, 3), 0.5), ValueError, "y|sum"),
    ("categorical_cross_entropy", 3, np.tile([1.5, -0.5, 0.0], (24, 1)), ValueError, "y"),
    ("categorical_cross_entropy", 3, np.eye(4)[LABELS], ValueError, "y|3|4"),
    ("categorical_cross_entropy", 3, LABELS.astype(str), TypeError, "y"),
    ("binary_cross_entropy", 1, 2 * BINARY - 1, ValueError, "y|(y+1)/2"),
    ("binary_cross_entropy", 1, with_value(BINARY, 1.5), ValueError, "y[5|1.5"),
    ("binary_cross_entropy", 1, with_value(BINARY, np.nan), ValueError, "y[5"),
    ("binary_cross_entropy", 1, np.column_stack([BINARY, BINARY]), ValueError, "y|1|2"),
    ("poisson", 2, with_value(np.abs(Y), -1.0), ValueError, "y[5|-1"),
    ("poisson", 2, with_value(np.abs(Y), np.inf), ValueError, "y[5"),
]


@pytest.mark.parametrize("index", range(len(BAD_Y)))
def test_bad_y(index):
    loss, n_out, bad, error, words = BAD_Y[index]
    net = trained(loss, n_out)
    for call in (net.objective, net.gradient, net.input_gradient, net.sample_losses, net.backpropagate, net.fit):
        if call == net.fit or "(y+1)" not in words:
            assert_refused(lambda call=call: call(X, bad), net, error, words, bad)
    for options in ({"batch_size": None}, {"batch_size": 1}, {"batch_size": 7, "shuffle": False}):
        assert_refused(lambda options=options: net.fit(X, bad, epochs=3, **options), net, error, words, bad)
    assert_refused(lambda: net.fit(X, TARGETS[loss], validation_data=(X, bad)), net, error, "validation_data", bad)


# ---- Bad weights.

ONES = np.ones(24)
BAD_WEIGHTS = [
    (ONES[:20], ValueError, "sample_weight|24|20"),
    (np.ones((24, 2)), ValueError, "sample_weight"),
    (with_value(ONES, -1.0), ValueError, "sample_weight[5"),
    (with_value(ONES, np.nan), ValueError, "sample_weight[5"),
    (with_value(ONES, np.inf), ValueError, "sample_weight[5"),
    (0 * ONES, ValueError, "sample_weight|positive|sum"),
    (ONES.astype(complex), TypeError, "sample_weight|complex"),
    (ONES.astype(object), TypeError, "sample_weight|object"),
    ("balanced", (TypeError, ValueError), "sample_weight"),
]


@pytest.mark.parametrize("index", range(len(BAD_WEIGHTS)))
def test_bad_sample_weight(index):
    bad, error, words = BAD_WEIGHTS[index]
    net = trained()
    for call in (net.objective, net.gradient, net.fit, net.partial_fit):
        assert_refused(lambda call=call: call(X, Y, sample_weight=bad), net, error, words, bad)
    assert_refused(lambda: net.fit(X, Y, validation_data=(X, Y, bad)), net, error, "validation_data", bad)


CLASS_WEIGHTS = [
    ({3: 1.0}, ValueError, "class_weight|3"),
    ({-1: 1.0}, ValueError, "class_weight|-1"),
    ({0: -1.0}, ValueError, "class_weight"),
    ({0: np.nan}, ValueError, "class_weight"),
    ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight"),
    ({3.0: 1.0}, ValueError, "class_weight|3.0"),
    ({-1.0: 1.0}, ValueError, "class_weight|-1"),
    ({0.5: 1.0}, TypeError, "class_weight|0.5"),
    ({np.nan: 1.0}, TypeError, "class_weight|nan"),
    ({"a": 1.0}, TypeError, "class_weight"),
    ([1.0, 2.0, 3.0], TypeError, "class_weight"),
    ("even", ValueError, "class_weight|even|balanced"),
]


@pytest.mark.parametrize("index", range(len(CLASS_WEIGHTS)))
def test_bad_class_weight(index):
    bad, error, words = CLASS_WEIGHTS[index]
    net = trained("categorical_cross_entropy", 3)
    assert_refused(lambda: net.fit(X, LABELS, class_weight=bad), net, error, words)


def test_labels_of_minus_1_get_a_hint():
    net = trained("binary_cross_entropy", 1)
    signs = np.where(np.arange(len(X)) % 2, 1, -1)
    assert_refused(lambda: net.fit(X, signs, class_weight="balanced"), net, ValueError, "for -1 and +1 give")
    with pytest.raises(ValueError, match=r"is -0\.5: it must be from 0 to 1$"):
        net.fit(X, BINARY - 0.5)
    net = trained("categorical_cross_entropy", 3)
    with pytest.raises(ValueError, match=r"^y must be whole numbers from 0 to 2 where class_weight is given, got -1"):
        net.fit(X, LABELS - 1, class_weight="balanced")


def test_a_wrong_label_among_very_many():
    net = mlpc.Network([1, 1], loss="binary_cross_entropy", seed=0)
    many, labels = np.zeros((2_500_000, 1), np.int8), np.zeros(2_500_000, np.int8)
    labels[2_300_000] = 3
    with pytest.raises(ValueError, match="got 3 in row 2300000"):
        net.fit(many, labels, class_weight="balanced")


def test_sums_that_are_none():
    net = trained("categorical_cross_entropy", 3)
    reasons = {0.0: "positive in sum, which is 0", 1e308: "finite in sum, which is inf", 1e-310: "2.3e-308 or more"}
    for weight, reason in reasons.items():
        weights = np.full(len(X), weight)
        assert_refused(lambda w=weights: net.fit(X, LABELS, sample_weight=w), net, ValueError, reason)
    halves = np.full((len(X), 3), 0.5)
    assert_refused(lambda: net.fit(X, halves), net, ValueError, "sum to 1, not to 1.5")


def test_class_weight_needs_classes():
    net = trained()
    assert_refused(lambda: net.fit(X, Y, class_weight="balanced"), net, ValueError, "class_weight")
    net = trained("categorical_cross_entropy", 3)
    assert_refused(lambda: net.fit(X, np.eye(3)[LABELS], class_weight={0: 1}), net, ValueError, "class_weight")


# ---- Other arguments of fit, predict and their like.

FIT = [
    ({"epochs": 0}, ValueError, "epochs|0"),
    ({"epochs": -1}, ValueError, "epochs|-1"),
    ({"epochs": 1.5}, TypeError, "epochs|1.5"),
    ({"epochs": "3"}, TypeError, "epochs"),
    ({"epochs": True}, TypeError, "epochs"),
    ({"batch_size": 0}, ValueError, "batch_size|0"),
    ({"batch_size": -3}, ValueError, "batch_size|-3"),
    ({"batch_size": 2.0}, TypeError, "batch_size|2.0"),
    ({"batch_size": "all"}, (TypeError, ValueError), "batch_size|all"),
    ({"shuffle": "yes"}, TypeError, "shuffle"),
    ({"validation_data": X}, (TypeError, ValueError), "validation_data"),
    ({"validation_data": (X,)}, (TypeError, ValueError), "validation_data"),
    ({"validation_data": (X, Y[:3])}, ValueError, "validation_data"),
    ({"validation_data": (X, Y, ONES, ONES)}, (TypeError, ValueError), "validation_data"),
    ({"early_stopping": 5}, TypeError, "early_stopping"),
    ({"early_stopping": True}, ValueError, "validation_data"),
    ({"early_stopping": mlpc.EarlyStopping("accuracy")}, ValueError, "early_stopping|accuracy"),
    ({"callbacks": 3}, TypeError, "callbacks"),
    ({"callbacks": [print, 3]}, TypeError, "callbacks"),
    ({"callbacks": [dict]}, TypeError, "callbacks"),  # a class, whose instances are true
    ({"callbacks": mlpc.EarlyStopping("loss")}, TypeError, "early_stopping"),
    ({"progress": "bar"}, TypeError, "progress"),
    ({"on_divergence": "ignore"}, ValueError, "on_divergence|ignore|'warn'|'raise'"),
    ({"n_threads": 0}, ValueError, "n_threads|0"),
    ({"n_threads": 1.5}, TypeError, "n_threads"),
]


def test_batch_size_says_what_it_may_be():
    net = trained()
    for fit in (net.fit, net.partial_fit):
        for bad, error in (("full", ValueError), (2.0, TypeError), (True, TypeError), ([3], TypeError)):
            with pytest.raises(error) as caught:
                fit(X, Y, batch_size=bad)
            assert str(caught.value) == f'batch_size must be an integer, "auto" or None, got {bad!r}'


@pytest.mark.parametrize("index", range(len(FIT)))
def test_bad_fit_arguments(index):
    settings, error, words = FIT[index]
    net = trained()
    assert_refused(lambda: net.fit(X, Y, **settings), net, error, words)


def test_bad_partial_fit_arguments():
    net = trained()
    assert_refused(lambda: net.partial_fit(X, Y, batch_size=0), net, ValueError, "batch_size|0")
    for wrong in (0, -1):
        assert_refused(lambda n=wrong: net.partial_fit(X, Y, n_threads=n), net, ValueError, f"n_threads|{wrong}")


def test_full_batch_rules_refuse_smaller_batches():
    for optimizer in ("rprop", "lbfgs"):
        net = mlpc.Network([3, 4, 2], loss="squared_error", optimizer=optimizer, seed=0).fit(X, Y, epochs=2)
        assert_refused(lambda net=net: net.fit(X, Y, batch_size=5), net, ValueError, "batch_size|5")
        net.fit(X, Y, epochs=1, batch_size=24).fit(X, Y, epochs=1, batch_size=25)
        assert net.epoch == 4
        assert_refused(lambda net=net: net.fit(3.0, Y, batch_size=5), net, ValueError, "X must have shape")
    net = trained(dropout=0.2)

    def assign():
        net.optimizer = mlpc.LBFGS()

    assert_refused(assign, net, ValueError, "dropout|LBFGS")


def test_plateau_needs_what_it_watches():
    net = mlpc.Network([3, 2], loss="huber", optimizer=mlpc.SGD(schedule=mlpc.ReduceOnPlateau()), seed=0)
    assert_refused(lambda: net.fit(X, Y), net, ValueError, "validation_data")


def test_predictions():
    net = trained()
    for layer in (0, 2, 3, -2, -5):
        assert_refused(lambda layer=layer: net.transform(X, layer=layer), net, ValueError, f"layer|{layer}")
    for layer in (1.0, True, np.True_):
        assert_refused(lambda layer=layer: net.transform(X, layer=layer), net, ValueError, f"layer|{layer}")
    shallow = mlpc.Network([3, 2], loss="huber", seed=0)
    assert_refused(lambda: shallow.transform(X), shallow, ValueError, "hidden")
    binary = trained("binary_cross_entropy", 1)
    for threshold in (-0.1, 1.1, np.nan, [0.2, 0.3], []):
        assert_refused(lambda t=threshold: binary.predict(X, threshold=t), binary, ValueError, "threshold")
    for threshold in ("half", True, np.False_, [True], np.array(True)):
        assert_refused(lambda t=threshold: binary.predict(X, threshold=t), binary, TypeError, "threshold")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "n_out"), [("categorical_cross_entropy", 3), ("binary_cross_entropy", 1)])
def test_rows_with_nan(loss, n_out, dtype):
    """They give NaN outputs; where those would become a label, the row is named."""
    net = trained(loss, n_out, dtype=dtype)
    bad = with_value(X, np.nan)
    outputs = net.predict_proba(bad)
    assert np.isnan(outputs[5]).all()
    assert np.isfinite(np.delete(outputs, 5, axis=0)).all()
    assert_refused(lambda: net.predict(bad), net, ValueError, "X[5", bad)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_passes_every_activation(activation, dtype):
    for width in (1, 3, 4, 8, 17):
        net = mlpc.Network(
            [3, width, 2], loss="huber", hidden_activation=activation, output_activation=activation, dtype=dtype, seed=0
        )
        outputs = net.predict_proba(with_value(X, np.nan))
        assert np.isnan(outputs[5]).all()
        assert np.isfinite(np.delete(outputs, 5, axis=0)).all()


def test_parameters_elsewhere():
    net = trained()
    for call in (net.objective, net.gradient, net.input_gradient, net.sample_losses):
        for bad, error in (
            (np.zeros(3), ValueError),
            (np.zeros((net.n_parameters, 1)), ValueError),
            (np.zeros(net.n_parameters, dtype=complex), TypeError),
            ("text", (TypeError, ValueError)),
        ):
            assert_refused(lambda call=call, bad=bad: call(X, Y, parameters=bad), net, error, "parameters")
    for bad, error in ((np.zeros(3), ValueError), ("text", (TypeError, ValueError)), (np.zeros((99, 1)), ValueError)):
        assert_refused(lambda bad=bad: setattr(net, "parameters", bad), net, error, "parameters")
    single, beyond = trained(dtype="float32"), np.full(net.n_parameters, 1e300)
    assert_refused(lambda: setattr(single, "parameters", beyond), single, ValueError, "parameters|finite in float32")
    assert not np.isfinite(single.objective(X, Y, parameters=beyond))
    assert_refused(lambda: net.unpack(np.zeros(3)), net, ValueError, "vector")
    with pytest.raises(AttributeError):
        del net.parameters


def test_unknown_attributes_and_read_only_ones():
    net = trained()
    for name in ("layer_sizes", "epoch", "step", "loss", "n_parameters", "weights", "history"):
        before = fingerprint(net)
        with pytest.raises((AttributeError, TypeError)):
            setattr(net, name, 3)
        assert fingerprint(net) == before
    assert_refused(lambda: setattr(net, "optimizer", "adamm"), net, ValueError, "optimizer|adamm")
    assert_refused(lambda: setattr(net, "optimizer", 3), net, TypeError, "optimizer")


def test_bad_schedules_at_work():
    """A function that gives no multiplier ends the fit with its own error, at the last completed epoch."""
    for bad, error in (
        (-1.0, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        ("x", (TypeError, ValueError)),
    ):
        net = mlpc.Network(
            [3, 2], loss="huber", optimizer=mlpc.SGD(schedule=lambda e, bad=bad: 1.0 if e < 2 else bad), seed=0
        )
        with pytest.raises(error):
            net.fit(X, Y, epochs=5)
        assert net.epoch == 2


def test_bad_logs():
    net = trained()
    for value in ("text", [1, 2], None, 1j):
        with pytest.raises(TypeError, match=r"logs|callbacks"):
            net.fit(X, Y, epochs=1, callbacks=lambda net, epoch, logs, value=value: logs.update(extra=value))


def test_late_bad_values_leave_everything():
    """The worst place for a NaN: the last row, of more data than a tile holds, after hours of steps."""
    rng = np.random.default_rng(0)
    big, target = rng.normal(size=(5000, 20)), rng.normal(size=5000)
    big[4999, 19] = np.nan
    for dtype, batch_size in (("float32", 32), ("float64", 32), ("float64", None), ("float64", 1)):
        net = mlpc.Network([20, 8, 1], loss="huber", dropout=0.1, dtype=dtype, seed=0)
        net.fit(big[:100], target[:100], epochs=1)
        assert_refused(
            lambda net=net, b=batch_size: net.fit(big, target, epochs=2, batch_size=b),
            net,
            ValueError,
            "X[4999, 19]",
        )
    target[4000] = np.inf
    assert_refused(lambda: net.fit(big[:4500], target[:4500]), net, ValueError, "y[4000")


# ---- Files.


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    trained().save(path)
    return path


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mlpc.load(tmp_path / "nowhere.safetensors")


def test_truncated_files(model):
    whole = model.read_bytes()
    for length in (0, 3, 8, 20, len(whole) // 2, len(whole) - 1):
        model.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=model.name):
            mlpc.load(model)
    model.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match=model.name):
        mlpc.load(model)


def test_altered_files(model):
    """A changed bit is refused, wherever it is; or it stood for nothing, as in the padding of the header."""
    whole, same = bytearray(model.read_bytes()), fingerprint(mlpc.load(model))
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(whole), 300, replace=False):
        altered = whole.copy()
        altered[place] ^= 1 << int(rng.integers(8))
        model.write_bytes(altered)
        try:
            assert fingerprint(mlpc.load(model)) == same
        except ValueError as error:
            refused += model.name in str(error)
    assert refused >= 290


def test_files_of_other_things(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"layer_sizes": [1, 1]}))
    with pytest.raises(ValueError, match=path.name):
        mlpc.load(path)
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=path.name):
        mlpc.load(path)


# ---- Two at once.


def test_concurrent_changes_are_refused():
    """One writer or many readers: the later call gets a RuntimeError, the earlier one finishes as if alone."""
    alone = trained().fit(X, Y, epochs=3)
    net = trained()
    inside, looked = threading.Event(), threading.Event()

    def wait(net, epoch, logs):
        inside.set()
        assert looked.wait(30)

    thread = threading.Thread(target=lambda: net.fit(X, Y, epochs=3, callbacks=wait))
    thread.start()
    assert inside.wait(30)
    try:
        for call in (
            lambda: net.fit(X, Y),
            lambda: net.partial_fit(X, Y),
            lambda: net.predict(X),
            lambda: net.gradient(X, Y),
            lambda: net.backpropagate(X, Y),
            lambda: setattr(net, "parameters", net.parameters),
            lambda: setattr(net, "optimizer", mlpc.Adam()),
            net.end_epoch,
            net.reset,
            net.copy,
        ):
            with pytest.raises(RuntimeError):
                call()
    finally:
        looked.set()
        thread.join()
    assert fingerprint(net) == fingerprint(alone)


def test_messages_name_what_the_caller_wrote():
    with pytest.raises(TypeError, match=r"^Network\.fit\(\) got an unexpected keyword argument 'lr'"):
        trained().fit(X, Y, lr=0.1)
    with pytest.raises(TypeError, match=r"^Network\.gradient\(\)"):
        trained().gradient(X, Y, lr=0.1)
    for method in (mlpc.Network.fit, mlpc.Network.gradient, mlpc.Network.to_latex, mlpc.Network.copy):
        assert pickle.loads(pickle.dumps(method)) is method


def test_one_output_of_a_softmax_has_one_class():
    net = mlpc.Network([3, 1], loss="categorical_cross_entropy")
    with pytest.raises(ValueError, match=r"is 1: it must be 0, the only class of one output .*binary_cross_entropy"):
        net.fit(X, BINARY)


@pytest.mark.parametrize(
    ("weight", "samples", "message"), [(0.0, 10.0, "it must be positive"), (1e300, 1e300, "it must be finite")]
)
def test_a_sum_of_weights_names_all_of_them(weight, samples, message):
    net = mlpc.Network([3, 1], loss="binary_cross_entropy", seed=0)
    only = np.zeros(len(X))
    only[:4], y = samples, np.zeros(len(X))
    y[:4] = 1
    with pytest.raises(ValueError, match=f"^sample_weight times class_weight: {message} in sum"):
        net.fit(X, y, class_weight={1: weight}, sample_weight=only)
