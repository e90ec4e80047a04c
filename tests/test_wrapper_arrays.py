"""Array arguments of the extension: read in place whatever their layout and dtype, or refused with the reason."""

import sys

import numpy as np
import pytest
from wrapper import assert_same_state, data, evaluate, fit, make, with_value

from mlpc import _core

# ---- Arrays


def unaligned(X):
    raw = np.empty(X.nbytes + 1, np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    assert not view.flags.aligned or X.itemsize == 1
    return view


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3],
    "negative strides": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "transposed": lambda X: np.ascontiguousarray(X.T).T,
    "unaligned": unaligned,
    "read-only": read_only,
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "unaligned and byte-swapped": lambda X: unaligned(X.astype(X.dtype.newbyteorder())),
    "subclass": lambda X: X.view(type("Subclass", (np.ndarray,), {})),
    "list": lambda X: X.tolist(),
}
DTYPES = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_array_gives_the_bits_of_the_contiguous_one(layout, kind, dtype):
    values = np.random.default_rng(0).integers(0, 2 if kind == "?" else 100, (37, 5)).astype(kind)
    y = np.arange(37) % 2
    plain, given = values.astype(float), LAYOUTS[layout](values)
    net, twin = make((5, 4, 1), dtype=dtype), make((5, 4, 1), dtype=dtype)
    assert np.array_equal(net.predict_proba(given), twin.predict_proba(plain))
    assert np.array_equal(net.activations(given)[0], plain.astype(dtype))
    got, expected = evaluate(net, given, LAYOUTS[layout](y[:, None])), evaluate(twin, plain, y.astype(float))
    assert got[0] == expected[0]
    assert np.array_equal(got[1], expected[1])
    weight = np.ones((37, 1), kind)
    fit(net, given, y.astype(kind), epochs=2, batch_size=8, sample_weight=LAYOUTS[layout](weight))
    fit(twin, plain, y, epochs=2, batch_size=8, sample_weight=np.ones(37))
    assert np.array_equal(net.parameters, twin.parameters)


def test_memory_map_is_read_in_place(tmp_path):
    X, y = data()
    X.astype(">f4").tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", ">f4", "r", shape=X.shape)
    net = make()
    assert np.array_equal(net.predict_proba(mapped), net.predict_proba(X.astype(np.float32).astype(float)))
    fit(net, mapped, y)


def test_the_callers_arrays_stay_as_they_are():
    X, y = data()
    before = X.copy(), y.copy()
    net = make()
    fit(net, X, y, epochs=3, batch_size=4)
    net._backpropagate(X, y, None)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


def test_large_integers_are_converted_through_float64():
    X = np.array([[2**53 + 1, 2**24 + 1]], np.int64)
    net = make(dtype="float32")
    assert np.array_equal(net.activations(X)[0], X.astype(np.float64).astype(np.float32))


def test_results_are_new_contiguous_arrays_of_the_dtype():
    for dtype in ("float32", "float64"):
        net = make((2, 3, 2), "squared_error", dtype)
        X, _ = data()
        y = np.zeros((20, 2))
        results = [net.predict_proba(X), net.predict(X), net.transform(X), *net.activations(X)]
        results += [
            *evaluate(net, X, y, want="gi")[1:3],
            *(a for record in net._backpropagate(X, y, None) for a in record),
        ]
        for array in results:
            assert array.dtype == dtype
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.owndata
        assert evaluate(net, X, y, want="s")[3].dtype == np.float64


def test_what_is_not_wanted_is_not_computed():
    net, (X, y) = make(), data()
    for want in ("", "o", "g", "i", "s", "ogis"):
        result = evaluate(net, X, y, want=want)
        assert [value is not None for value in result] == [letter in want for letter in "ogis"]


def test_evaluation_at_other_parameters_leaves_the_network():
    net, (X, y) = make(), data()
    before = net.parameters.copy()
    other = make()
    other.parameters = before + 1
    expected = evaluate(other, X, y)
    for given in (before + 1, (before + 1).tolist(), (before + 1)[::-1][::-1], (before + 1).astype(">f8")):
        got = evaluate(net, X, y, parameters=given)
        assert got[0] == expected[0]
        assert np.array_equal(got[1], expected[1])
    assert np.array_equal(net.parameters, before)


# ---- What is refused, and how


BAD_X = [
    (np.zeros((5, 3)), ValueError, r"X must have shape \(n_samples, 2\), got \(5, 3\)"),
    (np.zeros(2), ValueError, r"X must have shape \(n_samples, 2\), got \(2,\): reshape\(1, -1\) makes it one row"),
    (np.zeros(3), ValueError, r"X must have shape \(n_samples, 2\), got \(3,\)$"),
    (np.zeros((2, 2, 2)), ValueError, r"X must have shape"),
    (np.float64(1), ValueError, r"X must have shape \(n_samples, 2\), got \(\)"),
    (np.zeros((0, 2)), ValueError, r"X must have at least one row, got shape \(0, 2\)"),
    (np.zeros((5, 2), complex), TypeError, "X must hold real numbers .* got dtype complex128"),
    (np.zeros((5, 2), object), TypeError, "X must hold real numbers .* got dtype object"),
    (np.zeros((5, 2), "U1"), TypeError, "X must hold real numbers .* got dtype <U1"),
    (np.zeros((5, 2), "M8[s]"), TypeError, "X must hold real numbers"),
    (np.zeros((5, 2), "m8[s]"), TypeError, "X must hold real numbers"),
    (np.zeros((5, 2), [("a", float)]), TypeError, "X must hold real numbers"),
    ([["a", "b"]], TypeError, "X"),
    ([[1, 2], [3]], ValueError, "X"),
    (None, TypeError, "X"),
    (np.ma.masked_less([[1.0, 2.0]], 1.5), ValueError, "X"),
]


METHODS = {
    **{
        name: getattr(_core.Network, name)
        for name in ("predict_proba", "forward", "predict", "transform", "activations")
    },
    "fit": lambda net, X: fit(net, X, np.zeros(5)),
    "evaluate": lambda net, X: evaluate(net, X, np.zeros(5)),
    "backpropagate": lambda net, X: net._backpropagate(X, np.zeros(5), None),
}


@pytest.mark.parametrize(("X", "error", "text"), BAD_X)
@pytest.mark.parametrize("method", METHODS)
def test_bad_x(method, X, error, text):
    net = make()
    before = net._get_state()
    with pytest.raises(error, match=text):
        METHODS[method](net, X)
    assert_same_state(net._get_state(), before)


X5, Y5 = np.zeros((5, 2)), np.zeros(5)
TWO, CLASSES = ((2, 2), "squared_error"), ((2, 3), "categorical_cross_entropy")
BAD_DATA = [
    (((2, 1), "squared_error"), X5, np.zeros(4), None, r"y must have one row for each row of X: 4 and 5"),
    (
        ((2, 1), "squared_error"),
        X5,
        np.zeros((5, 2)),
        None,
        r"y must have shape \(n_samples,\) or \(n_samples, 1\), got \(5, 2\)",
    ),
    (TWO, X5, Y5, None, r"y must have shape \(n_samples, 2\), got \(5,\)$"),
    (
        ((2, 2), "binary_cross_entropy"),
        X5,
        Y5,
        None,
        r"y must have shape \(n_samples, 2\), got \(5,\): one label a row is for 'categorical_cross_entropy'",
    ),
    (TWO, X5, np.zeros((2, 5)), None, r"y must have shape \(n_samples, 2\), got \(2, 5\)"),
    (CLASSES, X5, np.zeros((5, 2)), None, r"y must have shape \(n_samples,\) or \(n_samples, 3\), got \(5, 2\)"),
    (((2, 1), "squared_error"), X5, Y5, np.ones(4), r"sample_weight must have one row for each row of X: 4 and 5"),
    (((2, 1), "squared_error"), X5, Y5, np.ones((5, 2)), r"sample_weight must have shape \(n_samples,\), got \(5, 2\)"),
    (((2, 1), "squared_error"), with_value(X5, (3, 1), np.nan), Y5, None, r"X\[3, 1\] is nan"),
    (((2, 1), "squared_error"), with_value(X5, (0, 0), -np.inf).astype(">f4"), Y5, None, r"X\[0, 0\] is -inf"),
    (((2, 1), "squared_error"), np.broadcast_to(np.inf, (5, 2)), Y5, None, r"X\[0, 0\] is inf"),
    (((2, 1), "squared_error"), X5, with_value(Y5, 4, np.inf), None, r"y\[4\] is inf"),
    (TWO, X5, with_value(np.zeros((5, 2)), (1, 1), np.nan), None, r"y\[1, 1\] is nan"),
    (CLASSES, X5, with_value(np.zeros(5, int), 2, 3), None, r"y\[2\] is 3: it must be a whole number from 0 to 2"),
    (CLASSES, X5, with_value(np.zeros((5, 1)), 2, 0.5), None, r"y\[2, 0\] is 0.5: it must be a whole number"),
    (CLASSES, X5, np.zeros((5, 3)), None, r"y\[0.*\].*sum to 1"),
    (((2, 1), "binary_cross_entropy"), X5, np.full(5, -1), None, r"y\[0\] is -1.*\(y\+1\)/2"),
    (((2, 1), "poisson"), X5, np.full(5, -2.5), None, r"y\[0\] is -2.5"),
    (((2, 1), "squared_error"), X5, Y5, with_value(np.ones(5), 2, -1), r"sample_weight\[2\] is -1"),
    (((2, 1), "squared_error"), X5, Y5, with_value(np.ones(5), 2, np.nan), r"sample_weight\[2\] is nan"),
    (((2, 1), "squared_error"), X5, Y5, np.zeros(5), r"sample_weight"),
]


@pytest.mark.parametrize(("kind", "X", "y", "weight", "text"), BAD_DATA)
def test_bad_data(kind, X, y, weight, text):
    net = make(*kind)
    before = net._get_state()
    with pytest.raises(ValueError, match=text):
        fit(net, X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=text):
        evaluate(net, X, y, weight)
    with pytest.raises(ValueError, match=text):
        net._backpropagate(X, y, weight)
    names = rf"validation_data\[{'Xys'.index(text[0])}\]"
    n_outputs = kind[0][1]
    good = np.zeros(5) if kind is CLASSES else np.zeros((5, n_outputs))
    with pytest.raises(ValueError, match=names):
        fit(net, X5, good, validation_data=(X, y) if weight is None else (X, y, weight))
    assert_same_state(net._get_state(), before)


def test_settings_of_fit_are_refused():
    net, (X, y) = make(), data()
    bad = [
        ({"epochs": 0}, ValueError),
        ({"batch_size": -1}, ValueError),
        ({"shuffle": True}, ValueError),  # no bit generator yet
        ({"class_weight": np.ones(3)}, ValueError),
        ({"class_weight": "balanced"}, TypeError),
        ({"validation_data": X}, TypeError),
        ({"validation_data": (X,)}, TypeError),
        ({"schedule": ("no such",)}, ValueError),
        ({"schedule": ("step_decay", 1)}, TypeError),
        ({"schedule": 7}, TypeError),
        ({"schedule": ("reduce_on_plateau", 3, 0.5, 1, 0.0, 0.0)}, ValueError),
        ({"stopping": (0, False, 0, 0.0, True)}, ValueError),
        ({"stopping": 1}, TypeError),
    ]
    before = net._get_state()
    for changes, error in bad:
        with pytest.raises(error):
            fit(net, X, y, **changes)
    with pytest.raises(ValueError, match="class_weight needs"):
        fit(make((2, 1), "squared_error"), X, y, class_weight=np.ones(2))
    assert_same_state(net._get_state(), before)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan, 10**400, [0.5, 0.5], [2.0], [[0.5]]])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match="threshold"):
        make().predict(X5, threshold=threshold)


@pytest.mark.parametrize("threshold", ["0.5", None, 1j, {}])
def test_threshold_of_a_wrong_type(threshold):
    with pytest.raises(TypeError, match="threshold"):
        make().predict(X5, threshold=threshold)


def test_threshold_is_a_number_or_one_per_output():
    net, (X, _) = make((2, 3), activations=("sigmoid",)), data()
    p = net.predict_proba(X)
    for threshold in (0, 1, 0.3, np.float32(0.3), np.array(0.3)):
        labels = net.predict(X, threshold=threshold)
        assert labels.dtype == np.int64
        assert np.array_equal(labels, p >= float(threshold))
    for threshold in ([0.2, 0.5, 0.9], (0.2, 0.5, 0.9), np.array([0.2, 0.5, 0.9])):
        assert np.array_equal(net.predict(X, threshold=threshold), p >= np.array([0.2, 0.5, 0.9]))


def test_labels():
    X, _ = data()
    assert make().predict(X).shape == (20,)
    net = make((2, 3), "categorical_cross_entropy")
    assert np.array_equal(net.predict(X), net.predict_proba(X).argmax(1))
    assert make((2, 3), "squared_error").predict(X).shape == (20, 3)
    assert make((2, 1), "squared_error").predict(X).shape == (20,)


def test_nan_in_prediction():
    X = np.zeros((5, 2))
    X[3, 1] = np.nan
    net = make()
    assert np.isnan(net.predict_proba(X)[:, 0]).tolist() == [False, False, False, True, False]
    with pytest.raises(ValueError, match=r"X\[3\]"):
        net.predict(X)


def test_layers():
    net, (X, _) = make((2, 3, 4, 1)), data()
    a = net.activations(X)
    assert [x.shape for x in a] == [(20, 2), (20, 3), (20, 4), (20, 1)]
    for layer, same in [(1, 1), (2, 2), (-1, 2), (-2, 1), (np.int8(2), 2)]:
        assert np.array_equal(net.transform(X, layer=layer), a[same])
    assert np.array_equal(net.transform(X), a[2])
    for layer in (0, 3, -3, 10**30, -(10**30)):
        with pytest.raises(ValueError, match="layer must be a hidden layer, 1 to 2 or -2 to -1, got"):
            net.transform(X, layer=layer)
    for layer in (1.0, "1", None):
        with pytest.raises(ValueError, match="layer must be a whole number"):
            net.transform(X, layer=layer)
    with pytest.raises(ValueError, match="no hidden layer"):
        make((2, 1)).transform(X)


def test_arguments_of_the_fast_methods():
    net, (X, _) = make(), data()
    assert np.array_equal(net.predict(X=X, threshold=0.5), net.predict(X))
    for arguments, keywords in [((), {}), ((X, 0.5), {}), ((X,), {"X": X}), ((X,), {"layer": 1})]:
        with pytest.raises(TypeError, match=r"predict\(\)"):
            net.predict(*arguments, **keywords)
    with pytest.raises(TypeError, match=r"forward\(\)"):
        net.forward(X, threshold=0.5)


@pytest.mark.parametrize("q", [(0.1, 0.5, 0.9)])
def test_several_quantiles_share_one_target(q):
    net, (X, y) = make((2, 3), "quantile", loss_parameters=q), data()
    expected = evaluate(net, X, np.repeat(y[:, None], 3, 1))
    for target in (y, y[:, None], y.tolist()):
        got = evaluate(net, X, target)
        assert got[0] == expected[0]
        assert np.array_equal(got[1], expected[1])
    with pytest.raises(ValueError, match=r"y\[2\] is nan"):
        fit(net, X, with_value(y, 2, np.nan))


def test_a_vector_that_is_resized_while_it_is_converted():
    """Python code that runs then, a tracing function, may do anything: the vector is held before it is looked at."""
    net = make()
    X, y = data()
    vector = np.zeros(net.n_parameters, np.float32)
    refused = []

    def trace(frame, event, argument):
        if frame.f_code.co_name == "as_floats" and event == "call":
            with pytest.raises(ValueError, match="cannot resize"):
                vector.resize(1, refcheck=False)
            refused.append(1)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        value = evaluate(net, X, y, parameters=vector)[0]
    finally:
        sys.settrace(before)
    assert refused
    assert value == evaluate(net, X, y, parameters=np.zeros(net.n_parameters))[0]
    vector.resize(1, refcheck=False)
