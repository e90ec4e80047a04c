"""Checks of single arguments: each returns the value in its plain type, or raises an error that names the argument.

What needs more than one argument to judge is checked where those arguments meet.
"""

import math
import operator
import sys
from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np


def integer(name: str, value: object, least: int, most: float = sys.maxsize) -> int:
    """`value` as an int from `least` to `most`."""
    if type(value) is int and least <= value <= most:
        return value
    try:
        result = None if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        result = None
    if result is None:
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if result < least:
        raise ValueError(f"{name} must be at least {least}, got {result}")
    if result > most:
        raise ValueError(f"{name} must be at most {most}, got {result}")
    return result


def real(
    name: str,
    value: object,
    *,
    ge: float = -math.inf,
    gt: float = -math.inf,
    le: float = math.inf,
    lt: float = math.inf,
) -> float:
    """`value` as a finite float between the bounds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not (math.isfinite(result) and ge <= result <= le and gt < result < lt):
        bounds = (f"{sign} {bound:g}" for sign, bound in ((">=", ge), (">", gt), ("<=", le), ("<", lt)))
        expected = " and ".join(text for text in bounds if not text.endswith("inf"))
        raise ValueError(f"{name} must be a finite number {expected}".rstrip() + f", got {value!r}")
    return result


def flag(name: str, value: object) -> bool:
    """`value` as a bool."""
    if value is True or value is False:
        return value
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: object, known: Collection[str]) -> str:
    """`value`, one of the names known."""
    if isinstance(value, str) and value in known:
        return str(value)
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def text(name: str, value: object) -> str:
    """`value`, a string that is not empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def is_list(value: Any) -> bool:
    """Whether `value` holds several values in an order: a list, a tuple, a 1-D array; never text."""
    return isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim == 1)
