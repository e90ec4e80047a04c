"""Early stopping: its settings. The counting is the core's."""

from functools import partial

import numpy as np

from mlpc import _check
from mlpc._settings import Settings, checked, integer, real

__all__ = ["EarlyStopping"]


class EarlyStopping(Settings):
    """When `fit` stops before its last epoch. Each fit counts afresh.

    Parameters
    ----------
    monitor : str, default="validation_loss"
        "loss", "validation_loss", or the name of a number that a callback adds to its logs, in every epoch; NaN is no
        improvement.
    mode : {"min", "max"}, default="min"
        Whether smaller or larger is better: "max" for an accuracy, whatever its name.
    patience : int, default=10
        Epochs without an improvement after which training stops; >= 1.
    min_delta : float, default=0.0
        A value is an improvement if it lies below (mode "max": above) that of the last improvement by more than
        this; >= 0.
    restore_best : bool, default=True
        Whether the parameters and the optimizer state of the best epoch are put back in the end, however `fit` ends
        without an exception, and where training diverged.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    Prechelt (1998), "Early stopping - but when?".

    Examples
    --------
    >>> import mlpc
    >>> mlpc.EarlyStopping(patience=3)
    EarlyStopping(monitor='validation_loss', mode='min', patience=3, min_delta=0.0, restore_best=True)
    """

    monitor: str = checked(default="validation_loss", check=_check.text)
    mode: str = checked(default="min", check=partial(_check.choice, known=("min", "max")))
    patience: int = integer(10, least=1)
    min_delta: float = real(0.0, ge=0)
    restore_best: bool = checked(default=True, check=_check.flag)

    def core_settings(self, monitor: int) -> tuple[int, bool, int, float, bool]:
        """Return what the core takes; `monitor` is its number of what is watched."""
        return (monitor, self.mode == "max", self.patience, self.min_delta, self.restore_best)


def as_early_stopping(value: object) -> EarlyStopping | None:
    """Return the settings that `fit`'s argument stands for."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return EarlyStopping() if value else None
    if isinstance(value, EarlyStopping):
        return value
    raise TypeError(f"early_stopping must be None, True or an mlpc.EarlyStopping, got {value!r}")
