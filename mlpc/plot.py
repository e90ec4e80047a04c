"""Pictures of two-dimensional classification: the data, what hidden units see, what the network decides.

Provisional: names and arguments may change before this becomes part of the public interface. matplotlib is imported by
the first call, not by `import mlpc`. Every function draws on `ax`, or on a figure of its own, and returns the axes.

Classes differ in colour and in marker, lines in colour and in dashes; the colours, from Okabe and Ito's palette,
stay apart under the common colour vision deficiencies.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from mpl_toolkits.mplot3d.axes3d import Axes3D
    from numpy.typing import ArrayLike, NDArray

    from mlpc.history import History
    from mlpc.network import Network

__all__ = ["data", "decision_boundary", "hidden_classifiers", "hidden_space", "loss_curve"]

CLASS_COLORS = ("#0072B2", "#D55E00")
CLASS_SHADES = ("#8FC1E3", "#FFFFFF", "#F2B48C")
CLASS_MARKERS = ("o", "^")
LINE_COLORS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINE_STYLES = ("-", "--", "-.", ":")
INK = "#333333"


def data(X: ArrayLike, y: ArrayLike, *, ax: Axes | None = None, names: tuple[str, str] = ("$x_1$", "$x_2$")) -> Axes:
    """Scatter two classes of points in the plane.

    Parameters
    ----------
    X : array_like of shape (n_samples, 2)
        The points.
    y : array_like of shape (n_samples,)
        0 or 1.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; a new figure by default.
    names : pair of str, default=("$x_1$", "$x_2$")
        What the two features are called.

    Returns
    -------
    matplotlib.axes.Axes
    """
    points, labels = _points(X, y, 2)
    axes = _axes(ax)
    _scatter(axes, points, labels)
    low, high = _limits(points)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel=names[0], ylabel=names[1])
    _legend(axes, columns=2)
    return axes


def loss_curve(history: History, *, ax: Axes | None = None, n_samples: int = 1) -> Axes:
    """Draw the loss of every epoch, and the validation loss where there is one.

    Parameters
    ----------
    history : mlpc.History
        Of a network that was trained.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; a new figure by default.
    n_samples : int, default=1
        Divides the loss: the number of samples turns the sum over a batch into its mean.

    Returns
    -------
    matplotlib.axes.Axes
    """
    axes = _axes(ax)
    axes.plot(history.epochs, history.loss / n_samples, color=CLASS_COLORS[0], label="training")
    if np.isfinite(history.validation_loss).any():
        axes.plot(history.epochs, history.validation_loss / n_samples, "--", color=CLASS_COLORS[1], label="validation")
        axes.legend()
    axes.set(xlabel="epoch", ylabel="mean loss" if n_samples > 1 else "loss")
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.01)
    axes.grid(alpha=0.25)
    return axes


def decision_boundary(
    net: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    ax: Axes | None = None,
    names: tuple[str, str] = ("$x_1$", "$x_2$"),
    resolution: int = 200,
) -> Axes:
    """Shade the plane by the probability of class 1, with the boundary at one half, under the data.

    Parameters
    ----------
    net : mlpc.Network
        With two inputs and one sigmoid output.
    X : array_like of shape (n_samples, 2)
        The points.
    y : array_like of shape (n_samples,)
        0 or 1.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; a new figure by default.
    names : pair of str, default=("$x_1$", "$x_2$")
        What the two features are called.
    resolution : int, default=200
        Points along each side of the grid on which the network is evaluated.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.colors import LinearSegmentedColormap

    points, _ = _points(X, y, 2)
    low, high = _limits(points)
    across, up = np.meshgrid(*(np.linspace(a, b, resolution) for a, b in zip(low, high, strict=True)))
    probability = net.predict_proba(np.column_stack([across.ravel(), up.ravel()])).reshape(across.shape)
    axes = data(X, y, ax=ax, names=names)
    image = axes.imshow(
        probability,
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        cmap=LinearSegmentedColormap.from_list("classes", CLASS_SHADES),
        vmin=0.0,
        vmax=1.0,
        interpolation="bilinear",
    )
    if probability.min() < 0.5 < probability.max():
        axes.contour(across, up, probability, levels=[0.5], colors=[INK], linewidths=1.5)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, label="probability of class 1")
    bar.ax.axhline(0.5, color=INK, linewidth=1.5)
    return axes


def hidden_classifiers(net: Network, X: ArrayLike, y: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw each unit of the first layer as the line where its input is zero; the arrow points to its positive side.

    Parameters
    ----------
    net : mlpc.Network
        With two inputs.
    X : array_like of shape (n_samples, 2)
        The points.
    y : array_like of shape (n_samples,)
        0 or 1.
    ax : matplotlib.axes.Axes, default=None
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    points, _ = _points(X, y, 2)
    low, high = _limits(points)
    axes = data(X, y, ax=ax)
    reach = float(np.linalg.norm(high - low))
    biases = net.biases[0] if net.biases else np.zeros(net.layer_sizes[1])
    for unit, (weight, bias) in enumerate(zip(net.weights[0].T, biases, strict=True)):
        norm = float(np.linalg.norm(weight))
        if norm == 0.0:
            continue
        normal = weight / norm
        foot = -bias / norm * normal  # the point of the line nearest to the origin
        along = np.array([-normal[1], normal[0]])
        ends = np.stack([foot - reach * along, foot + reach * along])
        color = LINE_COLORS[unit % len(LINE_COLORS)]
        style = LINE_STYLES[unit % len(LINE_STYLES)]
        axes.plot(*ends.T, style, color=color, linewidth=2.0, label=rf"$w_{{{unit + 1}}}^T x + b_{{{unit + 1}}} = 0$")
        arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 2.0}
        axes.annotate("", foot + 0.08 * reach * normal, foot, arrowprops=arrow)
    _legend(axes, columns=3)
    return axes


def hidden_space(net: Network, X: ArrayLike, y: ArrayLike, *, ax: Axes3D | None = None) -> Axes3D:
    """Show the data as the last hidden layer of three sigmoid units sees it, with the plane of the output unit.

    The plane is where the output's input is zero: the points on its two sides are predicted as different classes.

    Parameters
    ----------
    net : mlpc.Network
        With a last hidden layer of three units and one output.
    X : array_like of shape (n_samples, n_features)
        The points.
    y : array_like of shape (n_samples,)
        0 or 1.
    ax : mpl_toolkits.mplot3d.axes3d.Axes3D, default=None
        Where to draw; a new figure by default.

    Returns
    -------
    mpl_toolkits.mplot3d.axes3d.Axes3D
    """
    from matplotlib import pyplot as plt
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    points, labels = _points(net.transform(np.asarray(X)), y, 3)
    axes: Any = plt.figure(figsize=(5.6, 5.0)).add_subplot(projection="3d") if ax is None else ax
    bias = float(net.biases[-1][0]) if net.biases else 0.0
    normal = net.weights[-1][:, 0].astype(np.float64)
    corners = _plane_in_cube(normal, bias)
    if len(corners) >= 3:
        plane = Poly3DCollection([corners], facecolor=INK, edgecolor=INK, alpha=0.18)
        axes.add_collection3d(plane)
    _scatter(axes, points, labels)
    axes.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1), xlabel="$h_1$", ylabel="$h_2$", zlabel="$h_3$")
    axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), zticks=(0, 0.5, 1))
    axes.set_box_aspect(None, zoom=1.1)
    # Look along the plane, a little from above, so that it is seen nearly edge on between the classes.
    azimuth = float(np.degrees(np.arctan2(normal[1], normal[0]))) + 75.0
    axes.view_init(elev=18.0, azim=azimuth)
    _legend(axes, columns=2, below=-0.07)
    return axes


def _plane_in_cube(normal: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
    """Corners, in order, of the polygon that the plane normal · h + bias = 0 cuts out of the unit cube."""
    found = []
    for axis in range(3):
        others = [i for i in range(3) if i != axis]
        if normal[axis] == 0.0:
            continue
        for sides in product((0.0, 1.0), repeat=2):
            corner = np.zeros(3)
            corner[others] = sides
            corner[axis] = -(bias + normal[others] @ np.array(sides)) / normal[axis]
            if 0.0 <= corner[axis] <= 1.0:
                found.append(corner)
    if len(found) < 3:
        return np.empty((0, 3))
    corners = np.array(found)
    offsets = corners - corners.mean(axis=0)
    first = offsets[0] / np.linalg.norm(offsets[0])
    second = np.cross(normal / np.linalg.norm(normal), first)
    return corners[np.argsort(np.arctan2(offsets @ second, offsets @ first))]


def _points(X: ArrayLike, y: ArrayLike, n_columns: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """X and y as arrays that can be drawn."""
    points, labels = np.asarray(X), np.asarray(y).reshape(-1)
    if points.ndim != 2 or points.shape[1] != n_columns:
        raise ValueError(f"there must be {n_columns} columns to draw, got an array of shape {points.shape}")
    if len(labels) != len(points):
        raise ValueError(f"y must have one label for each of the {len(points)} rows of X, got {len(labels)}")
    return points, labels


def _axes(ax: Axes | None) -> Axes:
    """Axes to draw on, without the frame that carries no information."""
    from matplotlib import pyplot as plt

    axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")[1] if ax is None else ax
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _scatter(axes: Any, points: NDArray[Any], labels: NDArray[Any]) -> None:
    """Both classes, told apart by colour and by marker."""
    for label, (color, marker) in enumerate(zip(CLASS_COLORS, CLASS_MARKERS, strict=True)):
        chosen = points[labels == label]
        style = {"color": color, "marker": marker, "edgecolor": "white", "linewidth": 0.5, "s": 28}
        if axes.name == "3d":
            style["depthshade"] = False
        axes.scatter(*chosen.T, label=f"class {label}", zorder=3, **style)


def _legend(axes: Any, columns: int, below: float = -0.13) -> None:
    """A legend under the axes, where it hides no point."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=columns, frameon=False)


def _limits(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The corner of the least and of the largest coordinates, with a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low).max()
    return low - margin, high + margin
