"""export_onnx: models of standard operators that say under ONNX Runtime what predict_proba says."""

import math
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from exports import DTYPES, SETTINGS, assert_agrees, make, rows

import mlpc
from mlpc import _export_onnx

CASES = [(case, dtype) for case in SETTINGS for dtype in DTYPES]


def session(net, path):
    mlpc.export_onnx(net, path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_agrees_with_predict_proba(tmp_path, case, dtype):
    net, X = make(case, dtype), rows(dtype)
    model = session(net, tmp_path / "net.onnx")
    for n in (1, 7, len(X)):
        assert_agrees(model.run(None, {"X": X[:n]})[0], net.predict_proba(X[:n]))


def test_gelu_in_double_is_exact_in_its_tail(tmp_path):
    net = mlpc.Network([1, 1, 1], loss="squared_error", hidden_activation="gelu", bias=False)
    net.parameters = [1.0, 1.0]
    z = np.concatenate([np.linspace(-38, 9, 5001), [0.0, -0.0, 1e-300, -1e-300, 1e300, -1e300, np.inf]])
    got = session(net, tmp_path / "net.onnx").run(None, {"X": z[:, None]})[0].ravel()
    expected = np.array([0.5 * x * math.erfc(-x / math.sqrt(2)) for x in z])
    np.testing.assert_allclose(got, expected, rtol=5e-13, atol=1e-310)
    np.testing.assert_allclose(got[:-1], net.forward(z[:-1, None]).ravel(), rtol=5e-13, atol=1e-310)


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_nan_gives_nan_and_large_inputs_do_not_overflow(tmp_path, case, dtype):
    net, X = make(case, dtype), rows(dtype, 6)
    X[1, 2] = np.nan
    X[3:] *= 1e3
    got, expected = session(net, tmp_path / "net.onnx").run(None, {"X": X})[0], net.predict_proba(X)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    assert np.array_equal(np.isinf(got), np.isinf(expected))
    assert np.isnan(got[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_stands_in_it(tmp_path, dtype):
    net, path = make("tanh", dtype), tmp_path / "net.onnx"
    mlpc.export_onnx(net, str(path))
    first = path.read_bytes()
    mlpc.export_onnx(net, path)
    assert path.read_bytes() == first
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version >= 17) for one in model.opset_import] == [("", True)]
    assert model.ir_version == 8  # the oldest that has opset 17: older readers take it
    assert (model.producer_name, model.producer_version) == ("mlpc", mlpc.__version__)
    properties = {one.key: one.value for one in model.metadata_props}
    assert properties == {"fingerprint": net.fingerprint(), "loss": net.loss}
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    for layer, (weights, biases) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
        assert np.array_equal(constants[f"W{layer}"], weights)
        assert np.array_equal(constants[f"b{layer}"], biases)


def test_networks_too_large_for_the_format(tmp_path, monkeypatch):
    monkeypatch.setattr(_export_onnx, "_LARGEST", 2**20 + 100)
    with pytest.raises(ValueError, match="2 GiB"):
        mlpc.export_onnx(make("relu", "float64"), tmp_path / "net.onnx")


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install onnx"):
        mlpc.export_onnx(make("relu", "float64"), tmp_path / "net.onnx")


@pytest.mark.parametrize(("wrong", "name"), [({"net": None}, "net"), ({"path": b"net.onnx"}, "path")])
def test_arguments_of_a_wrong_type(tmp_path, wrong, name):
    with pytest.raises(TypeError, match=f"^{name} must be"):
        mlpc.export_onnx(**{"net": make("relu", "float64"), "path": tmp_path / "net.onnx", **wrong})
