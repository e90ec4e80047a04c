"""A network's forward and backward pass as equations in LaTeX, with the shape of every matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mlpc._spec import Spec

# Left side, right side, and a note: shapes or a value. A heading has the left side alone.
Line: TypeAlias = tuple[str, str, str]

# How an activation is written, g(z), g'(z). Those of one loss alone have no g': their dZ comes with the loss.
_SIGMOID = r"\frac{1}{1 + e^{-z}}"
_SOFTPLUS = r"\log (1 + e^{z})"
_SELU = r"\lambda = 1.0507,\ \alpha = 1.6733"
_NORMAL = r"\frac{1}{2} (1 + \operatorname{erf} (\frac{z}{\sqrt{2}}))"
_ACTIVATIONS = {
    "sigmoid": (r"\sigma", _SIGMOID, r"\sigma (z) (1 - \sigma (z))"),
    "tanh": (r"\tanh", r"\frac{e^{z} - e^{-z}}{e^{z} + e^{-z}}", r"1 - \tanh (z)^{2}"),
    "relu": (r"\operatorname{relu}", r"\max (z, 0)", "[z > 0]"),
    "leaky_relu": (r"\operatorname{leaky}", r"\max (z, 0.01 z)", r"[z > 0] + 0.01 [z \leq 0]"),
    "elu": (r"\operatorname{elu}", r"\max (z, 0) + \min (e^{z} - 1, 0)", r"\min (e^{z}, 1)"),
    "selu": (
        r"\operatorname{selu}",
        r"\lambda (\max (z, 0) + \alpha \min (e^{z} - 1, 0))",
        r"\lambda ([z > 0] + \alpha e^{z} [z \leq 0])",
    ),
    "softplus": (r"\operatorname{softplus}", _SOFTPLUS, _SIGMOID),
    "softsign": (r"\operatorname{softsign}", r"\frac{z}{1 + |z|}", r"\frac{1}{(1 + |z|)^{2}}"),
    "gelu": (r"\operatorname{gelu}", f"z {_NORMAL}", _NORMAL + r" + \frac{z}{\sqrt{2 \pi}} e^{-\frac{z^{2}}{2}}"),
    "silu": (r"\operatorname{silu}", rf"z {_SIGMOID}", rf"{_SIGMOID} (1 + z (1 - {_SIGMOID}))"),
    "mish": (
        r"\operatorname{mish}",
        rf"z \tanh ({_SOFTPLUS})",
        rf"\tanh ({_SOFTPLUS}) + z {_SIGMOID} (1 - \tanh ({_SOFTPLUS})^{{2}})",
    ),
    "exp": (r"\exp", "e^{z}", ""),
    "softmax": (r"\operatorname{softmax}", r"\frac{e^{z_{k}}}{\sum_{j} e^{z_{j}}}", ""),
}

# l(a, y) and its derivative by a, with d = a - y. The canonical pairs have dZ = A - Y instead.
_LOSSES = {
    "squared_error": ("d^{2}", "2 d"),
    "half_squared_error": (r"\frac{1}{2} d^{2}", "d"),
    "binary_cross_entropy": (r"-y \log (a) - (1 - y) \log (1 - a)", ""),
    "categorical_cross_entropy": (r"-y \log (a)", ""),
    "absolute_error": ("|d|", r"[d > 0] - [d < 0]"),
    "huber": (
        r"\frac{1}{2} d^{2} [|d| \leq \delta] + \delta (|d| - \frac{\delta}{2}) [|d| > \delta]",
        r"\max (-\delta, \min (d, \delta))",
    ),
    "log_cosh": (r"\log (\cosh (d))", r"\tanh (d)"),
    "quantile": (r"\max (-q d, (1 - q) d)", "[d > 0] - q"),
    "poisson": (r"a - y + y \log (\frac{y}{a})", ""),
}
_PARAMETERS = {"huber": (r"\delta", 1.0), "quantile": ("q", 0.5)}


def to_latex(spec: Spec) -> str:
    """Return the equations as an `aligned` environment."""
    rows = []
    for left, right, note in (*_forward(spec), *_objective(spec), *_backward(spec), *_definitions(spec)):
        equation = rf"{left} &= {right}" if right else rf"&\text{{{left}}}"
        rows.append(f"{equation} && {note}" if note else equation)
    return "\n".join((r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"))


def _forward(spec: Spec) -> Iterator[Line]:
    yield "Forward pass", "", ""
    yield _at("A", 0), "X", _shape("n", spec.layer_sizes[0])
    for i, activation in enumerate(spec.activations, start=1):
        n_in, n_out = spec.layer_sizes[i - 1 : i + 1]
        product, shapes = f"{_input(spec, i)} {_at('W', i)}", f"{_shape('n', n_in)} {_shape(n_in, n_out)}"
        if spec.bias:
            product, shapes = f"{product} + {_at('b', i)}", f"{shapes} + {_shape(1, n_out)}"
        yield _at("Z", i), product, f"{_shape('n', n_out)} = {shapes}"
        value = _at("Z", i) if activation == "identity" else f"{_ACTIVATIONS[activation][0]} ({_at('Z', i)})"
        yield _at("A", i), value, _shape("n", n_out)
        if _dropped(spec, i):
            yield _input(spec, i + 1), rf"{_at('M', i)} \odot {_at('A', i)}", _shape("n", n_out)


def _objective(spec: Spec) -> Iterator[Line]:
    yield "Objective", "", ""
    mean = "" if spec.reduction == "sum" else r"\frac{1}{n} "
    last = spec.n_layers
    total = rf"{mean}\sum_{{i,k}} \ell (A^{{({last})}}_{{ik}}, Y_{{ik}})"
    if spec.l1:
        total += rf" + {_factor(spec, 1)} \sum_{{l,i,j}} |W^{{(l)}}_{{ij}}|"
    if spec.l2:
        total += rf" + \frac{{1}}{{2}} {_factor(spec, 2)} \sum_{{l,i,j}} (W^{{(l)}}_{{ij}})^{{2}}"
    notes = [f"Y: {_shape('n', spec.n_outputs)}"]
    notes += [rf"\lambda_{{{i}}} = {value:g}" for i, value in ((1, spec.l1), (2, spec.l2)) if value]
    yield "E", total, r",\ ".join(notes)


def _backward(spec: Spec) -> Iterator[Line]:
    """The last layer first; dV is the derivative of E by V."""
    yield "Backward pass", "", ""
    mean = "" if spec.reduction == "sum" else r"\frac{1}{n} "
    for i in range(spec.n_layers, 0, -1):
        n_in, n_out = spec.layer_sizes[i - 1 : i + 1]
        activation = spec.activations[i - 1]
        shape = _shape("n", n_out)
        if i < spec.n_layers:
            product = f"{_at('dZ', i + 1)} {_turned(_at('W', i + 1))}"
            shapes = f"{shape} = {_shape('n', spec.layer_sizes[i + 1])} {_shape(spec.layer_sizes[i + 1], n_out)}"
            yield _at("dA", i), rf"{_at('M', i)} \odot ({product})" if _dropped(spec, i) else product, shapes
        elif _LOSSES[spec.loss_name][1]:
            yield _at("dA", i), rf"{mean}\ell' ({_at('A', i)}, Y)", shape
        if i == spec.n_layers and not _LOSSES[spec.loss_name][1]:
            difference = f"{_at('A', i)} - Y"
            yield _at("dZ", i), f"{mean}({difference})" if mean else difference, shape
        elif activation == "identity":
            yield _at("dZ", i), _at("dA", i), shape
        else:
            slope = f"{_ACTIVATIONS[activation][0]}' ({_at('Z', i)})"
            yield _at("dZ", i), rf"{_at('dA', i)} \odot {slope}", shape
        gradient = f"{_turned(_input(spec, i))} {_at('dZ', i)}"
        if spec.l1:
            gradient += rf" + {_factor(spec, 1)} \operatorname{{sign}} ({_at('W', i)})"
        if spec.l2:
            gradient += rf" + {_factor(spec, 2)} {_at('W', i)}"
        yield _at("dW", i), gradient, f"{_shape(n_in, n_out)} = {_shape(n_in, 'n')} {_shape('n', n_out)}"
        if spec.bias:
            yield (
                _at("db", i),
                rf"1^{{T}} {_at('dZ', i)}",
                f"{_shape(1, n_out)} = {_shape(1, 'n')} {_shape('n', n_out)}",
            )


def _definitions(spec: Spec) -> Iterator[Line]:
    """What is applied to each element."""
    yield "Where, element by element,", "", ""
    for name in dict.fromkeys(spec.activations):
        if name != "identity":
            symbol, value, slope = _ACTIVATIONS[name]
            note = _SELU if name == "selu" else ""
            yield f"{symbol} (z)" if name != "softmax" else f"{symbol} (z)_{{k}}", value, note
            if slope and (name in spec.activations[:-1] or _LOSSES[spec.loss_name][1]):
                yield f"{symbol}' (z)", slope, ""
    value, slope = _LOSSES[spec.loss_name]
    note = "d = a - y" if "d" in value else r"0 \log 0 = 0" if spec.loss_name == "poisson" else ""
    if spec.loss_name in _PARAMETERS:
        symbol, default = _PARAMETERS[spec.loss_name]
        numbers = [f"{number:g}" for number in spec.loss_parameters or (default,)]
        note += rf",\ {symbol} = " + (numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})")
    yield r"\ell (a, y)", value, note
    if slope:
        yield r"\ell' (a, y)", slope, ""
    for i, rate in enumerate(spec.rates, start=1):
        if rate:
            chance = rf"0\ \mathrm{{with\ probability}}\ {rate:g},\ \mathrm{{else}}\ \frac{{1}}{{{1.0 - rate:g}}}"
            yield f"{_at('M', i)}_{{ij}}", chance, r"\mathrm{in\ training};\ 1\ \mathrm{otherwise}"


def _at(name: str, layer: int) -> str:
    return f"{name}^{{({layer})}}"


def _turned(matrix: str) -> str:
    # In parentheses: TeX takes {\tilde{A}^{(1)}} for \tilde{A}^{(1)}, and refuses its second superscript.
    return f"({matrix})^{{T}}"


def _factor(spec: Spec, penalty: int) -> str:
    """Of the sum of absolute weights, 1, or half that of their squares, 2."""
    factor = rf"\lambda_{{{penalty}}}"
    return rf"\frac{{{factor}}}{{n}}" if spec.reduction == "penalized_mean" else factor


def _shape(rows: int | str, columns: int | str) -> str:
    return rf"({rows} \times {columns})"


def _dropped(spec: Spec, layer: int) -> bool:
    return layer < spec.n_layers and spec.rates[layer - 1] > 0.0


def _input(spec: Spec, layer: int) -> str:
    """What layer 1, ..., L multiplies by its weights."""
    return _at(r"\tilde{A}", layer - 1) if layer > 1 and _dropped(spec, layer - 1) else _at("A", layer - 1)
