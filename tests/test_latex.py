"""The equations of net.to_latex() say what the network computes: they are read back and evaluated."""

import math
import re

import numpy as np
import pytest
from conftest import assert_close, make_data
from matplotlib.mathtext import MathTextParser

import mlpc
from mlpc._spec import HIDDEN_ACTIVATIONS

NAMED = re.compile(r"(\\tilde\{A\}|d?[AZWb]|M)\^\{\((\d+)\)\}")  # A^{(1)}: a matrix of a layer, not a power
TOKEN = re.compile(r"<[^>]*>|\\operatorname\{\w+\}|\\lambda_\{\d\}|\\[a-z]+|\d+(?:\.\d+)?|[A-Za-z]|[^\s]")
SELU = {r"\lambda": 1.0507009873554805, r"\alpha": 1.6732632423543772}
FUNCTIONS = {
    r"\max": np.maximum,
    r"\min": np.minimum,
    r"\log": np.log,
    r"\tanh": np.tanh,
    r"\cosh": np.cosh,
    r"\operatorname{sign}": np.sign,
    r"\operatorname{erf}": np.vectorize(math.erf),
    r"\operatorname{softmax}": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}


def equations(net):
    """(left, right, note) of each line; headings left out."""
    lines = net.to_latex().split("\n")
    assert lines[0] == r"\begin{aligned}"
    assert lines[-1] == r"\end{aligned}"
    assert all(line.endswith(r" \\") for line in lines[1:-2])
    found = []
    for line in lines[1:-1]:
        equation, _, note = line.removesuffix(r" \\").partition(" && ")
        left, _, right = equation.partition(" &= ")
        if right:
            found.append((left, right, note))
    return found


class Reader:
    """Evaluates an equation's right side: a small grammar of sums, products of matrices, powers and functions."""

    def __init__(self, text, values, functions, of_matrices=True):
        self.tokens = TOKEN.findall(NAMED.sub(r"<\1 \2>", text))
        self.values, self.functions, self.of_matrices = values, functions, of_matrices

    def value(self):
        result = self.sum()
        assert not self.tokens, self.tokens
        return result

    def next(self, expected=None):
        token = self.tokens.pop(0)
        assert expected in (None, token), (expected, token, self.tokens)
        return token

    def peek(self):
        return self.tokens[0] if self.tokens else ""

    def sum(self):
        result = None
        while result is None or self.peek() in ("+", "-"):
            sign = -1.0 if self.peek() == "-" else 1.0
            if self.peek() in ("+", "-"):
                self.next()
            term = sign * self.product()
            result = term if result is None else result + term
        return result

    def product(self):
        result = self.power()
        while self.peek() not in ("", "+", "-", ")", "]", "}", "|", ",", ">", "<", r"\leq"):
            elementwise = self.peek() == r"\odot" and self.next()
            factor = self.power()
            matrices = self.of_matrices and np.ndim(result) == np.ndim(factor) == 2 and not elementwise
            result = result @ factor if matrices else result * factor
        return result

    def power(self):
        result = self.atom()
        while self.peek() == "^":
            self.next()
            if self.tokens[:3] == ["{", "T", "}"]:
                del self.tokens[:3]
                result = result.T if np.ndim(result) else np.ones((1, len(self.values["X"])))
            else:
                result = result ** self.group()
        return result

    def group(self):
        self.next("{")
        result = self.sum()
        self.next("}")
        return result

    def atom(self):
        token = self.peek()
        if token == "{":
            return self.group()
        self.next()
        if token == "(":
            result = self.sum()
            self.next(")")
        elif token == "[":
            first, relation, second = self.sum(), self.next(), self.sum()
            self.next("]")
            compare = {">": np.greater, "<": np.less, r"\leq": np.less_equal}
            result = np.where(compare[relation](first, second), 1.0, 0.0)
        elif token == "|":
            result = np.abs(self.sum())
            self.next("|")
        elif token == r"\frac":
            result = self.group() / self.group()
        elif token == r"\sqrt":
            result = np.sqrt(self.group())
        elif self.peek() == "'" or token in self.functions:
            name = token + (self.next() if self.peek() == "'" else "")
            result = self.functions[name](*self.arguments())
        elif token == "e":
            result = np.e
        elif token[0].isdigit():
            result = float(token)
        else:
            result = self.values[{r"\pi": "pi"}.get(token, token)]
        return result

    def arguments(self):
        self.next("(")
        found = [self.sum()]
        while self.peek() == ",":
            self.next()
            found.append(self.sum())
        self.next(")")
        return found


def evaluate(net, X, Y):
    """Each quantity of the equations by its name, as "A 1"; and the functions they define."""
    values = {"X": X, "Y": Y, "n": float(len(X)), "pi": np.pi, **SELU}
    functions, lines = dict(FUNCTIONS), equations(net)
    for left, right, note in lines:
        values.update(
            {name: float(value) for name, value in re.findall(r"(\\lambda_\{\d\}|\\delta|q) = ([\d.]+)", note)}
        )
        definition = re.fullmatch(r"(.*) \((z|a, y)\)", left)
        if definition:

            def function(*arguments, right=right):
                own = {"z": arguments[0]} if len(arguments) == 1 else dict(zip("ay", arguments, strict=True))
                own |= {"d": own["a"] - own["y"]} if "a" in own else {}
                return Reader(right, {**values, **own}, functions, of_matrices=False).value()

            functions[definition[1]] = function
        elif left.startswith("M"):
            values["<" + NAMED.match(left).expand(r"\1 \2") + ">"] = np.ones((1, 1))
    for layer, (weights, biases) in enumerate(zip(net.weights, net.biases or [None] * 9, strict=False), start=1):
        values[f"<W {layer}>"], values[f"<b {layer}>"] = weights, biases
    for left, right, note in lines:
        named = NAMED.fullmatch(left)
        if named:
            value = Reader(right, values, functions).value()
            values[f"<{named[1]} {named[2]}>"] = value
            rows, columns = re.match(r"\((\w+) \\times (\w+)\)", note).groups()
            sizes = {"n": len(X)}
            assert value.shape == (sizes.get(rows) or int(rows), sizes.get(columns) or int(columns)), left
    return values, functions


LOSSES = ["squared_error", "half_squared_error", "binary_cross_entropy", "categorical_cross_entropy", "absolute_error"]
LOSSES += [mlpc.Huber(0.7), "log_cosh", mlpc.Quantile(0.3), "poisson"]


@pytest.mark.parametrize("reduction", ["mean", "sum", "penalized_mean"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_equations_compute_what_the_network_does(loss, reduction):
    name = loss if isinstance(loss, str) else loss.name
    X, y = make_data(np.random.default_rng(0), 7, 3, 2, name)
    y = y + 1.0 if name == "poisson" else y  # 0 log 0
    settings = {"hidden_activation": ["tanh", "sigmoid"], "reduction": reduction, "l1": 0.1, "l2": 0.3, "seed": 0}
    net = mlpc.Network([3, 4, 5, 2], loss=loss, dropout=[0.2, 0.0], **settings)
    Y = np.eye(2)[y] if name == "categorical_cross_entropy" else y
    values, functions = evaluate(net, X, Y)
    for layer, record in enumerate(net.backpropagate(X, y), start=1):
        for key in ("Z", "A", "dZ", "db"):
            assert_close(np.reshape(values[f"<{key} {layer}>"], getattr(record, key).shape), getattr(record, key))
    gradient = [np.concatenate([values[f"<d{k} {i}>"].ravel() for k in "Wb"]) for i in (1, 2, 3)]
    assert_close(np.concatenate(gradient), net.gradient(X, y))
    assert_close(functions[r"\ell"](values["<A 3>"], Y).sum(axis=1), net.sample_losses(X, y))


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_equations_of_each_activation(activation):
    X, y = make_data(np.random.default_rng(1), 9, 3, 2, "squared_error")
    net = mlpc.Network(
        [3, 6, 2],
        loss="half_squared_error",
        hidden_activation=activation,
        output_activation=activation,
        bias=False,
        seed=0,
    )
    values, _ = evaluate(net, X, y)
    assert_close(values["<A 2>"], net.forward(X))
    gradient = np.concatenate([values[f"<dW {i}>"].ravel() for i in (1, 2)])
    assert_close(gradient, net.gradient(X, y))


def test_the_objective_has_the_penalties():
    net = mlpc.Network([2, 1], loss="squared_error", l1=0.5, l2=0.25, seed=0)
    ((right, note),) = [(right, note) for left, right, note in equations(net) if left == "E"]
    assert right.startswith(r"\frac{1}{n} \sum")
    assert r"\lambda_{1} \sum_{l,i,j} |W^{(l)}_{ij}|" in right
    assert r"\frac{1}{2} \lambda_{2} \sum" in right
    assert r"\lambda_{1} = 0.5" in note
    assert r"\lambda_{2} = 0.25" in note
    penalized = mlpc.Network([2, 1], loss="squared_error", l2=0.25, reduction="penalized_mean", seed=0).to_latex()
    assert penalized.count(r"\frac{\lambda_{2}}{n}") == 2
    plain = mlpc.Network([2, 1], loss="squared_error", reduction="sum", seed=0).to_latex()
    assert r"\lambda" not in plain
    assert r"\frac{1}{n}" not in plain


def test_equations_are_typeset():
    parts = set()
    for loss in LOSSES:
        net = mlpc.Network([3, 4, 2], loss=loss, hidden_activation="gelu", dropout=0.5, l1=0.1, bias=False, seed=0)
        parts |= {part for equation in equations(net) for part in equation if part}
    parser = MathTextParser("path")
    for part in parts:
        assert part.count("{") == part.count("}")
        parser.parse(f"${part}$")
        # matplotlib does not mind, TeX does: a group that is one accented letter has no second superscript.
        assert not re.search(r"\{\\tilde\{A\}\^\{\(\d+\)\}\}\^", part)


def test_each_definition_stands_once():
    net = mlpc.Network([2, 3, 3, 1], loss="huber", hidden_activation="tanh")
    lefts = [left for left, _, _ in equations(net)]
    assert len({*lefts}) == len(lefts)


@pytest.mark.parametrize(("loss", "setting"), [("huber", r"\delta = 1"), ("quantile", "q = 0.5")])
def test_settings_that_were_not_given(loss, setting):
    notes = {left: note for left, _, note in equations(mlpc.Network([2, 1], loss=loss))}
    assert notes[r"\ell (a, y)"].endswith(setting)
