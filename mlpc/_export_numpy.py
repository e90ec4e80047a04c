"""A network as a Python module of NumPy alone, made to be read: the layers come first, the numbers last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpc._version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlpc.network import Network

# What is written for A = g(Z): an expression, or a function of the name above.
_EXPRESSIONS = {
    "identity": "Z{l}",
    "tanh": "np.tanh(Z{l})",
    "relu": "np.maximum(Z{l}, 0.0)",
    "leaky_relu": "np.where(Z{l} > 0.0, Z{l}, 0.01 * Z{l})",
    "exp": "np.exp(Z{l})",
}
_FUNCTIONS = {
    "sigmoid": '''\
def sigmoid(Z):
    """1 / (1 + exp(-Z)), without overflow."""
    E = np.exp(-np.abs(Z))
    return np.where(Z < 0.0, E, 1.0) / (1.0 + E)
''',
    "softplus": '''\
def softplus(Z):
    """log(1 + exp(Z)), without overflow."""
    return np.maximum(Z, 0.0) + np.log1p(np.exp(-np.abs(Z)))
''',
    "elu": '''\
def elu(Z):
    """Z, or exp(Z) - 1 where that is negative."""
    return np.where(Z > 0.0, Z, np.expm1(np.minimum(Z, 0.0)))
''',
    "selu": '''\
def selu(Z):
    """Scale times Z, or times alpha (exp(Z) - 1): made to keep mean 0 and variance 1."""
    return 1.0507009873554805 * np.where(Z > 0.0, Z, 1.6732632423543772 * np.expm1(np.minimum(Z, 0.0)))
''',
    "softsign": '''\
def softsign(Z):
    """Z / (1 + |Z|), Z kept finite."""
    Z = np.clip(Z, -1e18, 1e18)
    return Z / (1.0 + np.abs(Z))
''',
    "gelu": '''\
def gelu(Z):
    """Z Phi(Z), Phi the normal distribution function: by Python's erfc, since NumPy has none."""
    Z = np.maximum(Z, -40.0)  # beyond, Phi is 0
    return Z * (0.5 * np.vectorize(math.erfc, otypes=[Z.dtype])(-Z / math.sqrt(2.0)))
''',
    "silu": '''\
def silu(Z):
    """Z / (1 + exp(-Z)), without overflow."""
    Z = np.maximum(Z, -800.0)  # beyond, it is 0
    E = np.exp(-np.abs(Z))
    return Z * np.where(Z < 0.0, E, 1.0) / (1.0 + E)
''',
    "mish": '''\
def mish(Z):
    """Z tanh(log(1 + exp(Z)))."""
    Z = np.maximum(Z, -800.0)  # beyond, it is 0
    return Z * np.tanh(np.maximum(Z, 0.0) + np.log1p(np.exp(-np.abs(Z))))
''',
    "softmax": '''\
def softmax(Z):
    """exp(Z) over its sum by rows, shifted so that the largest exponential is 1."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)
''',
}


def text(net: Network, fingerprint: str) -> str:
    """Return the module for a network whose parameters are finite."""
    spec = net._spec
    n_in, n_out = spec.layer_sizes[0], spec.n_outputs
    steps = [f"{n} ({activation})" for n, activation in zip(spec.layer_sizes[1:], spec.activations, strict=True)]
    lines = [
        f'"""A multilayer perceptron: {" -> ".join([str(n_in), *steps])}.',
        "",
        f"Written by mlpc {__version__}; fingerprint of the network: {fingerprint}",
        '"""',
        "",
        *(["import math", ""] if "gelu" in spec.activations else []),
        "import numpy as np",
        "",
        "",
        "def predict_proba(X):",
        f'    """Outputs of shape (n_samples, {n_out}) for X of shape (n_samples, {n_in})."""',
        f"    A0 = np.asarray(X, dtype=np.{spec.dtype})",
    ]
    for layer, activation in enumerate(spec.activations, start=1):
        biases = f" + b{layer}" if spec.bias else ""
        lines.append(f"    Z{layer} = A{layer - 1} @ W{layer}{biases}")
        expression = _EXPRESSIONS.get(activation, activation + "(Z{l})").format(l=layer)
        lines.append(f"    A{layer} = {expression}")
    lines += [f"    return A{spec.n_layers}", "", ""]
    for activation in dict.fromkeys(spec.activations):
        if activation in _FUNCTIONS:
            lines += [_FUNCTIONS[activation], ""]
    for layer, weights in enumerate(net.weights, start=1):
        lines.append(_assignment(f"W{layer}", weights))
        if spec.bias:
            lines.append(_assignment(f"b{layer}", net.biases[layer - 1]))
    return "\n".join(lines) + "\n"


def _assignment(name: str, array: NDArray[Any]) -> str:
    """Return a statement that makes the array, bit for bit."""
    rows = [f"    {_row(row, '    ')},\n" for row in array] if array.ndim == 2 else []
    numbers = f"[\n{''.join(rows)}]" if rows else _row(array, "")
    return f"{name} = np.array({numbers}, dtype=np.{array.dtype})"


def _row(row: NDArray[Any], indent: str) -> str:
    """Return a list of numbers, on one line if it fits."""
    import textwrap

    numbers = ", ".join(map(_digits, row))
    if len(numbers) <= 80:
        return f"[{numbers}]"
    inner = indent + "    "
    return f"[\n{textwrap.fill(numbers, 116, initial_indent=inner, subsequent_indent=inner)},\n{indent}]"


def _digits(value: Any) -> str:
    """Return the shortest digits that stand for a float, also where they are first read as a double."""
    digits = str(value)
    return digits if type(value)(float(digits)) == value else repr(float(value))
