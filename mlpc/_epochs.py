"""What happens in Python at the end of an epoch: callbacks, the numbers they add, monitoring, the progress bar.

The core calls in only where one of these is asked for; for a progress bar alone by the clock, not every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mlpc._progress import ProgressBar
from mlpc.history import check_name
from mlpc.stopping import EarlyStopping

if TYPE_CHECKING:
    from mlpc.network import Network
    from mlpc.schedules import ReduceOnPlateau

Callback: TypeAlias = Callable[["Network", int, dict[str, Any]], object]

LOSS, VALIDATION_LOSS, CALLBACK_VALUE = range(3)  # the core's numbers of what is monitored


def as_callbacks(value: object) -> tuple[Callback, ...]:
    """Return callbacks from one or several."""
    if value is None:
        return ()
    given = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for one in given:
        if isinstance(one, EarlyStopping):
            raise TypeError(f"callbacks must be functions of (net, epoch, logs): pass {one!r} as early_stopping")
        if not callable(one) or isinstance(one, type):
            raise TypeError(f"callbacks must be a function of (net, epoch, logs) or a list of them, got {value!r}")
    return given


def monitor_code(settings: EarlyStopping | ReduceOnPlateau | None, *, validated: bool, callbacks: bool) -> int:
    """Return the core's number of what is monitored, after checking that it exists."""
    if settings is None or settings.monitor == "loss":
        return LOSS
    name = "early_stopping" if isinstance(settings, EarlyStopping) else "schedule"
    if settings.monitor == "validation_loss":
        if not validated:
            raise ValueError(f"{name} monitors 'validation_loss': pass validation_data, or let it monitor 'loss'")
        return VALIDATION_LOSS
    if not callbacks:
        known = "'loss', 'validation_loss' and what callbacks add to logs"
        raise ValueError(f"{name} monitors {settings.monitor!r}, which does not exist: there are {known}")
    return CALLBACK_VALUE


class EpochEnd:
    """The core's hook: called with each epoch's numbers, says whether to stop and what early stopping monitors."""

    def __init__(
        self,
        net: Network,
        callbacks: tuple[Callback, ...],
        columns: dict[str, list[float]],
        n_epochs: int,
        *,
        validated: bool,
        bar: ProgressBar | None,
        stopping: str | None,
        plateau: str | None,
    ) -> None:
        self._net, self._callbacks, self._columns, self._n_epochs = net, callbacks, columns, n_epochs
        self._validated, self._bar, self._stopping, self._plateau = validated, bar, stopping, plateau
        self.monitors = stopping is not None or plateau is not None
        self._first = True
        self.monitor_missing = False  # from the first epoch on: then the argument was wrong, not the run

    def __call__(self, epoch: int, loss: float, validation_loss: float, learning_rate: float) -> tuple[bool, float]:
        logs: dict[str, Any] = {"loss": loss, "learning_rate": learning_rate}
        if self._validated:
            logs["validation_loss"] = validation_loss
        given = dict(logs)
        self._n_epochs += 1
        stop = False
        added: dict[str, float] = {}
        for callback in self._callbacks:  # every one runs, whatever those before it returned
            stop |= bool(callback(self._net, epoch, logs))
            check_untouched(logs, given)
            before, added = added, {name: _number(name, logs[name]) for name in logs if name not in given}
            self._keep(added, before)
        if self._bar is not None:
            self._bar.update(epoch, loss, validation_loss, learning_rate)
        stopping = self._monitored("early_stopping", self._stopping, added, epoch)
        self._monitored("schedule", self._plateau, added, epoch)
        self._first = False
        return stop, stopping

    def _keep(self, added: dict[str, float], before: dict[str, float]) -> None:
        """Put what was added into the epoch's row, in place of `before`: the next callback may save the network."""
        row = self._n_epochs - 1
        for name in before.keys() - added.keys():  # taken out again
            del self._columns[name][row:]
            if all(map(math.isnan, self._columns[name])):
                del self._columns[name]
        for name, value in added.items():
            column = self._columns.setdefault(name, [])
            column.extend([math.nan] * (row - len(column)))
            column[row:] = [value]
        if self._plateau is not None:  # part of what is saved, too
            self._net._plateau_value = added.get(self._plateau)

    def _monitored(self, argument: str, name: str | None, added: dict[str, float], epoch: int) -> float:
        if name is None:
            return math.nan
        if name not in added:
            self.monitor_missing = self._first
            found = ", ".join(map(repr, added)) or "nothing"
            missing = f"which no callback added to logs in epoch {epoch}"
            raise ValueError(f"{argument} monitors {name!r}, {missing}: found {found}")
        return added[name]


def tell_end(net: Network, callbacks: Sequence[Callback]) -> None:
    """Call `fit_ended` of those callbacks that have it."""
    for callback in callbacks:
        if hasattr(callback, "fit_ended"):
            callback.fit_ended(net)


def check_untouched(logs: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise where a callback wrote another number over one of `given`."""
    for name, value in given.items():
        if name in logs and logs[name] is not value and logs[name] != value:
            raise ValueError(f"callbacks must not change logs[{name!r}] to {logs[name]!r}: add it under another name")


def _number(name: object, value: object) -> float:
    check_name(name)
    array = np.asarray(value)
    if not isinstance(value, Real) and (array.ndim or array.dtype.kind not in "biuf"):
        raise TypeError(f"callbacks must add numbers to logs, got {value!r} as {name!r}")
    try:
        return float(array)
    except OverflowError:  # the number may have too many digits for a message
        raise ValueError(
            f"callbacks must add numbers that float64 holds to logs, got a larger one as {name!r}"
        ) from None
