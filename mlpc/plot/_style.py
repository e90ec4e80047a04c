"""What the pictures share in looks: colours, markers and dashes, axes, legends. Nothing here knows of networks.

The colours are Okabe and Ito's ("Color Universal Design", 2008), in an order in which neighbours differ in lightness,
with two more for the ninth and tenth class.
The two colour maps rise in lightness from end to end: printed in grey they still tell low from high.
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

INK = "#333333"
FAINT = "#8C8C8C"
CLASS_COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#56B4E9", "#000000", "#D55E00"),
    *("#332288", "#B5E08C"),
)
CLASS_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p", "<", "*")
LINE_COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#E69F00", "#0072B2")
LINE_STYLES = ("-", "--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
POSITIVE, NEGATIVE = "#0072B2", "#D55E00"  # of weights; negative ones are dashed, too
SHADES = ("#6FA3D2", "#D3D5DA", "#FFE9BF")  # from class 0 to class 1, under the points
SIGNS = ("#0B2A5B", "#5E7FA8", "#B9BABB", "#F3C67A", "#FFF6DF")  # from the most negative to the most positive value
_MOST_NAMES = 24  # of a legend
_NO_LETTERS = str.maketrans("", "", "$_^{}\\ ")  # of a formula
VALUES = "cividis"  # of matplotlib: for colour vision deficiencies (Nuñez, Anderton and Renslow, 2018)


def pyplot() -> Any:
    """Return matplotlib's pyplot."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    return plt


def color_map(name: str, colors: Sequence[str]) -> Any:
    """Return a colour map through the given colours."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(name, colors)


def new_axes(ax: Any, figsize: tuple[float, float] = (5.6, 4.6), **subplot: Any) -> Any:
    """Return `ax`, or the axes of a new figure with this `subplot`."""
    plt = pyplot()
    if ax is None:
        return plt.figure(figsize=figsize, layout="constrained").add_subplot(**subplot)
    if not hasattr(ax, "spines"):
        raise TypeError(f"ax must be None or one matplotlib Axes, got {type(ax).__name__}")
    in_space = subplot.get("projection") == "3d"
    if ax.name != ("3d" if in_space else "rectilinear"):
        needed = 'made with projection="3d"' if in_space else "of two dimensions"
        raise ValueError(f"ax must be axes {needed} for this picture, got {ax.name!r} axes")
    return ax


def bare(axes: Any) -> None:
    """Take away the part of the frame that says nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def legend(axes: Any, columns: int = 2, below: float = 3.6) -> Any:
    """Put a legend under the axes, where it hides no point: so many heights of its letters, to clear the label.

    As many columns, up to `columns`, as the axes have room for; long names are wrapped, too many are left out.
    """
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    handles, names = axes.get_legend_handles_labels()
    if len(names) > _MOST_NAMES:
        return None
    letter = 0.55 * FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points() / 72.0  # inches, about
    room = int(1.2 * axes.bbox.width / axes.figure.dpi / letter)  # it may reach under the labels
    mark = 9  # letters that a column has beside its names
    longest = max((len(name.translate(_NO_LETTERS)) for name in names), default=0)
    columns = max(1, min(columns, room // (longest + mark)))
    names = [fill(name, max(8, room - mark)) for name in names]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": below}
    return axes.legend(handles, names, ncols=columns, frameon=False, **place)


def scatter(axes: Any, points: NDArray[Any], codes: NDArray[Any] | None, names: Sequence[str]) -> list[Any]:
    """Draw points in the plane or in space; classes differ in colour and marker. One artist a class.

    `codes` that are no integers are values, shown by a colour map with its key: one artist for all.
    """
    style: dict[str, Any] = {"linewidth": 0.6, "s": 28, "zorder": 3}
    if axes.name == "3d":
        style["depthshade"] = False
    if codes is None:
        return [axes.scatter(*points.T, color=FAINT, edgecolor="white", **style)]
    if codes.dtype.kind == "f":
        values = axes.scatter(*points.T, c=codes, cmap=VALUES, edgecolor="white", **style)
        gap = 0.12 if axes.name == "3d" else 0.05  # in space a label stands beside the box
        axes.figure.colorbar(values, ax=axes, shrink=0.8, pad=gap, label="$y$")
        return [values]
    drawn = []
    for code, name in enumerate(names):
        turn = code // len(CLASS_COLORS)  # past the last colour each comes with another marker
        color, marker = CLASS_COLORS[code % len(CLASS_COLORS)], CLASS_MARKERS[(code + turn) % len(CLASS_MARKERS)]
        edge = INK if lightness(color) > 60.0 else "white"
        style.update(color=color, marker=marker, edgecolor=edge)
        drawn.append(axes.scatter(*points[codes == code].T, label=name, **style))
    return drawn


def lightness(color: str) -> float:
    """L* of CIELAB: how light a colour like "#0072B2" is, from 0 to 100; what remains of it in a grey print."""
    channels = np.array([int(color[i : i + 2], 16) / 255.0 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return 116.0 * luminance ** (1.0 / 3.0) - 16.0 if luminance > 0.008856 else 903.3 * luminance


def limits(points: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Return the least and the largest coordinates to show, and whether one unit is as long on both axes."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    extent = high - low
    extent[extent == 0.0] = extent.max() or 1.0
    equal = bool(extent.max() <= 4.0 * extent.min())
    margin = 0.12 * (extent.max() if equal else extent)
    return low - margin, high + margin, equal


def frame(axes: Any, low: NDArray[Any], high: NDArray[Any], equal: bool, names: Sequence[str]) -> None:
    """Set limits, aspect and labels of a picture of the input plane."""
    aspect = "equal" if equal else "auto"
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect=aspect, xlabel=names[0], ylabel=names[1])


def cells(n_rows: int, n_columns: int, gap: tuple[float, float], right: float) -> list[list[tuple[float, ...]]]:
    """Divide axes, up to `right`, into rows of rectangles (x, y, width, height), all in shares of the axes.

    `gap` is the share of a cell's width and height that is left free.
    """
    width, height = right / (n_columns - gap[0]), 1.0 / (n_rows - gap[1])
    inner = width * (1.0 - gap[0]), height * (1.0 - gap[1])
    return [[(j * width, 1.0 - i * height - inner[1], *inner) for j in range(n_columns)] for i in range(n_rows)]
