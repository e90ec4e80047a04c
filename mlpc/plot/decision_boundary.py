"""DecisionBoundaryDisplay: the plane of two inputs shaded by the probability that the network gives each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["DecisionBoundaryDisplay"]


class DecisionBoundaryDisplay:
    """The input plane shaded by probability, with the boundaries between classes, under the data.

    With two classes the shade is the probability of the second one, and the line is where it is one half. With more,
    the hue is the most probable class and its strength that class's probability. `from_network` makes one.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Coordinates of the grid.
    probability : ndarray of shape (grid_resolution, grid_resolution) or (grid_resolution, grid_resolution, n_classes)
        Of the second of two classes, or of each class.
    X : ndarray of shape (n_samples, 2), optional
        Points to draw.
    codes : ndarray of int, shape (n_samples,), optional
        Their classes, from 0.
    class_names, feature_names : sequence of str
        What they are called.
    equal : bool, default=True
        Whether one unit is as long on both axes.

    Attributes
    ----------
    surface_ : matplotlib.image.AxesImage
        The shades.
    boundary_ : list of matplotlib.contour.ContourSet
        The lines between classes; empty where one class has the whole plane.
    points_ : list of matplotlib.collections.PathCollection
        One a class.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The key of the shades; None with more than two classes.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import DecisionBoundaryDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]
    >>> net = mlpc.Network([2, 1], loss="binary_cross_entropy", optimizer="lbfgs", seed=0).fit(X, y, epochs=10)
    >>> display = DecisionBoundaryDisplay.from_network(net, X, y)
    >>> display.ax_.get_xlabel(), display.colorbar_.ax.get_ylabel()
    ('$x_1$', 'probability of class 1')
    """

    surface_: Any
    boundary_: list[Any]
    points_: list[Any]
    colorbar_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        xx0: NDArray[Any],
        xx1: NDArray[Any],
        probability: NDArray[Any],
        X: NDArray[Any] | None = None,
        codes: NDArray[np.int64] | None = None,
        class_names: Sequence[str],
        feature_names: Sequence[str],
        equal: bool = True,
    ) -> None:
        self.xx0, self.xx1, self.probability, self.X, self.codes = xx0, xx1, probability, X, codes
        self.class_names, self.feature_names, self.equal = class_names, feature_names, equal

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        output: int | None = None,
        grid_resolution: int = 200,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> DecisionBoundaryDisplay:
        """Evaluate a network around the data and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            With two inputs, and sigmoid or softmax outputs.
        X : array-like of shape (n_samples, 2)
            Points; the picture shows the region around them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Their labels; without, no points are drawn.
        output : int, optional
            Which of several outputs to draw as the probability of its class against all others; needed with several
            sigmoid outputs, whose classes do not exclude each other.
        grid_resolution : int, default=200
            Points along each side of the grid on which the network is evaluated; at least 2.
        feature_names, class_names : sequence of str, optional
            What they are called; by default a frame's columns and an estimator's classes, or numbers.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        DecisionBoundaryDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If the network has not two inputs or no probabilities, or the data do not fit it.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import DecisionBoundaryDisplay
        >>> net = mlpc.Network([2, 8, 3], loss="categorical_cross_entropy", seed=0)
        >>> display = DecisionBoundaryDisplay.from_network(net, [[-1, -1], [1, 1]], grid_resolution=50)
        >>> display.probability.shape
        (50, 50, 3)
        """
        net = _subject.as_network(network)
        points = _subject.as_plane(net, X, cls.__name__)
        n_outputs = net.layer_sizes[-1]
        if net.output_activation not in ("sigmoid", "softmax"):
            expected = "draws probabilities, of sigmoid or softmax outputs"
            raise ValueError(f"{cls.__name__} {expected}; this network's outputs are {net.output_activation}")
        if output is None and n_outputs > 1 and net.output_activation == "sigmoid":
            raise ValueError(f"output must say which of the {n_outputs} sigmoid outputs to draw")
        names: Sequence[str]
        if output is None:
            codes = _subject.as_codes(network, net, y, len(points))
            names = _subject.class_labels(network, net, codes, class_names)
        else:
            if n_outputs == 1:
                raise ValueError(f"output must be None for a network of one output, got {output!r}")
            output = _check.integer("output", output, 0, n_outputs - 1)
            codes = _one_against_all(network, net, y, len(points), output)
            every = _subject.output_labels(network, n_outputs, class_names)
            names = [f"not {every[output]}", every[output]]
        low, high, equal = _style.limits(points)
        xx0, xx1 = _subject.plane_grid(low, high, grid_resolution)
        proba = net.predict_proba(np.column_stack([xx0.ravel(), xx1.ravel()])).reshape(*xx0.shape, n_outputs)
        if n_outputs <= 2 or output is not None:
            proba = proba[..., -1 if output is None else output]
        return cls(
            xx0=xx0,
            xx1=xx1,
            probability=proba,
            X=points,
            codes=codes,
            class_names=names,
            feature_names=_subject.feature_labels(net, X, feature_names),
            equal=equal,
        ).plot(ax)

    def plot(self, ax: Any = None) -> DecisionBoundaryDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        DecisionBoundaryDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import DecisionBoundaryDisplay
        >>> net = mlpc.Network([2, 1], loss="binary_cross_entropy", seed=0)
        >>> display = DecisionBoundaryDisplay.from_network(net, [[-1, -1], [1, 1]], [0, 1])
        >>> bool(display.plot().surface_.get_array().min() < 0.5)
        True
        """
        axes = _style.new_axes(ax)
        _style.bare(axes)
        p = self.probability
        extent = _subject.grid_extent(self.xx0, self.xx1)
        lines: dict[str, Any] = {"levels": [0.0], "colors": [_style.INK], "linewidths": 1.5}
        self.colorbar_ = None
        if p.ndim == 2:
            colors = _style.color_map("probability", _style.SHADES)
            image = {"cmap": colors, "vmin": 0.0, "vmax": 1.0, "interpolation": "bilinear"}
            self.surface_ = axes.imshow(p, extent=extent, origin="lower", **image)
            margins = [p - 0.5]
        else:
            self.surface_ = axes.imshow(class_shades(p), extent=extent, origin="lower")
            margins = [p[..., k] - np.delete(p, k, axis=-1).max(axis=-1) for k in range(p.shape[-1] - 1)]
        drawn = (margin for margin in margins if margin.min() < 0.0 < margin.max())
        self.boundary_ = [axes.contour(self.xx0, self.xx1, margin, **lines) for margin in drawn]
        if p.ndim == 2:
            label = f"probability of {self.class_names[1]}"
            self.colorbar_ = axes.figure.colorbar(self.surface_, ax=axes, shrink=0.8, label=label)
            self.colorbar_.ax.axhline(0.5, color=_style.INK, linewidth=1.5)
        self.points_ = []
        if self.codes is not None and self.X is not None:
            self.points_ = _style.scatter(axes, self.X, self.codes, self.class_names)
            _style.legend(axes, min(4, len(self.class_names)))
        low, high = (np.array([grid.flat[i] for grid in (self.xx0, self.xx1)]) for i in (0, -1))
        _style.frame(axes, low, high, self.equal, self.feature_names)
        self.ax_, self.figure_ = axes, axes.figure
        return self


def class_shades(probability: NDArray[Any]) -> NDArray[np.float64]:
    """Return an image, (height, width, 3): the most probable class's colour, paler where it is less certain.

    `probability` is (height, width, n_classes).
    """
    from matplotlib.colors import to_rgb

    n_classes = probability.shape[-1]
    colors = np.array([to_rgb(_style.CLASS_COLORS[k % len(_style.CLASS_COLORS)]) for k in range(n_classes)])
    strength = (probability.max(axis=-1) - 1.0 / n_classes) / (1.0 - 1.0 / n_classes)
    strength = 0.1 + 0.45 * strength[..., None]
    return np.asarray(1.0 - strength * (1.0 - colors[probability.argmax(axis=-1)]), dtype=np.float64)


def _one_against_all(
    source: Any, net: Network, y: ArrayLike | None, n_rows: int, output: int
) -> NDArray[np.int64] | None:
    """Return 1 where a row has the class of an output: from a column of y, or from labels."""
    if y is not None and np.ndim(y) == 2 and np.shape(y)[1] == net.layer_sizes[-1] > 1:
        if len(np.asarray(y)) != n_rows:
            raise ValueError(f"y must have one row for each of the {n_rows} rows of X, got shape {np.shape(y)}")
        return (np.asarray(y)[:, output] >= 0.5).astype(np.int64)
    codes = _subject.as_codes(source, net, y, n_rows)
    return None if codes is None else (codes == output).astype(np.int64)
