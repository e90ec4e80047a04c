"""NetworkDisplay: units as circles, weights as the lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlpc.network import Network

__all__ = ["NetworkDisplay"]

_THINNEST, _WIDEST = 0.2, 4.5  # points


class NetworkDisplay:
    """The diagram of a network: a column a layer, weights by width and sign.

    The width of a line is proportional to the absolute weight, the widest of the picture the largest; negative weights
    are dashed and of another colour. Of a layer with more than `max_units` units the first ones and the last are drawn.
    Biases are not. `from_network` makes one.

    Parameters
    ----------
    weights : sequence of ndarray
        W[1], ..., W[L], each of shape (n_in, n_out).
    activations : sequence of str
        One name a layer of weights.
    symbols : sequence of sequence of str
        By layer, inputs first: what is written into the circles.
    max_units : int, default=10
        Units of a layer that are drawn, at most; at least 2.
    feature_names, output_names : sequence of str, optional
        What inputs and outputs are called.

    Attributes
    ----------
    edges_ : list of tuple (positive, negative) of matplotlib.collections.LineCollection
        The lines into each layer.
    nodes_ : list of matplotlib.collections.PathCollection
        The circles of each layer.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import NetworkDisplay
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    >>> display = NetworkDisplay.from_network(net)
    >>> [len(nodes.get_offsets()) for nodes in display.nodes_]
    [2, 3, 1]
    """

    edges_: list[tuple[Any, Any]]
    nodes_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        weights: Sequence[NDArray[Any]],
        activations: Sequence[str],
        symbols: Sequence[Sequence[str]],
        max_units: int = 10,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.weights, self.activations, self.max_units = tuple(weights), tuple(activations), max_units
        self.symbols = symbols
        self.feature_names, self.output_names = feature_names, output_names

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        *,
        max_units: int = 10,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> NetworkDisplay:
        """Take the weights of a network and draw.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            Any.
        max_units : int, default=10
            Units of a layer that are drawn, at most; at least 2.
        feature_names, output_names : sequence of str, optional
            What inputs and outputs are called.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        NetworkDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type or length.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import NetworkDisplay
        >>> net = mlpc.Network([4, 20, 3], loss="categorical_cross_entropy", seed=0)
        >>> display = NetworkDisplay.from_network(net, max_units=6, output_names=["setosa", "versicolor", "virginica"])
        >>> [len(nodes.get_offsets()) for nodes in display.nodes_]
        [4, 6, 3]
        """
        net = _subject.as_network(network)
        n_inputs, n_outputs = net.layer_sizes[0], net.layer_sizes[-1]
        return cls(
            weights=tuple(w.copy() for w in net.weights),
            activations=net._spec.activations,
            symbols=[
                [_subject.unit_symbol(net, layer, unit) for unit in range(size)]
                for layer, size in enumerate(net.layer_sizes)
            ],
            max_units=_check.integer("max_units", max_units, 2),
            feature_names=_subject.checked_names("feature_names", feature_names, n_inputs),
            output_names=_subject.checked_names("output_names", output_names, n_outputs),
        ).plot(ax)

    def plot(self, ax: Any = None) -> NetworkDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        NetworkDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import NetworkDisplay
        >>> display = NetworkDisplay.from_network(mlpc.Network([2, 3, 1], loss="squared_error", seed=0))
        >>> len(display.plot().edges_)
        2
        """
        sizes = [len(self.weights[0]), *(w.shape[1] for w in self.weights)]
        units = [shown_units(size, self.max_units) for size in sizes]
        tallest = max(len(shown) + (len(shown) < size) for shown, size in zip(units, sizes, strict=True))
        plain_size = (1.2 + 1.9 * len(sizes), 1.6 + 0.5 * max(4, tallest))
        axes = _style.new_axes(ax, plain_size)
        axes.set_axis_off()
        places = [column(shown, size, x) for x, (shown, size) in enumerate(zip(units, sizes, strict=True))]
        largest = max(
            float(np.abs(w[np.ix_(a, b)]).max()) for w, a, b in zip(self.weights, units, units[1:], strict=False)
        )
        self.edges_ = [
            self._edges(axes, self.weights[i][np.ix_(units[i], units[i + 1])], places[i], places[i + 1], largest)
            for i in range(len(self.weights))
        ]
        self.nodes_ = []
        top = tallest / 2.0
        for x, (shown, size, place) in enumerate(zip(units, sizes, places, strict=True)):
            style = {"s": 620, "facecolor": "white", "edgecolor": _style.INK, "linewidth": 1.4, "zorder": 3}
            self.nodes_.append(axes.scatter(*place.T, **style))
            for unit, spot in zip(shown, place, strict=True):
                axes.text(
                    *spot, self.symbols[x][unit], ha="center", va="center", zorder=4, fontsize=10, color=_style.INK
                )
            if len(shown) < size:
                gap = (place[-2] + place[-1]) / 2.0
                axes.text(*gap, "⋮", ha="center", va="center", fontsize=16, color=_style.INK, zorder=4)
            axes.text(x, top + 0.25, self._title(x, size), ha="center", va="bottom", fontsize=9)
        self._names(axes, units, places)
        left = 0.35 + (0.45 if self.feature_names else 0.0)
        right = 0.35 + (0.45 if self.output_names else 0.0)
        axes.set(xlim=(-left, len(sizes) - 1 + right), ylim=(-top - 0.1, top + 1.1))
        self._key(axes, largest)
        self.ax_, self.figure_ = axes, axes.figure
        return self

    def _edges(
        self, axes: Any, w: NDArray[Any], left: NDArray[Any], right: NDArray[Any], largest: float
    ) -> tuple[Any, Any]:
        """Draw the lines between two columns; w is of the units drawn."""
        from matplotlib.collections import LineCollection

        drawn = []
        for color, style, chosen in ((_style.POSITIVE, "solid", w > 0), (_style.NEGATIVE, (0, (3, 1.2)), w < 0)):
            ends = [[left[i], right[j]] for i, j in np.argwhere(chosen)]
            widths = _THINNEST + (_WIDEST - _THINNEST) * np.abs(w[chosen]) / (largest or 1.0)
            lines = LineCollection(ends, colors=color, linewidths=widths, linestyles=style, alpha=0.85, zorder=1)
            drawn.append(axes.add_collection(lines))
        return drawn[0], drawn[1]

    def _title(self, x: int, size: int) -> str:
        units = f"{size} unit" + ("s" if size != 1 else "")
        if x == 0:
            return f"input\n{size}"
        name = "output" if x == len(self.weights) else "hidden" if len(self.weights) == 2 else f"hidden {x}"
        return f"{name}\n{units}, {self.activations[x - 1]}"

    def _names(self, axes: Any, units: list[NDArray[np.int64]], places: list[NDArray[Any]]) -> None:
        if self.feature_names:
            for unit, spot in zip(units[0], places[0], strict=True):
                axes.annotate(
                    self.feature_names[unit], spot, (-16, 0), textcoords="offset points", ha="right", va="center"
                )
        if self.output_names:
            for unit, spot in zip(units[-1], places[-1], strict=True):
                axes.annotate(
                    self.output_names[unit], spot, (16, 0), textcoords="offset points", ha="left", va="center"
                )

    def _key(self, axes: Any, largest: float) -> None:
        from matplotlib.lines import Line2D

        positive = Line2D([], [], color=_style.POSITIVE, linewidth=2.0, label="positive weight")
        negative = Line2D(
            [], [], color=_style.NEGATIVE, linewidth=2.0, linestyle=(0, (3, 1.2)), label="negative weight"
        )
        width = Line2D([], [], color=_style.FAINT, linewidth=_WIDEST, label=f"|weight| = {largest:.2g}")
        axes.legend(
            handles=[positive, negative, width], loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, frameon=False
        )


def shown_units(size: int, most: int) -> NDArray[np.int64]:
    """Return which units of a layer are drawn."""
    return np.arange(size) if size <= most else np.append(np.arange(most - 1), size - 1)


def column(shown: NDArray[np.int64], size: int, x: float) -> NDArray[np.float64]:
    """Return the centres of a layer's circles, the first unit on top; a row stays free for units that are not drawn."""
    rows = np.arange(len(shown), dtype=np.float64)
    if len(shown) < size:
        rows[-1] += 1.0
    return np.column_stack([np.full(len(shown), float(x)), rows[-1] / 2.0 - rows])
