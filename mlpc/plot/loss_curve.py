"""LossCurveDisplay: the loss over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.history import History
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlpc.network import Network

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Loss and validation loss of every epoch, and the best epoch.

    `from_network` makes one. The best epoch is marked where something was validated or training stopped early.

    Parameters
    ----------
    epochs, loss : ndarray of shape (n_epochs,)
        Numbers of the epochs and training loss.
    validation_loss : ndarray of shape (n_epochs,), optional
        NaN where nothing was validated.
    best_epoch : int, optional
        The one to mark.
    mean : bool, default=False
        Whether the losses were divided by the number of samples; names the axis.

    Attributes
    ----------
    loss_line_, validation_line_ : matplotlib.lines.Line2D or None
        The curves.
    best_line_ : matplotlib.lines.Line2D or None
        The vertical line at the best epoch.
    best_point_ : matplotlib.lines.Line2D or None
        The point on the curve, if it is the lowest so far: what was judged may be something else, such as an accuracy.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import LossCurveDisplay
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit(X, y, epochs=5, validation_data=(X, y))
    >>> display = LossCurveDisplay.from_network(net)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['training', 'validation', 'best epoch: 5']
    """

    loss_line_: Any
    validation_line_: Any
    best_line_: Any
    best_point_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        epochs: NDArray[Any],
        loss: NDArray[Any],
        validation_loss: NDArray[Any] | None = None,
        best_epoch: int | None = None,
        mean: bool = False,
    ) -> None:
        self.epochs, self.loss, self.validation_loss = epochs, loss, validation_loss
        self.best_epoch, self.mean = best_epoch, mean

    @classmethod
    def from_network(
        cls,
        network: Network | History | Any,
        *,
        n_samples: int | tuple[int, int] | None = None,
        ax: Any = None,
    ) -> LossCurveDisplay:
        """Take the history of a network and draw.

        Parameters
        ----------
        network : mlpc.Network, fitted estimator or mlpc.History
            Trained for at least one epoch.
        n_samples : int or (int, int), optional
            Divides the losses: with reduction "sum" the number of samples makes a mean of them. Two numbers are those
            of the training and of the validation data; one is for both.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        LossCurveDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, or there is no history.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import LossCurveDisplay
        >>> net = mlpc.Network([1, 1], loss="squared_error", reduction="sum", seed=0).fit([[0.0], [1.0]], [1.0, 3.0])
        >>> LossCurveDisplay.from_network(net, n_samples=2).ax_.get_ylabel()
        'mean loss'
        """
        history = network if isinstance(network, History) else _subject.as_network(network).history
        if not len(history):
            raise ValueError("the network must have a history to draw: fit it first")
        of_training, of_validation = _divisors(n_samples)
        validated = bool(np.isfinite(history.validation_loss).any())
        marked = validated or history.stop_reason == "early_stopping"
        return cls(
            epochs=history.epochs,
            loss=history.loss / of_training,
            validation_loss=history.validation_loss / of_validation if validated else None,
            best_epoch=history.best_epoch if marked else None,
            mean=n_samples is not None,
        ).plot(ax)

    def plot(self, ax: Any = None) -> LossCurveDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import LossCurveDisplay
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit([[0.0], [1.0]], [1.0, 3.0], epochs=3)
        >>> LossCurveDisplay.from_network(net).plot().loss_line_.get_xdata()
        array([1., 2., 3.])
        """
        axes = _style.new_axes(ax, (5.6, 3.8))
        _style.bare(axes)
        marker = "o" if len(self.epochs) == 1 else ""
        first, second = _style.CLASS_COLORS[0], "#D55E00"
        (self.loss_line_,) = axes.plot(self.epochs, self.loss, marker=marker, color=first, label="training")
        self.validation_line_ = self.best_line_ = self.best_point_ = None
        judged = self.loss
        if self.validation_loss is not None:
            judged = self.validation_loss
            curve = {"marker": marker, "linestyle": "--", "color": second, "label": "validation"}
            (self.validation_line_,) = axes.plot(self.epochs, self.validation_loss, **curve)
        if self.best_epoch is not None:
            if np.isnan(judged[self.best_epoch - 1]):  # of a fit without validation, after one with it
                judged = self.loss
            best, line = judged[self.best_epoch - 1], {"color": _style.INK, "linestyle": ":", "linewidth": 1.2}
            self.best_line_ = axes.axvline(self.best_epoch, label=f"best epoch: {self.best_epoch}", **line)
            if best <= np.nanmin(judged[: self.best_epoch]):
                (self.best_point_,) = axes.plot(
                    [self.best_epoch], [best], "D", color=_style.INK, markersize=5, clip_on=False
                )
        axes.set(xlabel="epoch", ylabel="mean loss" if self.mean else "loss")
        if np.nanmin(self.loss) >= 0.0:  # down to zero, unless the scale becomes that of a logarithm
            axes.update_datalim([(self.epochs[0], 0.0)])
            self.loss_line_.sticky_edges.y.append(0.0)
            axes.autoscale_view()
        axes.margins(x=0.01)
        axes.grid(alpha=0.25)
        if self.best_line_ is not None or self.validation_line_ is not None:
            axes.legend(frameon=False)
        self.ax_, self.figure_ = axes, axes.figure
        return self


def _divisors(n_samples: Any) -> tuple[int, int]:
    """Return what divides the losses of training and validation."""
    if n_samples is None:
        return 1, 1
    if _check.is_list(n_samples):
        if len(n_samples) != 2:
            raise ValueError(f"n_samples must be one number or two, of training and validation, got {n_samples!r}")
        of_training, of_validation = (_check.integer("n_samples", n, 1) for n in n_samples)
        return of_training, of_validation
    n = _check.integer("n_samples", n_samples, 1)
    return n, n
