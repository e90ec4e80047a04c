"""First weights: which distribution a layer gets and how it is drawn. Biases start at zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Initializer: TypeAlias = Callable[[np.random.Generator, tuple[int, int]], ArrayLike]

# Variance of a weight times `fan`, of a layer with n_in inputs and n_out outputs.
_SCALES: dict[str, Callable[[int, int], float]] = {
    "glorot": lambda n_in, n_out: 2 / (n_in + n_out),  # Glorot and Bengio (2010)
    "he": lambda n_in, n_out: 2 / n_in,  # He, Zhang, Ren and Sun (2015)
    "lecun": lambda n_in, n_out: 1 / n_in,  # LeCun, Bottou, Orr and Müller (1998)
}
NAMES = ("auto", "zeros", *(f"{scale}_{shape}" for scale in _SCALES for shape in ("uniform", "normal")))
_RELU_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")


def check_initializer(value: object) -> str | Initializer:
    """Return a name that is known, or a function."""
    if callable(value) and not isinstance(value, type):
        return value
    if not isinstance(value, str):
        raise TypeError(f"initializer must be a name or a function of (rng, shape), got {value!r}")
    return _check.choice("initializer", value, NAMES)


def _name_for(activation: str) -> str:
    if activation in _RELU_FAMILY:
        return "he_normal"
    return "lecun_uniform" if activation == "selu" else "glorot_uniform"


def draw(
    rng: np.random.Generator, initializer: str | Initializer, shape: tuple[int, int], activation: str, layer: int
) -> NDArray[Any]:
    """Weights of one layer in float64, of shape (n_in, n_out)."""
    if not isinstance(initializer, str):
        return _drawn_by(initializer, rng, shape, layer)
    name = _name_for(activation) if initializer == "auto" else initializer
    if name == "zeros":
        return np.zeros(shape)
    scale, distribution = name.split("_")
    variance = _SCALES[scale](*shape)
    if distribution == "normal":
        return rng.normal(0, math.sqrt(variance), shape)
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


def _drawn_by(function: Initializer, rng: np.random.Generator, shape: tuple[int, int], layer: int) -> NDArray[Any]:
    try:
        weights = np.asarray(function(rng, shape))
    except TypeError as error:
        raise TypeError(f"initializer must be a function of (rng, shape), got {function!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"initializer must return an array of shape {shape} for layer {layer}: {error}") from error
    if weights.shape != shape or weights.dtype.kind not in "biuf":
        came = f"shape {weights.shape} and dtype {weights.dtype}"
        raise ValueError(f"initializer must return an array of numbers of shape {shape} for layer {layer}, got {came}")
    return weights
