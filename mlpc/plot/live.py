"""LivePlot: a callback that draws while a network trains."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject
from mlpc.plot.decision_boundary import DecisionBoundaryDisplay
from mlpc.plot.loss_curve import LossCurveDisplay

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mlpc.network import Network

__all__ = ["LivePlot"]

_MOST_OF_THE_TIME = 0.2  # share of it that drawing may take


class LivePlot:
    """Callback that redraws the loss, and for two inputs the decision boundary, while the network trains.

    In a notebook the picture appears under the cell and is replaced in place; elsewhere it is drawn on a figure of
    pyplot's, in a window where there is one. It is drawn at most every `interval` seconds, less often where drawing
    would take more than a fifth of the time, and once more at the end of fit.

    Parameters
    ----------
    X : array-like of shape (n_samples, 2), optional
        Points of the plane to draw; without them the loss alone is drawn.
    y : array-like of shape (n_samples,), optional
        Their labels; names and other numbers than 0, 1, ..., as estimators take them, count in sorted order.
    interval : float, default=0.5
        Seconds between two pictures, at least; 0 draws every epoch.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        What is drawn on, from the first picture on.
    loss_ : LossCurveDisplay
        The latest loss.
    boundary_ : DecisionBoundaryDisplay or None
        The latest boundary.
    n_drawn_ : int
        Pictures so far.

    Raises
    ------
    TypeError, ValueError
        If `interval` is not a number, 0 or more.
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import LivePlot
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    >>> live = LivePlot(X, y)
    >>> net = net.fit(X, y, epochs=20, callbacks=live)
    >>> len(live.loss_.epochs), live.boundary_.probability.ndim
    (20, 2)
    """

    figure_: Any
    loss_: LossCurveDisplay
    boundary_: DecisionBoundaryDisplay | None

    def __init__(self, X: ArrayLike | None = None, y: ArrayLike | None = None, *, interval: float = 0.5) -> None:
        self.X, self.y, self.interval = X, y, _check.real("interval", interval, ge=0)
        self.figure_, self.boundary_, self.n_drawn_ = None, None, 0
        self._handle: Any = None
        self._next = 0.0
        self._drawn_epoch = 0

    def __call__(self, net: Network, epoch: int, logs: dict[str, Any]) -> None:
        """Draw, if it is time to.

        Parameters
        ----------
        net : mlpc.Network
            The network that trains.
        epoch : int
            Epochs completed.
        logs : dict
            Not used.
        """
        if perf_counter() >= self._next:
            self.draw(net)

    def fit_ended(self, net: Network) -> None:
        """Draw what the last epochs did, once fit has ended.

        Parameters
        ----------
        net : mlpc.Network
            The network that was trained.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import LivePlot
        >>> live = LivePlot(interval=60)
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0)
        >>> net = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=9, callbacks=live)  # which calls it
        >>> live.loss_.ax_.get_title().split(",")[0], live.n_drawn_
        ('epoch 9', 2)
        """
        if net.epoch != self._drawn_epoch:
            self.draw(net)
        self._handle, self._next = None, 0.0  # the next fit draws under its own cell

    def draw(self, net: Network) -> None:
        """Draw the network as it is now.

        Parameters
        ----------
        net : mlpc.Network
            Trained for at least one epoch.

        Raises
        ------
        TypeError, ValueError
            If the points do not fit the network.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import LivePlot
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit([[0.0], [1.0]], [1.0, 3.0], epochs=3)
        >>> live = LivePlot()
        >>> live.draw(net)
        >>> live.loss_.loss_line_.get_xdata()
        array([1., 2., 3.])
        """
        start = perf_counter()
        plt = _style.pyplot()
        in_notebook = _in_notebook()
        if self.figure_ is None:
            size = (10.4, 4.2) if self._has_boundary(net) else (5.6, 3.8)
            if in_notebook:  # not pyplot's, which would show it a second time at the end of the cell
                from matplotlib.figure import Figure

                self.figure_ = Figure(figsize=size, layout="constrained")
            else:
                self.figure_ = plt.figure(figsize=size, layout="constrained")
        figure = self.figure_
        figure.clear()
        if self._has_boundary(net):
            left, right = figure.subplots(1, 2)
            points: Any = self.X
            labels, names = _numbered(self.y, _subject.number_of_classes(net))
            settings: dict[str, Any] = {"class_names": names, "grid_resolution": 80, "ax": right}
            self.boundary_ = DecisionBoundaryDisplay.from_network(net, points, labels, **settings)
        else:
            left = figure.subplots()
        self.loss_ = LossCurveDisplay.from_network(net, ax=left)
        left.set_title(f"epoch {net.epoch}, loss {self.loss_.loss[-1]:.4g}")
        if in_notebook:
            self._show_in_notebook()
        else:
            figure.canvas.draw()
            if self.n_drawn_ == 0 and plt.isinteractive():
                plt.show(block=False)
            figure.canvas.flush_events()
        self.n_drawn_, self._drawn_epoch = self.n_drawn_ + 1, net.epoch
        now = perf_counter()
        self._next = now + max(self.interval, (now - start) * (1.0 / _MOST_OF_THE_TIME - 1.0) if self.interval else 0.0)

    def _has_boundary(self, net: Network) -> bool:
        if self.X is None or net.layer_sizes[0] != 2:
            return False
        return net.output_activation == "softmax" or (net.output_activation == "sigmoid" and net.layer_sizes[-1] == 1)

    def _show_in_notebook(self) -> None:
        from importlib import import_module
        from io import BytesIO

        display: Any = import_module("IPython.display")
        png = BytesIO()
        self.figure_.savefig(png, format="png", dpi=90)
        image = display.Image(data=png.getvalue(), format="png")
        if self._handle is None:
            self._handle = display.display(image, display_id=True)
        else:
            self._handle.update(image)


def _numbered(y: Any, n_classes: int | None) -> tuple[Any, list[str] | None]:
    """Return labels as numbers from 0, and their names, where they are others: callbacks get no estimator with them."""
    labels = np.asarray(y)
    text = labels.dtype.kind in "OSUT"
    if labels.ndim == 0 or not (text or labels.size == len(labels)):  # None, rows of probabilities
        return y, None
    names, codes = np.unique(labels, return_inverse=True)
    if not text and (len(names) != n_classes or np.array_equal(names, np.arange(len(names)))):
        return y, None
    return codes, [str(name) if text else f"class {name}" for name in names]


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel: a terminal's IPython has none."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
