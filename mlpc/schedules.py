"""Schedules: what multiplies the learning rate as training goes on. Settings only; the formulas are the core's."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np

from mlpc import _check, _core
from mlpc._settings import Settings, checked, integer, real

__all__ = ["CosineDecay", "ExponentialDecay", "InverseScaling", "OneCycle", "ReduceOnPlateau", "StepDecay"]


class Schedule(Settings):
    """Settings of a schedule; the fields are in the order in which the core takes them."""

    kind: ClassVar[str]


class EpochSchedule(Schedule):
    """A schedule that depends on the epoch alone."""

    def __call__(self, epoch: float) -> float:
        """Multiplier of the learning rate.

        Parameters
        ----------
        epoch : float
            Epochs since the network's start, >= 0; fractions count for what acts per step. During `warmup` the value
            is that of one step an epoch; with more of them the rise is spread evenly over them.

        Returns
        -------
        float
            What the learning rate is multiplied by.

        Raises
        ------
        TypeError, ValueError
            If `epoch` is not a number >= 0.

        Examples
        --------
        >>> import mlpc
        >>> mlpc.StepDecay(10, factor=0.5)(20)
        0.25
        """
        return _core.schedule_multiplier((self.kind, *self.values().values()), _check.real("epoch", epoch, ge=0))


AnySchedule: TypeAlias = Schedule | Callable[[int], float]


class StepDecay(EpochSchedule):
    """Multiply by `factor` after every `every` epochs.

    Parameters
    ----------
    every : int
        Epochs between two steps; >= 1.
    factor : float, default=0.1
        What each step multiplies by; > 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    factor^floor(epoch / every).

    Examples
    --------
    >>> import mlpc
    >>> [mlpc.StepDecay(2, factor=0.5)(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    kind: ClassVar[str] = "step_decay"
    every: int = checked(check=partial(_check.integer, least=1))
    factor: float = real(0.1, gt=0)


class ExponentialDecay(EpochSchedule):
    """Multiply by `factor` after each epoch.

    Parameters
    ----------
    factor : float
        What each epoch multiplies by; > 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    factor^epoch.

    Examples
    --------
    >>> import mlpc
    >>> [mlpc.ExponentialDecay(0.5)(epoch) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    kind: ClassVar[str] = "exponential_decay"
    factor: float = checked(check=partial(_check.real, gt=0))


class CosineDecay(EpochSchedule):
    """Fall along half a cosine, after a linear rise if asked; acts per step.

    Parameters
    ----------
    epochs : int
        Length of the whole course, the rise included, >= 1; afterwards the multiplier stays at `minimum`.
    minimum : float, default=0.0
        Multiplier at the end; >= 0.
    warmup : float, default=0
        Epochs of the linear rise to 1; >= 0 and less than `epochs`.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    minimum + (1 - minimum) (1 + cos(pi t)) / 2 with t the fraction of the course after the rise; Loshchilov and Hutter
    (2017), "SGDR: stochastic gradient descent with warm restarts", without restarts.

    Examples
    --------
    >>> import mlpc
    >>> schedule = mlpc.CosineDecay(10, minimum=0.1)
    >>> [round(schedule(epoch), 3) for epoch in (0, 5, 10)]
    [1.0, 0.55, 0.1]
    """

    kind: ClassVar[str] = "cosine_decay"
    epochs: int = checked(check=partial(_check.integer, least=1))
    minimum: float = real(0.0, ge=0)
    warmup: float = real(0.0, ge=0)

    def _check_together(self) -> None:
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup must be less than epochs ({self.epochs}), got {self.warmup}")


class InverseScaling(EpochSchedule):
    """Fall as a power of the epoch.

    Parameters
    ----------
    power : float, default=0.5
        How fast; >= 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    (epoch + 1)^-power.

    Examples
    --------
    >>> import mlpc
    >>> [mlpc.InverseScaling()(epoch) for epoch in (0, 3, 24)]
    [1.0, 0.5, 0.2]
    """

    kind: ClassVar[str] = "inverse_scaling"
    power: float = real(0.5, ge=0)


class OneCycle(EpochSchedule):
    """Rise from 1 to `peak`, then fall to 0, both along half a cosine; acts per step.

    Parameters
    ----------
    epochs : int
        Length of the course, >= 1; after it the multiplier is 0, and training changes nothing.
    peak : float, default=10.0
        The highest multiplier; > 0.
    start_fraction : float, default=0.3
        Fraction of the course spent rising, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    a + (b - a) (1 - cos(pi t)) / 2 with t the fraction of each part, from a = 1 to b = `peak`, then from a = `peak` to
    b = 0. Smith and Topin (2018), "Super-convergence: very fast training of neural networks using large learning
    rates".

    Examples
    --------
    >>> import mlpc
    >>> schedule = mlpc.OneCycle(10, peak=5.0, start_fraction=0.3)
    >>> round(schedule(0), 3), round(schedule(3), 3)
    (1.0, 5.0)
    """

    kind: ClassVar[str] = "one_cycle"
    epochs: int = checked(check=partial(_check.integer, least=1))
    peak: float = real(10.0, gt=0)
    start_fraction: float = real(0.3, ge=0, le=1)


class ReduceOnPlateau(Schedule):
    """Multiply by `factor` whenever what is monitored has stopped falling. What it has seen belongs to the network.

    It sees the epochs of `fit`, none that `partial_fit` and `end_epoch` make.

    Parameters
    ----------
    monitor : str, default="validation_loss"
        "loss", "validation_loss", or the name of a number that a callback adds to its logs, in every epoch; smaller is
        better: of an accuracy add what it lacks.
    factor : float, default=0.1
        What each reduction multiplies by, in (0, 1).
    patience : int, default=10
        Epochs without an improvement that are let pass, >= 0; the next one reduces.
    min_delta : float, default=0.0
        A value is an improvement if it lies below that of the last improvement by more than this; >= 0.
    minimum : float, default=0.0
        The multiplier never falls below; in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.Adam(0.01, schedule=mlpc.ReduceOnPlateau("loss", patience=3)).schedule
    ReduceOnPlateau(monitor='loss', factor=0.1, patience=3, min_delta=0.0, minimum=0.0)
    """

    kind: ClassVar[str] = "reduce_on_plateau"
    monitor: str = checked(default="validation_loss", check=_check.text)
    factor: float = real(0.1, gt=0, lt=1)
    patience: int = integer(10, least=0)
    min_delta: float = real(0.0, ge=0)
    minimum: float = real(0.0, ge=0, le=1)


def check_schedule(name: str, value: object) -> AnySchedule | None:
    """Return `value` if it can serve as a schedule."""
    if value is None or (callable(value) and not isinstance(value, type)) or isinstance(value, Schedule):
        return value
    raise TypeError(f"{name} must be None, such as mlpc.StepDecay(10), or a function of the epoch, got {value!r}")


def core_schedule(schedule: AnySchedule | None, monitor: int) -> tuple[object, ...] | None:
    """Return the tuple that the core takes; `monitor` is the core's number of what a ReduceOnPlateau watches."""
    if schedule is None:
        return None
    if isinstance(schedule, ReduceOnPlateau):
        return (schedule.kind, monitor, *list(schedule.values().values())[1:])
    if isinstance(schedule, Schedule):
        return (schedule.kind, *schedule.values().values())
    return ("hook", _numbers_of(schedule))


def _numbers_of(schedule: Callable[[int], float]) -> Callable[[int], float]:
    """The function, refusing what is no number; the core judges its size."""

    def multiplier(epoch: int) -> float:
        value = schedule(epoch)
        if not hasattr(value, "__float__") or np.ndim(value):
            raise TypeError(f"schedule({epoch}) must be a number, got {value!r}")
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"schedule({epoch}) must be a finite number, got one too large for a float") from None

    return multiplier
