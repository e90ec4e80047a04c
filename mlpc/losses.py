"""Losses with a parameter. The others are named by a string; all formulas are the core's (csrc/losses.h)."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mlpc import _check
from mlpc._settings import Settings, checked, real

__all__ = ["Huber", "Quantile"]


class Loss(Settings):
    """A loss and its parameters, as the core takes them."""

    name: ClassVar[str]

    def parameters(self) -> tuple[float, ...]:
        """Return the numbers that the core reads."""
        raise TypeError(f"{type(self).__name__} is not a loss")


class Huber(Loss):
    """Huber loss: quadratic for small differences, linear for large ones.

    Parameters
    ----------
    delta : float, default=1.0
        Where the two parts meet, in the unit of the targets; > 0.

    Raises
    ------
    TypeError, ValueError
        If `delta` is not a positive number.

    Notes
    -----
    With d = a - y: ``d²/2`` where ``|d| <= delta``, else ``delta (|d| - delta/2)``; Huber (1964), "Robust estimation
    of a location parameter".

    Examples
    --------
    >>> import mlpc
    >>> mlpc.Network([4, 8, 1], loss=mlpc.Huber(delta=0.5)).loss
    Huber(delta=0.5)
    """

    name: ClassVar[str] = "huber"
    delta: float = real(1.0, gt=0)

    def parameters(self) -> tuple[float, ...]:
        """Return the numbers that the core reads."""
        return (self.delta,)


def _quantiles(name: str, value: Any) -> float | tuple[float, ...]:
    if not _check.is_list(value):
        return _check.real(name, value, gt=0, lt=1)
    if not len(value):
        raise ValueError(f"{name} must hold at least one quantile, got {value!r}")
    return tuple(_check.real(f"{name}[{i}]", q, gt=0, lt=1) for i, q in enumerate(value))


class Quantile(Loss):
    """Quantile (pinball) loss: its minimum is the q-quantile of the target given the inputs.

    Parameters
    ----------
    q : float or sequence of float, default=0.5
        The quantile, in (0, 1); several: one for each output, all against one target.

    Raises
    ------
    TypeError, ValueError
        If a quantile is not a number in (0, 1).

    Notes
    -----
    With d = a - y: max(-q d, (1 - q) d); Koenker and Bassett (1978), "Regression quantiles".

    Examples
    --------
    An interval that holds 80 % of the targets, and the median:

    >>> import mlpc
    >>> mlpc.Network([4, 8, 3], loss=mlpc.Quantile([0.1, 0.5, 0.9])).loss
    Quantile(q=(0.1, 0.5, 0.9))
    """

    name: ClassVar[str] = "quantile"
    q: float | Sequence[float] = checked(default=0.5, check=_quantiles)

    def parameters(self) -> tuple[float, ...]:
        """Return the numbers that the core reads."""
        return (self.q,) if isinstance(self.q, float) else tuple(self.q)
