"""One C99 file for a network: the text of it. The parameters are the network's own, as hexadecimal floats.

The functions below are C with three marks: `real` is the type, `@` ends a constant or a function of the mathematical
library (f in float, nothing in double), and $names are what differs between the two. No loop has a branch in it, so
that compilers make vectors of them without being allowed to reorder arithmetic.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import factorial
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from mlpc.network import Network

_WIDTH = 116

_DENSE = """\
/* z[j] = $bias + sum over i of x[i] w[i][j]: w has n_in rows of n_out weights. Four inputs at a time, so that z is read
 * and written a quarter as often. */
static void dense(const real *restrict w, ${bias_parameter}const real *restrict x, real *restrict z,
                  size_t n_in, size_t n_out) {
    const size_t fours = n_in - n_in % 4;
    for (size_t j = 0; j < n_out; j++) {
        z[j] = $bias;
    }
    for (size_t i = 0; i < fours; i += 4) {
        const real *row = w + i * n_out;
        for (size_t j = 0; j < n_out; j++) {
            z[j] += x[i] * row[j] + x[i + 1] * row[j + n_out] + x[i + 2] * row[j + 2 * n_out] +
                    x[i + 3] * row[j + 3 * n_out];
        }
    }
    for (size_t i = fours; i < n_in; i++) {
        for (size_t j = 0; j < n_out; j++) {
            z[j] += x[i] * w[i * n_out + j];
        }
    }
}
"""

# What activations are made of, in the order in which it has to stand in the file; each may use those before it.
_PARTS = {
    "choose": """\
/* condition ? yes : no, by bits: of a ?: with constants compilers make branches, and those are no vectors. */
static inline real choose($bits condition, real yes, real no) {
    union {
        real value;
        $bits bits;
    } a, b;
    a.value = yes;
    b.value = no;
    b.bits ^= (a.bits ^ b.bits) & (0 - condition);
    return b.value;
}
""",
    "above": """\
static inline real above(real z) { /* max(z, 0) */
    return choose(z < 0, 0, z);
}
""",
    "limited": """\
static inline real limited(real a) { /* min(a, $limit): exp(-a) is next to nothing beyond */
    return choose(a > $limit@, $limit@, a);
}
""",
    "split": """\
/* With x = n log(2) + r, n whole and |r| <= log(2) / 2: returns exp(r) - 1 by its series and 2^n in *power, for x from
 * -$limit to 0. Adding $shift rounds to a whole number and leaves it in the lowest bits, from where it is put into the
 * exponent of 2^n. */
static inline real split(real x, real *power) {
    union {
        real value;
        $bits bits;
    } shifted, two_n;
    shifted.value = x * 1.4426950408889634@ + $shift@;
    const real n = shifted.value - $shift@;
    const real r = (x - n * $ln2_high@) - n * $ln2_low@;
    two_n.bits = (shifted.bits + $exponent_bias) << $mantissa_bits;
    *power = two_n.value;
    real series = $last_exp;
$exp_terms    return r + r * r * series;
}
""",
    "exp_of": """\
static inline real exp_of(real x) { /* exp(x) */
    real power;
    const real p = split(x, &power);
    return power * p + power;
}
""",
    "exp_minus_1": """\
static inline real exp_minus_1(real x) { /* exp(x) - 1 */
    real power;
    const real p = split(x, &power);
    return power * p + (power - 1);
}
""",
    "log_1_plus": """\
/* log(1 + e) = log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...) with s = e / (2 + e), for 0 <= e <= 1. */
static inline real log_1_plus(real e) {
    const real s = e / (2 + e), s2 = s * s;
    real series = $last_log;
$log_terms    return 2 * (s + s * s2 * series);
}
""",
    "normal_tail": """\
/* The normal distribution's tail: Phi(-a) = exp(-a^2 / 2) f(t) / (a + 4) with t = (a - 4) / (a + 4) and a polynomial f
 * (Shepherd and Laframboise, 1981), for a from 0 to $tail_end. */
static inline real normal_tail(real a) {
    const real t = (a - 4) / (a + 4);
    real f = $last_tail;
$tail_terms    return exp_of(-a * a / 2) * f / (a + 4);
}
""",
}

# Each activation: what it is, and the loop's body: from z to the new z.
_ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sigmoid": (
        "1 / (1 + exp(-z))",
        ("const real e = exp_of(-limited(fabs@(z[j])));", "z[j] = choose(z[j] < 0, e, 1) / (1 + e);"),
    ),
    "tanh": (
        "With m = exp(-2 |z|) - 1: |tanh(z)| = -m / (2 + m).",
        ("const real m = exp_minus_1(-limited(2 * fabs@(z[j])));", "z[j] = copysign@(m / (2 + m), z[j]);"),
    ),
    "relu": ("max(z, 0)", ("z[j] = above(z[j]);",)),
    "leaky_relu": ("z or z / 100", ("z[j] *= choose(z[j] < 0, 0.01@, 1);",)),
    "elu": (
        "z, or exp(z) - 1 where that is negative",
        (
            "const real m = exp_minus_1(-limited(fabs@(z[j])));",
            "z[j] = above(z[j]) + choose(z[j] < 0, m, 0);",
        ),
    ),
    "selu": (
        "Scale times z, or times alpha (exp(z) - 1): made to keep mean 0 and variance 1.",
        (
            "const real m = exp_minus_1(-limited(fabs@(z[j])));",
            "z[j] = 1.0507009873554805@ * above(z[j]) + 1.7580993408473769@ * choose(z[j] < 0, m, 0);",
        ),
    ),
    "softplus": (
        "log(1 + exp(z))",
        ("z[j] = above(z[j]) + log_1_plus(exp_of(-limited(fabs@(z[j]))));",),
    ),
    "softsign": (
        "z / (1 + |z|), z kept finite",
        (
            "const real a = choose(fabs@(z[j]) > 0x1p60@, 0x1p60@, fabs@(z[j]));",
            "z[j] = copysign@(a / (1 + a), z[j]);",
        ),
    ),
    "gelu": (
        "z Phi(z), Phi the normal distribution function",
        (
            "const real a = choose(fabs@(z[j]) > $tail_end@, $tail_end@, fabs@(z[j]));",
            "z[j] = above(z[j]) - a * normal_tail(a);",
        ),
    ),
    "silu": (
        "z / (1 + exp(-z))",
        (
            "const real a = limited(fabs@(z[j])), e = exp_of(-a);",
            "z[j] = above(z[j]) - a * e / (1 + e);",
        ),
    ),
    "mish": (
        "z tanh(log(1 + exp(z))): with p / q = exp(z), the tanh is (p^2 + 2 p q) / (p^2 + 2 p q + 2 q^2).",
        (
            "const real a = limited(fabs@(z[j])), e = exp_of(-a);",
            "const real p = choose(z[j] < 0, e, 1), q = choose(z[j] < 0, 1, e), t = p * (p + 2 * q);",
            "z[j] = choose(z[j] < 0, -a, z[j]) * (t / (t + 2 * q * q));",
        ),
    ),
    "exp": ("exp(z)", ("z[j] = exp@(z[j]);",)),
}
_LOOP = """\
/* $what */
static void apply_$name(real *z, size_t n) {
    for (size_t j = 0; j < n; j++) {
        $body
    }
}
"""
_SOFTMAX = """\
/* exp(z[j]) over the sum of them all, shifted so that the largest exponential is 1. */
static void apply_softmax(real *z, size_t n) {
    real largest = z[0], sum = 0;
    for (size_t j = 1; j < n; j++) {
        largest = z[j] > largest ? z[j] : largest;
    }
    for (size_t j = 0; j < n; j++) {
        z[j] = exp_of(-limited(largest - z[j]));
    }
    for (size_t j = 0; j < n; j++) {
        sum += z[j];
    }
    for (size_t j = 0; j < n; j++) {
        z[j] /= sum;
    }
}
"""

_HEAD = """\
/* A multilayer perceptron, written by mlpc $version: $layers.
 *
 *     void ${name}_predict(const real *x, real *out);
 *
 * reads $n_inputs at x and writes $n_outputs to out, which must not overlap: what predict_proba gives for that row.
 * It allocates nothing and keeps nothing between calls, so threads may call it at once; it takes $stack bytes of stack.
 * C99, without compiler flags of its own; link with the mathematical library (-lm).
 *
 * Fingerprint of the network: $fingerprint
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
"""

_CHECK = """\
#if $conditions
/* A program of its own that compares with what mlpc gave for $n_rows rows, within what rounding explains: it returns 0
 * where all is well. */
#include <stdio.h>

static const real inputs[] = {
$inputs};

static const real expected[] = {
$expected};

int main(void) {
    real out[$n_out];
    int wrong = 0;
    for (int row = 0; row < $n_rows; row++) {
        ${name}_predict(inputs + row * $n_in, out);
        for (int k = 0; k < $n_out; k++) {
            const real right = expected[row * $n_out + k];
            if (!(fabs@(out[k] - right) <= $tolerance@ * (1 + fabs@(right)))) {
                printf("row %d, output %d: %.17g, expected %.17g\\n", row, k, (double)out[k], (double)right);
                wrong++;
            }
        }
    }
    printf("%d of %d outputs differ\\n", wrong, $n_rows * $n_out);
    return wrong > 0;
}
#endif
"""

# Of f in normal_tail, a from 0 to 39 and 15: within 2^-54.7 and 2^-25.6.
TAIL_64 = """
    0.75528513041575152 -0.60789664197189208 0.38713740074221475 -0.18652185795965864 0.060396574890919104
    -0.0075401889666822002 -0.0034796923670072717 0.0016308184569620305 0.00013334430800360773 -0.00023109493054528457
    -1.9082289587795503e-06 3.5144667038056335e-05 7.1654213074894821e-07 -5.9201317356363927e-06
    -6.2935869759109903e-07 1.0215239261569853e-06 2.7121032202319098e-07 -1.5503056251647085e-07
    -8.4755827091549759e-08 1.3459930269140239e-08 1.9212603307919403e-08 1.7513541568357844e-09
    -2.4120301674036142e-09 -6.6871007729609403e-10"""
_TAIL_32 = """
    0.755285144 -0.607896566 0.387136251 -0.186523765 0.060411185 -0.00752233434 -0.00353905745 0.00155537692
    0.000209719306 -0.000109498957"""


def _series(variable: str, argument: str, terms: Sequence[str]) -> tuple[str, str]:
    """Horner's scheme for terms[0] + terms[1] argument + ...: the last term, and a line for each of the others."""
    lines = [f"    {variable} = {variable} * {argument} + {term};\n" for term in reversed(terms[:-1])]
    lines = [line.replace("+ -", "- ") for line in lines]
    return terms[-1], "".join(lines)


def _substitutions(dtype: str) -> dict[str, str]:
    """What differs between float and double."""
    if dtype == "float64":
        n_exp, n_log, tail = 13, 31, TAIL_64.split()
        values = {"limit": "708.0", "shift": "0x1.8p52", "tail_end": "37.5"}
        values |= {"ln2_high": "0x1.62e42fefa38p-1", "ln2_low": "0x1.ef35793c7673p-45"}
        values |= {"bits": "uint64_t", "exponent_bias": "1023", "mantissa_bits": "52"}
    else:
        n_exp, n_log, tail = 7, 15, _TAIL_32.split()
        values = {"limit": "87.0", "shift": "0x1.8p23", "tail_end": "13.0"}
        values |= {"ln2_high": "0x1.62e4p-1", "ln2_low": "0x1.7f7d1cp-20"}
        values |= {"bits": "uint32_t", "exponent_bias": "127", "mantissa_bits": "23"}
    for name, variable, argument, terms in (
        ("exp", "series", "r", [f"1 / {factorial(k)}.0@" for k in range(2, n_exp + 1)]),
        ("log", "series", "s2", [f"1 / {k}.0@" for k in range(3, n_log + 1, 2)]),
        ("tail", "f", "t", [f"{coefficient}@" for coefficient in tail]),
    ):
        values[f"last_{name}"], values[f"{name}_terms"] = _series(variable, argument, terms)
    return values


def text(net: Network, name: str, fingerprint: str, check: NDArray[Any] | None) -> str:
    """Return the file for a network whose parameters are finite; `check` has rows of its dtype."""
    spec = net._spec
    sizes, dtype = spec.layer_sizes, spec.dtype
    fields = _substitutions(dtype) | {"name": name, "version": __version__, "fingerprint": fingerprint}
    steps = [f"{n} ({activation})" for n, activation in zip(sizes[1:], spec.activations, strict=True)]
    fields["layers"] = " -> ".join([str(sizes[0]), *steps])
    fields["n_inputs"], fields["n_outputs"] = _count(sizes[0], "number"), _count(sizes[-1], "number")
    fields["stack"] = str(sum(sizes[1:-1]) * net.dtype.itemsize)
    fields |= {"bias": "b[j]", "bias_parameter": "const real *restrict b, "}
    if not spec.bias:
        fields |= {"bias": "0", "bias_parameter": ""}
    declarations, definitions = _numbers(net)
    blocks = [_HEAD, declarations, _DENSE, *_functions(spec.activations), _predict(net), definitions]
    if check is not None:
        blocks.append(_CHECK)
        names = dict.fromkeys((f"{name}_TEST", f"{name.upper()}_TEST"))
        fields["conditions"] = " || ".join(f"defined({test})" for test in names)
        fields["inputs"], fields["expected"] = _listed(check), _listed(net.predict_proba(check))
        fields |= {"n_rows": str(len(check)), "n_in": str(sizes[0]), "n_out": str(sizes[-1])}
        fields["tolerance"] = f"{_tolerance(net, check):.1e}"
    # Twice: what is substituted may have marks of its own.
    result = Template(Template("\n".join(blocks)).safe_substitute(fields)).safe_substitute(fields)
    real, suffix = ("double", "") if dtype == "float64" else ("float", "f")
    return re.sub(r"\breal\b", real, result).replace("@", suffix)


def _tolerance(net: Network, check: NDArray[Any]) -> float:
    """Return how far outputs may be off, times 1 + their size, where sums are added in another order.

    Ten times what tests of ordinary networks allow; more where numbers are large in the layers, so that rounding in
    float32 changes more. In float64 it changes as much less as that is more precise.
    """
    least, finer = (1e-11, 2.0**-29) if net.dtype == np.float64 else (2e-5, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        coarse, fine = _rounded(net).predict_proba(check), net.copy("float64").predict_proba(check)
        change = np.nanmax(abs(coarse - fine) / (1 + abs(fine)), initial=0.0, where=np.isfinite(coarse))
    return max(least, 50 * finer * float(change))


def _rounded(net: Network) -> Network:
    """Return the network in float32, or where its parameters are too large for that, with changes of that size."""
    if np.isfinite(net.parameters.astype(np.float32)).all():
        return net.copy("float32")
    changed = net.copy()
    changed.parameters[::2] *= 1 + 2.0**-24
    changed.parameters[1::2] *= 1 - 2.0**-24
    return changed


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n > 1 else ''}"


def _functions(activations: Iterable[str]) -> list[str]:
    """Return the definitions that these activations need, each once and after what it uses."""
    blocks = []
    for name in dict.fromkeys(activations):
        if name == "softmax":
            blocks.append(_SOFTMAX)
        elif name != "identity":
            what, body = _ACTIVATIONS[name]
            blocks.append(Template(_LOOP).safe_substitute(name=name, what=what, body="\n        ".join(body)))
    for part, code in reversed(_PARTS.items()):
        if any(f"{part}(" in block for block in blocks):
            blocks.insert(0, code)
    return blocks


def _predict(net: Network) -> str:
    """Return the function that users call."""
    spec, last = net._spec, net._spec.n_layers
    lines = [f"void {'$'}{{name}}_predict(const real *x, real *out) {{"]
    lines += [f"    real a{layer}[{n}];" for layer, n in enumerate(spec.layer_sizes[1:-1], start=1)]
    source = "x"
    for layer, (n_in, n_out) in enumerate(pairwise(spec.layer_sizes), start=1):
        target = "out" if layer == last else f"a{layer}"
        biases = f"b{layer}, " if spec.bias else ""
        lines.append(f"    dense(w{layer}, {biases}{source}, {target}, {n_in}, {n_out});")
        if (activation := spec.activations[layer - 1]) != "identity":
            lines.append(f"    apply_{activation}({target}, {n_out});")
        source = target
    return "\n".join([*lines, "}", ""])


def _numbers(net: Network) -> tuple[str, str]:
    """Return declarations, for the functions to come first, and definitions of weights and biases."""
    declarations, definitions = ["/* The numbers are at the end; w has a row of weights per input. */"], []
    for layer, weights in enumerate(net.weights, start=1):
        n_in, n_out = weights.shape
        arrays = [(f"w{layer}", weights, f"{n_in} * {n_out}")]
        if net.biases:
            arrays.append((f"b{layer}", net.biases[layer - 1], f"{n_out}"))
        for name, array, size in arrays:
            declarations.append(f"static const real {name}[{size}];")
            definitions.append(f"static const real {name}[{size}] = {{\n{_listed(array)}}};\n")
    return "\n".join([*declarations, ""]), "\n".join(definitions)


def _listed(array: NDArray[Any]) -> str:
    """Return the elements as lines of hexadecimal constants."""
    lines, line = [], "   "
    for value in np.asarray(array, np.float64).ravel().tolist():
        mantissa, exponent = value.hex().split("p")
        constant = f" {mantissa.rstrip('0').rstrip('.')}p{exponent}@,"
        if len(line) + len(constant) > _WIDTH:
            lines.append(line)
            line = "   "
        line += constant
    return "\n".join([*lines, line, ""])
