"""A network as an ONNX model of standard operators, opset 17; float64 keeps to those that ONNX Runtime has in double.

https://onnx.ai/onnx/operators/ defines them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._export_c import TAIL_64
from mlpc._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from mlpc.network import Network

_OPSET = 17
_IR_VERSION = 8  # that of opset 17
_LARGEST = 2**31 - 1  # bytes of a message of protocol buffers

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

# (a + 4) exp(a² / 2) Phi(-a) in (a - 4) / (a + 4) for a from 0 to 39, as in csrc/kernels/functions.h.
_NORMAL_CENTER, _NORMAL_HIGHEST = 4.0, 39.0
_NORMAL_TAIL = tuple(map(float, TAIL_64.split()))


class _Graph:
    """Nodes and constants, named as they are added."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.dtype = dtype
        self.prefix = ""

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"node_{name}", **attributes))
        return name

    def constant(self, value: Any, name: str | None = None) -> str:
        from onnx import numpy_helper

        name = name or f"constant_{value!r}"
        self.constants[name] = numpy_helper.from_array(np.array(value, self.dtype), name)
        return name


def _softplus(g: _Graph, z: str) -> str:
    """max(z, 0) + log(1 + exp(-|z|))."""
    e = g.add("Exp", g.add("Neg", g.add("Abs", z)))
    return g.add("Add", g.add("Relu", z), g.add("Log", g.add("Add", e, g.constant(1.0))))


def _exp_minus_1(g: _Graph, z: str) -> str:
    """exp(z) - 1 where z is negative, else 0: 2 t / (1 - t) with t = tanh(min(z, 0) / 2), exact near zero too."""
    t = g.add("Tanh", g.add("Mul", g.add("Min", z, g.constant(0.0)), g.constant(0.5)))
    return g.add("Div", g.add("Mul", t, g.constant(2.0)), g.add("Sub", g.constant(1.0), t))


def _elu(g: _Graph, z: str) -> str:
    return g.add("Add", g.add("Relu", z), _exp_minus_1(g, z))


def _selu(g: _Graph, z: str) -> str:
    below = g.add("Mul", _exp_minus_1(g, z), g.constant(_SELU_SCALE * _SELU_ALPHA))
    return g.add("Add", g.add("Mul", g.add("Relu", z), g.constant(_SELU_SCALE)), below)


def _silu(g: _Graph, z: str) -> str:
    """Divide z by 1 + exp(-z), as ONNX Runtime 1.23 takes z sigmoid(z) for an operator that it has in float alone."""
    return g.add("Div", z, g.add("Add", g.add("Exp", g.add("Neg", z)), g.constant(1.0)))


def _gelu(g: _Graph, z: str) -> str:
    """Half of z (1 + erf(z / sqrt(2)))."""
    erf = g.add("Erf", g.add("Div", z, g.constant(math.sqrt(2.0))))
    return g.add("Mul", g.add("Mul", z, g.add("Add", erf, g.constant(1.0))), g.constant(0.5))


def _gelu_without_erf(g: _Graph, z: str) -> str:
    """max(z, 0) - a Phi(-a), a = |z|: ONNX Runtime has no erf in double."""
    a = g.add("Min", g.add("Abs", z), g.constant(_NORMAL_HIGHEST))  # beyond, Phi(-a) is 0
    below, above = (g.add(operator, a, g.constant(_NORMAL_CENTER)) for operator in ("Sub", "Add"))
    t = g.add("Div", below, above)
    ratio = g.constant(_NORMAL_TAIL[-1])
    for coefficient in reversed(_NORMAL_TAIL[:-1]):
        ratio = g.add("Add", g.add("Mul", ratio, t), g.constant(coefficient))
    power = g.add("Exp", g.add("Mul", g.add("Mul", a, a), g.constant(-0.5)))
    tail = g.add("Div", g.add("Mul", power, ratio), above)
    return g.add("Sub", g.add("Relu", z), g.add("Mul", a, tail))


_COMMON: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda g, z: g.add("Identity", z),
    "sigmoid": lambda g, z: g.add("Sigmoid", z),
    "tanh": lambda g, z: g.add("Tanh", z),
    "relu": lambda g, z: g.add("Relu", z),
    "leaky_relu": lambda g, z: g.add("Max", z, g.add("Mul", z, g.constant(0.01))),
    "softsign": lambda g, z: g.add("Div", z, g.add("Add", g.add("Abs", z), g.constant(1.0))),
    "silu": _silu,
    "exp": lambda g, z: g.add("Exp", z),
    "softmax": lambda g, z: g.add("Softmax", z, axis=1),
    "softplus": _softplus,
    "mish": lambda g, z: g.add("Mul", z, g.add("Tanh", _softplus(g, z))),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu_without_erf,
}
_FLOAT = _COMMON | {
    "leaky_relu": lambda g, z: g.add("LeakyRelu", z, alpha=0.01),
    "softsign": lambda g, z: g.add("Softsign", z),
    "silu": lambda g, z: g.add("Mul", z, g.add("Sigmoid", z)),
    "softplus": lambda g, z: g.add("Softplus", z),
    "mish": lambda g, z: g.add("Mul", z, g.add("Tanh", g.add("Softplus", z))),
    "elu": lambda g, z: g.add("Elu", z, alpha=1.0),
    "selu": lambda g, z: g.add("Selu", z, alpha=_SELU_ALPHA, gamma=_SELU_SCALE),
    "gelu": _gelu,
}


def model(net: Network, fingerprint: str) -> bytes:
    """Return the file for a network whose parameters are finite."""
    from onnx import TensorProto, helper

    spec = net._spec
    single = spec.dtype == "float32"
    activations = _FLOAT if single else _COMMON
    if spec.n_parameters * net.dtype.itemsize > _LARGEST - 2**20:
        raise ValueError(f"export_onnx writes files of less than 2 GiB, and net has {spec.n_parameters} parameters")
    g = _Graph(spec.dtype)
    a = "X"
    for layer, weights in enumerate(net.weights, start=1):
        g.prefix = f"layer_{layer}_"
        w = g.constant(weights, f"W{layer}")
        if spec.bias:
            z = g.add("Gemm", a, w, g.constant(net.biases[layer - 1], f"b{layer}"), output=f"Z{layer}")
        else:
            z = g.add("MatMul", a, w, output=f"Z{layer}")
        a = activations[spec.activations[layer - 1]](g, z)
        g.nodes[-1].output[0] = a = "output" if layer == spec.n_layers else f"A{layer}"
    element = TensorProto.FLOAT if single else TensorProto.DOUBLE
    graph = helper.make_graph(
        g.nodes,
        "mlpc",
        [helper.make_tensor_value_info("X", element, ["n_samples", spec.layer_sizes[0]])],
        [helper.make_tensor_value_info("output", element, ["n_samples", spec.n_outputs])],
        list(g.constants.values()),
    )
    result = helper.make_model(
        graph,
        producer_name="mlpc",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(result, {"fingerprint": fingerprint, "loss": spec.loss_name})
    return bytes(result.SerializeToString(deterministic=True))
