"""WeightImageDisplay: the weights into each unit of the first layer as an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlpc.network import Network

__all__ = ["WeightImageDisplay"]


class WeightImageDisplay:
    """First-layer weights, an image a unit: light where an input speaks for the unit, dark where against it.

    All images share their colours, symmetric about 0. `from_network` makes one.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width)
        The weights.
    units : sequence of int
        The units' numbers, from 0.

    Attributes
    ----------
    images_ : list of matplotlib.image.AxesImage
        One a unit.
    axes_ : list of matplotlib.axes.Axes
        One a unit.
    colorbar_ : matplotlib.colorbar.Colorbar
        The key.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes that were divided, and their figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import WeightImageDisplay
    >>> net = mlpc.Network([64, 6, 10], loss="categorical_cross_entropy", seed=0)
    >>> display = WeightImageDisplay.from_network(net)
    >>> len(display.images_), display.images_[0].get_array().shape
    (6, (8, 8))
    """

    images_: list[Any]
    axes_: list[Any]
    colorbar_: Any
    ax_: Any
    figure_: Any

    def __init__(self, *, images: NDArray[Any], units: Sequence[int]) -> None:
        self.images, self.units = images, units

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        *,
        shape: tuple[int, int] | None = None,
        units: Sequence[int] | None = None,
        max_units: int = 24,
        ax: Any = None,
    ) -> WeightImageDisplay:
        """Take the first layer of a network and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            Its inputs are the pixels of an image, row by row.
        shape : tuple (height, width), optional
            Of the image; a square unless given.
        units : sequence of int, optional
            Which units to draw, from 0; by default the first ones.
        max_units : int, default=24
            How many are drawn where `units` does not say.
        ax : matplotlib.axes.Axes, optional
            What to divide; a new figure's unless given.

        Returns
        -------
        WeightImageDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If the inputs do not make an image of that shape, or there is no such unit.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import WeightImageDisplay
        >>> net = mlpc.Network([6, 3, 1], loss="squared_error", seed=0)
        >>> WeightImageDisplay.from_network(net, shape=(2, 3), units=[0, 2]).images.shape
        (2, 2, 3)
        """
        net = _subject.as_network(network)
        n_inputs, n_units = net.layer_sizes[:2]
        height, width = _shape(shape, n_inputs)
        if units is None:
            units = range(min(n_units, _check.integer("max_units", max_units, 1)))
        elif not _check.is_list(units) or not len(units):
            raise TypeError(f"units must be a sequence of numbers of units, got {units!r}")
        units = [_check.integer(f"units[{i}]", unit, 0, n_units - 1) for i, unit in enumerate(units)]
        images = net.weights[0][:, units].T.reshape(len(units), height, width)
        return cls(images=images, units=units).plot(ax)

    def plot(self, ax: Any = None, *, n_columns: int = 8) -> WeightImageDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            What to divide; a new figure's unless given.
        n_columns : int, default=8
            Images side by side.

        Returns
        -------
        WeightImageDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import WeightImageDisplay
        >>> display = WeightImageDisplay.from_network(mlpc.Network([9, 4, 1], loss="squared_error", seed=0))
        >>> len(display.plot(n_columns=2).axes_)
        4
        """
        n_units, height, width = self.images.shape
        n_columns = min(_check.integer("n_columns", n_columns, 1), n_units)
        n_rows = math.ceil(n_units / n_columns)
        tall = min(max(height / width, 0.4), 2.5)
        axes = _style.new_axes(ax, (1.0 + 1.05 * n_columns, 0.2 + (1.05 * tall + 0.25) * n_rows))
        axes.set_axis_off()
        grid = _style.cells(n_rows, n_columns, (0.1, 0.22), right=0.92)
        far = float(np.abs(self.images).max()) or 1.0
        colors = {"cmap": _style.color_map("signs", _style.SIGNS), "vmin": -far, "vmax": far}
        self.images_, self.axes_ = [], []
        boxes = (box for row in grid for box in row)
        for box, unit, image in zip(boxes, self.units, self.images, strict=False):
            cell = axes.inset_axes(box)
            self.images_.append(cell.imshow(image, interpolation="nearest", **colors))
            cell.set(xticks=[], yticks=[])
            cell.set_title(f"unit {unit + 1}", fontsize=8, pad=2)
            self.axes_.append(cell)
        key = axes.inset_axes((0.945, 0.0, 0.02, 1.0))
        self.colorbar_ = axes.figure.colorbar(self.images_[0], cax=key, label="weight")
        self.ax_, self.figure_ = axes, axes.figure
        return self


def _shape(shape: Any, n_inputs: int) -> tuple[int, int]:
    if shape is None:
        side = math.isqrt(n_inputs)
        if side * side != n_inputs:
            raise ValueError(f"shape must say which image the {n_inputs} inputs make: they are no square")
        return side, side
    if not _check.is_list(shape) or len(shape) != 2:
        raise TypeError(f"shape must be (height, width), got {shape!r}")
    height, width = (_check.integer(f"shape[{i}]", side, 1) for i, side in enumerate(shape))
    if height * width != n_inputs:
        raise ValueError(f"shape must be of an image of {n_inputs} pixels, one an input, got {shape!r}")
    return height, width
