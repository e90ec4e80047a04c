"""History: what training recorded, one element an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._table import as_html, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_MOST_ROWS = 8  # of the table that is printed

__all__ = ["History"]

RESERVED = frozenset(
    ("epochs", "loss", "validation_loss", "learning_rate", "best_epoch", "stop_reason", "keys", "to_frame", "plot")
)


def check_name(name: object) -> str:
    """Return `name` if a column may have it."""
    if not isinstance(name, str):
        raise TypeError(f"callbacks must add numbers to logs under names, got the key {name!r}")
    if name in RESERVED or name.startswith("_"):
        raise ValueError(f"callbacks must not add {name!r} to logs: history has another use for that name")
    return name


def full_columns(added: Mapping[str, list[float]], n_epochs: int) -> dict[str, NDArray[np.float64]]:
    """Return the columns of callbacks with an element for each epoch: NaN after their last number."""
    columns = {name: np.full(n_epochs, np.nan) for name in added}
    for name, column in added.items():
        columns[name][: len(column)] = column
    return columns


class History:
    """The epochs of a network so far, over all its fits: a copy, made when asked for.

    Numbers that callbacks added to their logs are columns too: `history.accuracy`, `history["accuracy"]`; NaN in epochs
    without.

    Attributes
    ----------
    epochs : ndarray of float64, shape (n_epochs,)
        1, 2, ..., n_epochs.
    loss : ndarray of float64, shape (n_epochs,)
        Training loss: each batch's objective before its own step, dropout on. Averaged by the batches' sums of weights;
        with reduction "sum" the data terms added up, plus the average of the penalties.
    validation_loss : ndarray of float64, shape (n_epochs,)
        Loss over the validation data after the epoch, without penalties; NaN where there was none.
    learning_rate : ndarray of float64, shape (n_epochs,)
        The rate of the epoch's first step, schedule included.
    best_epoch : int or None
        Of the last fit's early stopping; without, the epoch of the lowest validation loss, or of the lowest loss where
        nothing was validated; None before the first epoch.
    stop_reason : str or None
        Why the last fit ended: "epochs", "early_stopping", "callback", "converged" or "diverged"; None where an
        exception or Ctrl-C ended it after a step.

    Examples
    --------
    >>> import mlpc
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0).fit(X, y, epochs=3)
    >>> net.history.epochs
    array([1., 2., 3.])
    >>> net.history["loss"].shape, net.history.stop_reason
    ((3,), 'epochs')
    """

    epochs: NDArray[np.float64]
    loss: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    best_epoch: int | None
    stop_reason: str | None

    def __init__(
        self,
        loss: NDArray[np.float64],
        validation_loss: NDArray[np.float64],
        learning_rate: NDArray[np.float64],
        added: Mapping[str, NDArray[np.float64]],
        best_epoch: int | None,
        stop_reason: str | None,
    ) -> None:
        self.epochs = np.arange(1.0, len(loss) + 1)
        self.loss, self.validation_loss, self.learning_rate = loss, validation_loss, learning_rate
        self.best_epoch, self.stop_reason = best_epoch, stop_reason
        self.__dict__.update(added)
        self._names = ("epochs", "loss", "validation_loss", "learning_rate", *added)
        if best_epoch is None and len(loss):
            judged = loss if np.isnan(validation_loss).all() else validation_loss
            self.best_epoch = 1 + int(np.nanargmin(judged)) if not np.isnan(judged).all() else None

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.loss)

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns, so that `dict(history)` has them all.

        Returns
        -------
        tuple of str
            `epochs`, `loss`, `validation_loss`, `learning_rate` and what callbacks added.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit([[0.0], [1.0]], [0.0, 1.0], epochs=2)
        >>> net.history.keys()
        ('epochs', 'loss', 'validation_loss', 'learning_rate')
        """
        return self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self._names:
            raise KeyError(f"history has no column {name!r}: it has {', '.join(map(repr, self._names))}")
        column: NDArray[np.float64] = self.__dict__[name]
        return column

    def __getattr__(self, name: str) -> Any:
        # Only for what is not there: the columns that callbacks add are known at run time alone.
        names = self.__dict__.get("_names", ())
        raise AttributeError(f"history has no column {name!r}: it has {', '.join(map(repr, names))}")

    def __repr__(self) -> str:
        return "\n".join((self._head(), *as_text(self._rows())))

    def _repr_html_(self) -> str:
        return as_html(self._rows(), head=self._head())

    def _head(self) -> str:
        return f"History({len(self)} epochs, stop_reason={self.stop_reason!r}, best_epoch={self.best_epoch})"

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the first, the last and the best epoch and some between, as many as fit a short table."""
        if not len(self):
            return []
        names = [name for name in self._names[1:] if not np.isnan(self[name]).all()]
        epochs = {round(epoch) for epoch in np.linspace(1, len(self), min(len(self), _MOST_ROWS - 1))}
        if self.best_epoch is not None:
            epochs.add(self.best_epoch)
        rows = [(str(epoch), *(f"{self[name][epoch - 1]:.6g}" for name in names)) for epoch in sorted(epochs)]
        return [("epoch", *names), *rows]

    def to_frame(self) -> Any:
        """Columns as a pandas frame.

        Returns
        -------
        pandas.DataFrame
            A column each for epochs, loss, validation_loss, learning_rate and what callbacks added.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit([[0], [1]], [0, 1], epochs=2)
        >>> list(net.history.to_frame().columns)
        ['epochs', 'loss', 'validation_loss', 'learning_rate']
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("history.to_frame() needs pandas: pip install pandas") from None
        return pd.DataFrame({name: self[name] for name in self._names})

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the epochs: `mlpc.plot.LossCurveDisplay`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.

        Raises
        ------
        ValueError
            If there is no epoch to draw.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit([[0], [1]], [0, 1], epochs=2)
        >>> net.history.plot().get_xlabel()
        'epoch'
        """
        from mlpc.plot import LossCurveDisplay

        return LossCurveDisplay.from_network(self, ax=ax).ax_
