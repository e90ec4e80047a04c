"""export_numpy: a module that needs NumPy alone and says what predict_proba says."""

import ast

import numpy as np
import pytest
from exports import DTYPES, N_IN, SETTINGS, assert_agrees, make, rows

import mlpc


def run(text):
    module = {}
    exec(compile(text, "net.py", "exec"), module)
    return module


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SETTINGS)
def test_agrees_with_predict_proba(case, dtype):
    net, X = make(case, dtype), rows(dtype)
    predict_proba = run(mlpc.export_numpy(net))["predict_proba"]
    assert_agrees(predict_proba(X), net.predict_proba(X))
    assert_agrees(predict_proba(X[:1].tolist()), net.predict_proba(X[:1]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in SETTINGS if case != "exp"])
def test_nan_gives_nan_and_large_inputs_do_not_overflow(case, dtype):
    net, X = make(case, dtype), rows(dtype, 6)
    X[3:] *= 1e4
    predict_proba = run(mlpc.export_numpy(net))["predict_proba"]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert_agrees(predict_proba(X), net.predict_proba(X), times=1e3)  # sums of large terms cancel
    X[1, 2] = np.nan
    assert np.array_equal(np.isnan(predict_proba(X)), np.isnan(net.predict_proba(X)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ["gelu", "no_biases"])
def test_what_stands_in_it(tmp_path, case, dtype):
    net, path = make(case, dtype), tmp_path / "net.py"
    net.weights[0][0, :4] = 1e-30, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    text = mlpc.export_numpy(net, path)
    assert path.read_text() == text == mlpc.export_numpy(net)
    assert net.fingerprint() in ast.get_docstring(ast.parse(text))
    assert max(map(len, text.splitlines())) <= 120
    imported = {name.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for name in node.names}
    assert imported == ({"math", "numpy"} if case == "gelu" else {"numpy"})
    module = run(text)
    for layer, weights in enumerate(net.weights, start=1):
        assert module[f"W{layer}"].tobytes() == weights.tobytes()
    for layer, biases in enumerate(net.biases, start=1):
        assert module[f"b{layer}"].tobytes() == biases.tobytes()


def test_digits_that_would_be_rounded_twice():
    # All floats near a few powers of ten, where shortest digits are most often near the middle of two floats.
    around = np.concatenate([np.float32(10.0**k).view(np.int32) + np.arange(-300, 300) for k in range(-20, 20, 3)])
    values = around.astype(np.int32).view(np.float32)
    values[0] = np.int32(0x15AE43FD).view(np.float32)  # 7.038531e-26, as a double between two floats
    assert np.float32(float(str(values[0]))) != values[0]
    net = mlpc.Network([1, len(values)], loss="squared_error", bias=False, dtype="float32")
    net.parameters = values
    assert run(mlpc.export_numpy(net))["W1"].tobytes() == values.tobytes()


def test_arguments_of_a_wrong_type():
    with pytest.raises(TypeError, match=r"^net must be"):
        mlpc.export_numpy([N_IN, 1])
    with pytest.raises(TypeError, match=r"^path must be"):
        mlpc.export_numpy(make("relu", "float64"), 3)
