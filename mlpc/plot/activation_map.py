"""ActivationMapDisplay: what each unit says over the plane of two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["ActivationMapDisplay"]


class ActivationMapDisplay:
    """A heat map a unit: its activation over the input plane, a row of maps a layer.

    The maps of a layer share their colours; the line is where the unit's activation is halfway (a sigmoid's 0.5) or 0.
    `from_network` makes one.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Coordinates of the grid.
    maps : dict of int to ndarray of shape (n_units, grid_resolution, grid_resolution)
        By layer, 1 to L: the activations of the units drawn.
    titles : dict of int to list of str
        By layer: what the units are called.
    activations : dict of int to str
        By layer: the activation's name.
    X : ndarray of shape (n_samples, 2), optional
        Points to draw.
    codes : ndarray of int, shape (n_samples,), optional
        Their classes, from 0.
    class_names, feature_names : sequence of str
        What they are called.

    Attributes
    ----------
    images_ : dict of int to list of matplotlib.image.AxesImage
        By layer, one a unit.
    colorbars_ : dict of int to matplotlib.colorbar.Colorbar
        By layer.
    axes_ : dict of int to list of matplotlib.axes.Axes
        By layer, one a unit.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes that were divided, and their figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import ActivationMapDisplay
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    >>> display = ActivationMapDisplay.from_network(net, [[-1, -1], [1, 1]])
    >>> {layer: len(images) for layer, images in display.images_.items()}
    {1: 3, 2: 1}
    """

    images_: dict[int, list[Any]]
    colorbars_: dict[int, Any]
    axes_: dict[int, list[Any]]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        xx0: NDArray[Any],
        xx1: NDArray[Any],
        maps: dict[int, NDArray[Any]],
        titles: dict[int, list[str]],
        activations: dict[int, str],
        X: NDArray[Any] | None = None,
        codes: NDArray[np.int64] | None = None,
        class_names: Sequence[str],
        feature_names: Sequence[str],
    ) -> None:
        self.xx0, self.xx1, self.maps, self.titles, self.activations = xx0, xx1, maps, titles, activations
        self.X, self.codes, self.class_names, self.feature_names = X, codes, class_names, feature_names

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        layer: int | None = None,
        max_units: int = 16,
        grid_resolution: int = 100,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> ActivationMapDisplay:
        """Evaluate the units of a network around the data and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            With two inputs.
        X : array-like of shape (n_samples, 2)
            Points; the picture shows the region around them.
        y : array-like of shape (n_samples,), optional
            Their labels, or the targets of a regression; without, no points are drawn.
        layer : int, optional
            The layer, from 1 to L, the output; by default every one.
        max_units : int, default=16
            Units of a layer that are drawn, at most.
        grid_resolution : int, default=100
            Points along each side of the grid on which the network is evaluated; at least 2.
        feature_names, class_names : sequence of str, optional
            What they are called; by default a frame's columns and an estimator's classes, or numbers.
        ax : matplotlib.axes.Axes, optional
            What to divide; a new figure's unless given.

        Returns
        -------
        ActivationMapDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If the network has not two inputs or not that layer, or the data do not fit it.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import ActivationMapDisplay
        >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
        >>> ActivationMapDisplay.from_network(net, [[-1, -1], [1, 1]], layer=1).maps[1].shape
        (3, 100, 100)
        """
        net = _subject.as_network(network)
        points = _subject.as_plane(net, X, cls.__name__)
        codes = _subject.as_codes_or_values(network, net, y, len(points))
        drawn = None if codes is None else points
        if codes is not None and codes.dtype.kind == "f":
            codes = None  # a value's colour says nothing on a map of other values
        max_units, n_layers = _check.integer("max_units", max_units, 1), len(net.weights)
        layers = range(1, n_layers + 1) if layer is None else (_check.integer("layer", layer, 1, n_layers),)
        low, high, _ = _style.limits(points)
        xx0, xx1 = _subject.plane_grid(low, high, grid_resolution)
        outputs = net.activations(np.column_stack([xx0.ravel(), xx1.ravel()]))
        return cls(
            xx0=xx0,
            xx1=xx1,
            maps={i: outputs[i][:, :max_units].T.reshape(-1, *xx0.shape) for i in layers},
            titles={
                i: [_subject.unit_symbol(net, i, unit) for unit in range(net.layer_sizes[i])][:max_units]
                for i in layers
            },
            activations={i: _subject.activation(net, i) for i in layers},
            X=drawn,
            codes=codes,
            class_names=_subject.class_labels(network, net, codes, class_names),
            feature_names=_subject.feature_labels(net, X, feature_names),
        ).plot(ax)

    def plot(self, ax: Any = None, *, n_columns: int = 4) -> ActivationMapDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            What to divide; a new figure's unless given.
        n_columns : int, default=4
            Maps side by side.

        Returns
        -------
        ActivationMapDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import ActivationMapDisplay
        >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
        >>> display = ActivationMapDisplay.from_network(net, [[-1, -1], [1, 1]], layer=1)
        >>> len(display.plot(n_columns=2).axes_[1])
        3
        """
        n_columns = min(_check.integer("n_columns", n_columns, 1), max(map(len, self.maps.values())))
        rows = [(layer, start) for layer in self.maps for start in range(0, len(self.maps[layer]), n_columns)]
        axes = _style.new_axes(ax, (1.0 + 2.0 * n_columns, 0.3 + 2.2 * len(rows)))
        axes.set_axis_off()
        grid = _style.cells(len(rows), n_columns, (0.12, 0.24), right=0.9)
        extent = _subject.grid_extent(self.xx0, self.xx1)
        self.images_, self.axes_, self.colorbars_ = {}, {}, {}
        for row, (layer, start) in zip(grid, rows, strict=True):
            images, places = self.images_.setdefault(layer, []), self.axes_.setdefault(layer, [])
            low, middle, high = _value_range(self.activations[layer], self.maps[layer])
            for i, values in enumerate(self.maps[layer][start : start + n_columns]):
                cell = axes.inset_axes(row[i])
                colors = {"cmap": _style.VALUES, "vmin": low, "vmax": high, "interpolation": "bilinear"}
                images.append(cell.imshow(values, extent=extent, origin="lower", aspect="auto", **colors))
                if values.min() < middle < values.max():
                    cell.contour(self.xx0, self.xx1, values, levels=[middle], colors=["white"], linewidths=1.2)
                if self.X is not None:
                    for drawn in _style.scatter(cell, self.X, self.codes, self.class_names):
                        drawn.set_sizes([9])
                cell.set(title=self.titles[layer][start + i], xticks=[], yticks=[])
                cell.set(xlim=(self.xx0[0, 0], self.xx0[-1, -1]), ylim=(self.xx1[0, 0], self.xx1[-1, -1]))
                places.append(cell)
            if start == 0:
                name = "output" if layer == max(self.maps) and len(self.maps) > 1 else f"layer {layer}"
                places[0].set_ylabel(f"{name} ({self.activations[layer]})")
                x, y, width, height = row[len(places) - 1]
                box = axes.inset_axes((x + width + 0.025, y, 0.018, height))
                self.colorbars_[layer] = axes.figure.colorbar(images[0], cax=box)
        first = self.axes_[rows[-1][0]][rows[-1][1]]
        first.set(xlabel=self.feature_names[0])
        first.set_ylabel("\n".join(filter(None, (first.get_ylabel(), self.feature_names[1]))))
        self.ax_, self.figure_ = axes, axes.figure
        return self


def _value_range(activation: str, values: NDArray[Any]) -> tuple[float, float, float]:
    """Return the values at the ends of the colours, and the one that the line is drawn at."""
    if activation in ("sigmoid", "softmax"):
        return 0.0, 0.5, 1.0
    least, most = float(values.min()), float(values.max())
    if activation in ("relu", "exp", "softplus"):
        return 0.0, 0.0, most or 1.0
    far = max(-least, most) or 1.0
    return -far, 0.0, far
