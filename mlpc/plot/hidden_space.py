"""HiddenSpaceDisplay: the data as a hidden layer gives them to the next one, in the plane or in space."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject
from mlpc.plot.decision_boundary import class_shades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["HiddenSpaceDisplay"]

_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0)}
_MOST_PLANES = 3  # of the next layer's units; more would hide the points


class HiddenSpaceDisplay:
    """The activations of a hidden layer as points, and where the next layer's units change sign.

    Two units make a plane, three a space; of more, the first principal components are shown. In the plane the next
    layer's units are lines, in space planes: units with an input of 0, for up to three units. A softmax of two is the
    one line or plane where both classes are as likely; of more, its classes are shaded regions in the plane, in space
    the pieces of planes where the two most probable ones meet. Under principal components these are cuts through the
    middle of the data, so that a point may lie on the other side than its activations. `from_network` makes one.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2) or (n_samples, 3)
        What is drawn: activations or principal components.
    normals : ndarray of shape (n_planes, 2) or (n_planes, 3)
        Of the next layer's lines or planes: normal · point + offset = 0.
    offsets : ndarray of shape (n_planes,)
        Their offsets.
    codes : ndarray of int or float, shape (n_samples,), optional
        The points' classes, from 0, or values.
    limits : tuple of ndarray (low, high)
        Least and largest coordinates shown.
    scores : tuple of ndarray (normals, offsets), optional
        Of a softmax with three classes or more: shapes (n_classes, 2) or (n_classes, 3), and (n_classes,).
    cut : bool, default=False
        Whether these are cuts through a space of more dimensions; the legend says so.
    class_names, axis_names : sequence of str
        What classes and coordinates are called.

    Attributes
    ----------
    points_ : list of matplotlib.collections.PathCollection
        One a class, or one of all values.
    planes_ : list
        Of the lines (`matplotlib.lines.Line2D`) or planes (`Poly3DCollection`) in view.
    surface_ : matplotlib.image.AxesImage or None
        Regions of a softmax.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import HiddenSpaceDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", hidden_activation="sigmoid", seed=0)
    >>> display = HiddenSpaceDisplay.from_network(net, X, y)
    >>> display.ax_.get_zlabel(), bool((display.points == net.transform(X)).all())
    ('$h_3$', True)
    """

    points_: list[Any]
    planes_: list[Any]
    surface_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        points: NDArray[Any],
        normals: NDArray[Any],
        offsets: NDArray[Any],
        codes: NDArray[Any] | None = None,
        limits: tuple[NDArray[Any], NDArray[Any]],
        scores: tuple[NDArray[Any], NDArray[Any]] | None = None,
        cut: bool = False,
        class_names: Sequence[str],
        axis_names: Sequence[str],
    ) -> None:
        self.points, self.normals, self.offsets, self.codes = points, normals, offsets, codes
        self.limits, self.scores, self.cut = limits, scores, cut
        self.class_names, self.axis_names = class_names, axis_names

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        layer: int = -1,
        n_components: int | None = None,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> HiddenSpaceDisplay:
        """Transform data by a hidden layer and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            With at least two units in the hidden layer.
        X : array-like of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,), optional
            Their labels, or the targets of a regression.
        layer : int, default=-1
            As in `Network.transform`: 1, 2, ... from the first hidden layer, or -1, -2, ... from the last one.
        n_components : {2, 3}, optional
            Dimensions of the picture; by default the units of the layer, where those are two or three, else 2.
        class_names : sequence of str, optional
            What the classes are called; by default an estimator's classes, or numbers.
        ax : matplotlib.axes.Axes, optional
            Where to draw, with projection="3d" for three dimensions; a new figure unless given.

        Returns
        -------
        HiddenSpaceDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If the layer has fewer units than dimensions are drawn, or the data do not fit the network.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import HiddenSpaceDisplay
        >>> net = mlpc.Network([4, 16, 1], loss="binary_cross_entropy", seed=0)
        >>> display = HiddenSpaceDisplay.from_network(net, [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6, 3, 6, 2]])
        >>> display.points.shape
        (3, 2)
        """
        net = _subject.as_network(network)
        points = _subject.as_points(net, X)
        codes = _subject.as_codes_or_values(network, net, y, len(points))
        hidden = net.transform(points, layer=layer).astype(np.float64)
        if not (np.isfinite(hidden).all() and np.isfinite(net.parameters).all()):
            raise ValueError("network must have finite parameters and activations to be drawn, got NaN or infinity")
        number = layer if layer > 0 else len(net.weights) + layer
        n_units = hidden.shape[1]
        if n_units < 2:
            raise ValueError(f"{cls.__name__} draws a layer of two units or more, layer {number} has {n_units}")
        shown = (n_units if n_units <= 3 else 2) if n_components is None else n_components
        shown = _check.integer("n_components", shown, 2, min(3, n_units))
        weights = net.weights[number].T.astype(np.float64)  # (n_next, n_units)
        biases = net.biases[number].astype(np.float64) if net.biases else np.zeros(len(weights))
        names = [f"$h{_subject.subscript(i)}$" for i in range(n_units)]
        bounds = _RANGES.get(_subject.activation(net, number))
        if shown < n_units:
            center = hidden.mean(axis=0)
            _, singular, axes = np.linalg.svd(hidden - center, full_matrices=False)
            axes = _with_signs(axes[:shown])
            share = singular**2 / max(float(np.sum(singular**2)), np.finfo(np.float64).tiny)
            share = np.append(share, np.zeros(shown))  # fewer samples than dimensions
            axes = np.vstack([axes, np.zeros((shown - len(axes), n_units))])
            hidden = (hidden - center) @ axes.T
            weights, biases = weights @ axes.T, biases + weights @ center
            kind = "principal component" if shown == 2 else "PC"
            names = [f"{kind} {i + 1} ({share[i]:.0%})" for i in range(shown)]
            bounds = None
        low, high, _ = _style.limits(hidden)
        if bounds is not None:
            low, high = np.full(shown, bounds[0]), np.full(shown, bounds[1])
            if shown == 2:  # points lie on the bounds themselves
                low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
        softmax = number == len(net.weights) - 1 and net.output_activation == "softmax"
        scores = (weights, biases) if softmax and len(weights) > 2 else None
        if softmax and len(weights) == 2:
            weights, biases = weights[1:] - weights[:1], biases[1:] - biases[:1]
        elif softmax or len(weights) > _MOST_PLANES:
            weights, biases = weights[:0], biases[:0]
        return cls(
            points=hidden,
            normals=weights,
            offsets=biases,
            codes=codes,
            limits=(low, high),
            scores=scores,
            cut=shown < n_units,
            class_names=_subject.class_labels(network, net, codes, class_names),
            axis_names=names,
        ).plot(ax)

    def plot(self, ax: Any = None) -> HiddenSpaceDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw, with projection="3d" for three dimensions; a new figure unless given.

        Returns
        -------
        HiddenSpaceDisplay
            Itself.

        Raises
        ------
        ValueError
            If `ax` has not as many dimensions as the picture.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import HiddenSpaceDisplay
        >>> net = mlpc.Network([2, 2, 1], loss="binary_cross_entropy", seed=0)
        >>> display = HiddenSpaceDisplay.from_network(net, [[-1, -1], [1, 1]], [0, 1])
        >>> display.plot().ax_.get_xlabel()
        '$h_1$'
        """
        in_space = self.points.shape[1] == 3
        axes = _style.new_axes(ax, (5.6, 5.0), **({"projection": "3d"} if in_space else {}))
        self.surface_ = None
        self.points_ = _style.scatter(axes, self.points, self.codes, self.class_names)
        (self._plot_space if in_space else self._plot_plane)(axes)
        if axes.get_legend_handles_labels()[1]:
            _style.legend(axes, 4, below=1.5 if in_space else 3.6)
        self.ax_, self.figure_ = axes, axes.figure
        return self

    def _label(self, plane: int) -> str:
        unit = "" if len(self.offsets) == 1 else _subject.subscript(plane)
        return f"$w{unit}^T h + b{unit} = 0$" + self.cut * ", cut"

    def _plot_plane(self, axes: Any) -> None:
        _style.bare(axes)
        low, high = self.limits
        if self.scores is not None:
            xx0, xx1 = _subject.plane_grid(low, high, 200)
            z = np.stack([xx0, xx1], axis=-1) @ self.scores[0].T + self.scores[1]
            z = np.exp(z - z.max(axis=-1, keepdims=True))
            image = class_shades(z / z.sum(axis=-1, keepdims=True))
            extent = _subject.grid_extent(xx0, xx1)
            self.surface_ = axes.imshow(image, extent=extent, origin="lower", aspect="auto")
        self.planes_ = []
        for i, (normal, offset) in enumerate(zip(self.normals, self.offsets, strict=True)):
            ends = line_in_box(normal, offset, low, high)
            if len(ends):
                style = {"color": _style.INK, "linestyle": _style.LINE_STYLES[i], "label": self._label(i)}
                self.planes_.extend(axes.plot(*ends.T, linewidth=1.5, **style))
        axes.locator_params(nbins=6)
        _style.frame(axes, low, high, self.axis_names[0].startswith("$h"), self.axis_names)

    def _plot_space(self, axes: Any) -> None:
        from mpl_toolkits.mplot3d.art3d import Poly3DCollection

        low, high = self.limits
        found = [plane_in_box(*plane, low, high) for plane in zip(self.normals, self.offsets, strict=True)]
        drawn = [(corners, self._label(i), i) for i, corners in enumerate(found) if len(corners) >= 3]
        if self.scores is not None:
            name = "boundaries" + self.cut * ", cut"
            drawn = [(c, "" if i else name, 0) for i, c in enumerate(class_boundaries(*self.scores, low, high))]
        self.planes_ = []
        for corners, label, number in drawn:
            style = {"edgecolor": _style.INK, "alpha": 0.18, "label": label}
            color = _style.LINE_COLORS[number] if number else _style.INK
            self.planes_.append(axes.add_collection3d(Poly3DCollection([corners], facecolor=color, **style)))
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
        axes.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1], zlabel=self.axis_names[2])
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_rotate_label(False)
        axes.set_box_aspect(None, zoom=0.98 if self.axis_names[2].startswith("$h") else 0.88)  # room for longer labels
        axes.locator_params(nbins=3)
        if drawn:
            elevation, azimuth = view_along([(corners - low) / (high - low) for corners, *_ in drawn])
            axes.view_init(elev=elevation, azim=azimuth)


def line_in_box(normal: NDArray[Any], offset: float, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Return the two ends of the line normal · x + offset = 0 within a rectangle; none where it passes by."""
    found: list[NDArray[np.float64]] = []
    for axis, other in ((0, 1), (1, 0)):
        for side in (low[other], high[other]) if normal[axis] else ():
            place = -(offset + normal[other] * side) / normal[axis]
            if low[axis] <= place <= high[axis]:
                end = np.zeros(2)
                end[axis], end[other] = place, side
                found.append(end)
    if len(found) < 2:
        return np.empty((0, 2))
    ends = np.array(found)
    apart = np.linalg.norm((ends - ends[0]) / (high - low), axis=1)  # through a corner it meets two sides at once
    return ends[[0, int(np.argmax(apart))]]


def plane_in_box(normal: NDArray[Any], offset: float, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Return the corners, in order, of the polygon that the plane normal · x + offset = 0 cuts out of a box."""
    size = high - low
    n, c = normal * size, offset + normal @ low  # in the unit cube
    found: list[NDArray[np.float64]] = []
    for axis in range(3):
        others = [i for i in range(3) if i != axis]
        for sides in product((0.0, 1.0), repeat=2) if n[axis] else ():
            corner = np.zeros(3)
            corner[others] = sides
            corner[axis] = -(c + n[others] @ np.array(sides)) / n[axis]
            if 0.0 <= corner[axis] <= 1.0:
                found.append(corner)
    corners = np.unique(np.round(found, 12), axis=0)  # through a corner of the box it meets three edges at once
    if len(corners) < 3:
        return np.empty((0, 3))
    away = corners - corners.mean(axis=0)
    first = away[np.argmax(np.linalg.norm(away, axis=1))]
    second = np.cross(n, first)
    return np.asarray(low + size * corners[np.argsort(np.arctan2(away @ second / np.linalg.norm(n), away @ first))])


def class_boundaries(
    normals: NDArray[Any], offsets: NDArray[Any], low: NDArray[Any], high: NDArray[Any]
) -> list[NDArray[np.float64]]:
    """Return polygons within a box on which the largest two of the scores normals · x + offsets are equal."""
    pieces = []
    for i, j in combinations(range(len(offsets)), 2):
        corners = plane_in_box(normals[i] - normals[j], offsets[i] - offsets[j], low, high)
        for k in set(range(len(offsets))) - {i, j}:
            corners = _clipped(corners, (corners @ (normals[i] - normals[k])) + (offsets[i] - offsets[k]))
        if len(corners) >= 3:
            pieces.append(corners)
    return pieces


def _clipped(corners: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a convex polygon where a function, linear on it and given at the corners, is not negative."""
    kept = []
    for here in range(len(corners)):
        there = (here + 1) % len(corners)
        if values[here] >= 0.0:
            kept.append(corners[here])
        if values[here] * values[there] < 0.0:
            share = values[here] / (values[here] - values[there])
            kept.append(corners[here] + share * (corners[there] - corners[here]))
    return np.array(kept).reshape(-1, 3)


def view_along(polygons: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return elevation and azimuth, in degrees, from which polygons are seen nearly edge on, between the points.

    A fifth of their area is left to be seen, or more where they cannot all be seen so. Views along an axis of the
    space are left out: its ticks would lie upon each other.
    """
    sizes = [np.cross(c[1:-1] - c[0], c[2:] - c[0]).sum(axis=0) for c in polygons]
    area = max(float(np.sum(np.linalg.norm(sizes, axis=1))), np.finfo(np.float64).tiny)
    views = [(elevation, azimuth) for elevation in range(15, 50, 5) for azimuth in range(0, 360, 5)]
    views = [view for view in views if 20 <= view[1] % 90 <= 70]
    elevation, azimuth = np.radians(views).T
    towards = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    seen = np.abs(sizes @ np.array(towards)).sum(axis=0) / area
    return views[int(np.argmin(np.abs(seen - 0.2)))]


def _with_signs(axes: NDArray[Any]) -> NDArray[Any]:
    """Turn each principal axis so that its largest coordinate is positive: the same picture on every machine."""
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return np.asarray(axes * np.where(largest < 0.0, -1.0, 1.0)[:, None])
