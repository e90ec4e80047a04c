"""HiddenClassifiersDisplay: the units of the first layer as the lines where their inputs are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["HiddenClassifiersDisplay"]

_NAMED = 8  # lines that a legend names one by one


class HiddenClassifiersDisplay:
    """Each unit of the first layer as a line over the data; an arrow points to the side where its input is positive.

    `from_network` makes one. A unit without weights has no line, one whose line passes the data by is "out of view".

    Parameters
    ----------
    weights : ndarray of shape (2, n_units)
        W[1].
    biases : ndarray of shape (n_units,)
        b[1].
    X : ndarray of shape (n_samples, 2)
        The points.
    codes : ndarray of int or float, shape (n_samples,), optional
        Their classes, from 0, or values.
    class_names, feature_names : sequence of str
        What they are called.

    Attributes
    ----------
    lines_ : list of matplotlib.lines.Line2D or None
        One a unit; None where it has no weights.
    arrows_ : list of matplotlib.text.Annotation or None
        One a unit; None where no part of its line is in view.
    points_ : list of matplotlib.collections.PathCollection
        One a class, or one of all values.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import HiddenClassifiersDisplay
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    >>> display = HiddenClassifiersDisplay.from_network(net, [[-1, -1], [1, 1]], [0, 1])
    >>> len(display.lines_)
    3
    """

    lines_: list[Any]
    arrows_: list[Any]
    points_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        weights: NDArray[Any],
        biases: NDArray[Any],
        X: NDArray[Any],
        codes: NDArray[Any] | None = None,
        class_names: Sequence[str],
        feature_names: Sequence[str],
    ) -> None:
        self.weights, self.biases, self.X, self.codes = weights, biases, X, codes
        self.class_names, self.feature_names = class_names, feature_names

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> HiddenClassifiersDisplay:
        """Take the first layer of a network and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            With two inputs.
        X : array-like of shape (n_samples, 2)
            Points; the picture shows the region around them.
        y : array-like of shape (n_samples,), optional
            Their labels, or the targets of a regression.
        feature_names, class_names : sequence of str, optional
            What they are called; by default a frame's columns and an estimator's classes, or numbers.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        HiddenClassifiersDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If the network has not two inputs, or the data do not fit it.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import HiddenClassifiersDisplay
        >>> net = mlpc.Network([2, 1], loss="binary_cross_entropy", seed=0)
        >>> net.parameters = [1.0, 1.0, 0.0]  # the line x_1 + x_2 = 0
        >>> display = HiddenClassifiersDisplay.from_network(net, [[-1, -1], [1, 1]])
        >>> bool(abs(display.lines_[0].get_xydata().sum(axis=1)).max() < 1e-12)
        True
        """
        net = _subject.as_network(network)
        points = _subject.as_plane(net, X, cls.__name__)
        codes = _subject.as_codes_or_values(network, net, y, len(points))
        return cls(
            weights=net.weights[0].copy(),
            biases=net.biases[0].copy() if net.biases else np.zeros(net.layer_sizes[1]),
            X=points,
            codes=codes,
            class_names=_subject.class_labels(network, net, codes, class_names),
            feature_names=_subject.feature_labels(net, X, feature_names),
        ).plot(ax)

    def plot(self, ax: Any = None) -> HiddenClassifiersDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        HiddenClassifiersDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import HiddenClassifiersDisplay
        >>> net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
        >>> display = HiddenClassifiersDisplay.from_network(net, [[-1, -1], [1, 1]])
        >>> len(display.plot().arrows_)
        4
        """
        axes = _style.new_axes(ax)
        _style.bare(axes)
        low, high, equal = _style.limits(self.X)
        self.points_ = _style.scatter(axes, self.X, self.codes, self.class_names)
        self.lines_, self.arrows_ = [], []
        n_units = len(self.biases)
        for unit, (weight, bias) in enumerate(zip(self.weights.T, self.biases, strict=True)):
            index = _subject.subscript(unit)
            name = f"$w{index}^T x + b{index} = 0$"
            style: dict[str, Any] = {"color": _style.INK, "linewidth": 1.0, "alpha": 0.7}
            if n_units <= _NAMED:
                style = {"color": _style.LINE_COLORS[unit % len(_style.LINE_COLORS)], "linewidth": 2.0}
                style["linestyle"] = _style.LINE_STYLES[unit % len(_style.LINE_STYLES)]
            elif unit == 0:
                name = f"inputs of the {n_units} units are 0"
            else:
                name = "_"
            if not weight.any():
                self.lines_.append(None)
                self.arrows_.append(None)
                continue
            # Distances as the eye sees them: in units of the frame where the axes are not scaled alike.
            scale = np.full(2, (high - low).max()) if equal else high - low
            normal, offset = weight * scale, bias + weight @ (low + high) / 2.0
            normal, offset = normal / np.linalg.norm(normal), offset / np.linalg.norm(normal)
            along = np.array([-normal[1], normal[0]])
            middle = -offset * normal  # the point of the line nearest to the centre
            reach = np.hypot(*((high - low) / scale)) / 2.0
            seen = bool((np.abs(middle) <= (high - low) / scale / 2.0).all())
            ends = np.stack([middle - reach * along, middle + reach * along]) * scale + (low + high) / 2.0
            crosses = seen or _crosses(ends, low, high)
            label = name if crosses or name == "_" else f"{name} (out of view)"
            self.lines_.extend(axes.plot(*ends.T, label=label, zorder=2.5, **style))
            tip, tail = ((middle + shift) * scale + (low + high) / 2.0 for shift in (0.08 * normal, 0.0 * normal))
            arrow = {"arrowstyle": "-|>", "color": style["color"], "linewidth": style["linewidth"]}
            drawn = {"arrowprops": {**arrow, "shrinkA": 0.0, "shrinkB": 0.0}, "annotation_clip": True}
            self.arrows_.append(axes.annotate("", tip, tail, **drawn) if seen else None)
        _style.frame(axes, low, high, equal, self.feature_names)
        _style.legend(axes, 3)
        self.ax_, self.figure_ = axes, axes.figure
        return self


def _crosses(ends: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> bool:
    """Whether a segment meets a rectangle: Liang and Barsky's clipping."""
    start, step = ends[0], ends[1] - ends[0]
    first, last = 0.0, 1.0
    for a, d, least, most in zip(start, step, low, high, strict=True):
        if d == 0.0:
            if not least <= a <= most:
                return False
            continue
        enter, leave = sorted(((least - a) / d, (most - a) / d))
        first, last = max(first, enter), min(last, leave)
    return bool(first <= last)
