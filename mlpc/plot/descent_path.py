"""DescentPathDisplay: gradient descent over the contours of the objective in a plane of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlpc import _check
from mlpc._arrays import as_array, as_floats
from mlpc.plot import _style, _subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["DescentPathDisplay"]

_N_LEVELS = 16


class DescentPathDisplay:
    """The steps of gradient descent over the contours of the objective.

    The picture shows a plane in the space of the parameters: two of them, or two directions; all else is held. Descent
    stays in that plane, so that each step is along the negative gradient that the contours show. `from_network` makes
    one.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Coordinates of the grid in the plane.
    objective : ndarray of shape (grid_resolution, grid_resolution)
        The objective there.
    path : ndarray of shape (n_steps + 1, 2)
        Where descent was before, between and after its steps.
    axis_names : sequence of str
        What the coordinates are called.

    Attributes
    ----------
    contours_ : matplotlib.contour.ContourSet
        The lines.
    surface_ : matplotlib.contour.ContourSet
        The shades between them.
    arrows_ : matplotlib.quiver.Quiver
        The steps.
    line_ : matplotlib.lines.Line2D
        The path.
    start_, end_ : matplotlib.lines.Line2D
        Its ends.
    colorbar_ : matplotlib.colorbar.Colorbar
        The key.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where it was drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed, once something is drawn.

    Examples
    --------
    >>> import mlpc
    >>> from mlpc.plot import DescentPathDisplay
    >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0)
    >>> display = DescentPathDisplay.from_network(net, [[-1.0], [1.0]], [-1.0, 3.0], learning_rate=0.2, n_steps=30)
    >>> display.path[-1].round(3), display.ax_.get_xlabel()
    (array([2., 1.]), '$W^{(1)}_{1,1}$')
    """

    contours_: Any
    surface_: Any
    arrows_: Any
    line_: Any
    start_: Any
    end_: Any
    colorbar_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        xx0: NDArray[Any],
        xx1: NDArray[Any],
        objective: NDArray[np.float64],
        path: NDArray[np.float64],
        axis_names: Sequence[str],
    ) -> None:
        self.xx0, self.xx1, self.objective, self.path, self.axis_names = xx0, xx1, objective, path, axis_names

    @classmethod
    def from_network(
        cls,
        network: Network | Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        parameters: tuple[int, int] = (0, 1),
        directions: Literal["random"] | ArrayLike | None = None,
        seed: int | np.random.Generator | None = None,
        learning_rate: float = 0.1,
        n_steps: int = 30,
        path: ArrayLike | None = None,
        limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
        grid_resolution: int = 60,
        ax: Any = None,
    ) -> DescentPathDisplay:
        """Descend from the network's parameters, evaluate the objective around the path and draw.

        The network is not changed.

        Parameters
        ----------
        network : mlpc.Network or fitted estimator
            With at least two parameters; descent starts where they are.
        X, y : array-like
            Data of the objective, as in `Network.fit`; an estimator's labels are looked up in its classes.
        parameters : pair of int, default=(0, 1)
            The two parameters of the plane, as places in `network.parameters`;
            `network.unpack(numpy.arange(network.n_parameters))` tells which those are.
        directions : "random" or array-like of shape (2, n_parameters), optional
            Two directions instead, from the network's parameters on; random ones are orthogonal and of length 1.
        seed : int or numpy.random.Generator, optional
            Of the random directions.
        learning_rate : float, default=0.1
            Of the descent.
        n_steps : int, default=30
            Its steps, at least 1, each with the gradient over all rows.
        path : array-like of shape (n_points, n_parameters), optional
            The parameters along a training run of yours, drawn instead of a descent by its projection on the plane; the
            plane is then laid through the last of them.
        limits : pair of pairs of float, optional
            ((left, right), (bottom, top)); around the path unless given.
        grid_resolution : int, default=60
            Points along each side of the grid on which the objective is evaluated; at least 2.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        DescentPathDisplay
            Drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range, or descent diverges.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Planes along random directions: Li et al. (2018), "Visualizing the loss landscape of neural nets".

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import DescentPathDisplay
        >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> display = DescentPathDisplay.from_network(net, X, y, directions="random", seed=0, grid_resolution=20)
        >>> display.path.shape
        (31, 2)
        """
        net = _subject.as_network(network)
        y = _subject.as_targets(network, net, y)
        n = net.n_parameters
        if n < 2:
            raise ValueError(f"{cls.__name__} draws two parameters, the network has {n}")
        run = None if path is None else _run(path, n)
        origin = np.array(net.parameters if run is None else run[-1], dtype=np.float64)
        if directions is None:
            basis, names = _two_parameters(net, parameters)
            origin = origin - basis.T @ (basis @ origin)  # so that coordinates are the parameters' values
        else:
            basis, names = _two_directions(directions, n, seed), ["direction 1", "direction 2"]

        def at(place: NDArray[np.float64]) -> NDArray[Any]:
            return origin + place @ basis

        if run is None:
            rate, steps = _check.real("learning_rate", learning_rate, gt=0), _check.integer("n_steps", n_steps, 1)
            start = np.array(net.parameters, dtype=np.float64) @ basis.T if directions is None else np.zeros(2)
            places = [start]
            for step in range(1, steps + 1):
                with np.errstate(over="ignore", invalid="ignore"):
                    place = places[-1] - rate * (basis @ net.gradient(X, y, parameters=at(places[-1])))
                if not np.isfinite(place).all() or np.abs(place).max() > 1e9:
                    raise ValueError(
                        f"learning_rate must let descent converge, with {rate:g} it diverged in step {step}"
                    )
                places.append(place)
            track = np.array(places)
        else:
            track = np.linalg.lstsq(basis.T, (run - origin).T, rcond=None)[0].T
        low, high = _limits(limits, track)
        xx0, xx1 = _subject.plane_grid(low, high, grid_resolution)
        places_ = np.stack([xx0.ravel(), xx1.ravel()], axis=-1)
        values = np.array([net.objective(X, y, parameters=at(place)) for place in places_])
        return cls(xx0=xx0, xx1=xx1, objective=values.reshape(xx0.shape), path=track, axis_names=names).plot(ax)

    def plot(self, ax: Any = None) -> DescentPathDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        DescentPathDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.plot import DescentPathDisplay
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0)
        >>> display = DescentPathDisplay.from_network(net, [[0.0], [1.0]], [1.0, 3.0], grid_resolution=20)
        >>> display.plot().colorbar_.ax.get_ylabel()
        'objective'
        """
        axes = _style.new_axes(ax)
        least, most = float(np.nanmin(self.objective)), float(np.nanmax(self.objective))
        most = most if most > least else least + 1.0
        # Squares, so that the contours of a bowl are equally far apart.
        levels = least + (most - least) * np.linspace(0.0, 1.0, _N_LEVELS) ** 2
        fill: dict[str, Any] = {"levels": levels, "cmap": _style.VALUES, "alpha": 0.85}
        self.surface_ = axes.contourf(self.xx0, self.xx1, self.objective, **fill)
        line: dict[str, Any] = {"levels": levels[1:-1], "colors": ["white"], "linewidths": 0.7}
        self.contours_ = axes.contour(self.xx0, self.xx1, self.objective, **line)
        edge: dict[str, Any] = {"color": "white", "markeredgecolor": _style.INK, "linestyle": "", "zorder": 5}
        (self.line_,) = axes.plot(*self.path.T, color=_style.INK, linewidth=2.6, zorder=3)
        steps = np.diff(self.path, axis=0)
        arrow = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.006, "minlength": 0.0, "zorder": 4}
        outline = {"color": "white", "edgecolor": _style.INK, "linewidth": 0.5}
        self.arrows_ = axes.quiver(*self.path[:-1].T, *steps.T, **arrow, **outline)
        (self.start_,) = axes.plot(*self.path[:1].T, marker="o", markersize=8, label="start", **edge)
        (self.end_,) = axes.plot(*self.path[-1:].T, marker="*", markersize=14, label="end", **edge)
        self.colorbar_ = axes.figure.colorbar(self.surface_, ax=axes, shrink=0.8, label="objective")
        self.colorbar_.set_ticks(levels[::3], labels=_distinct(levels[::3]))
        low, high = (np.array([grid.flat[i] for grid in (self.xx0, self.xx1)]) for i in (0, -1))
        extent = high - low
        _style.frame(axes, low, high, bool(extent.max() <= 4.0 * extent.min()), self.axis_names)
        axes.locator_params(axis="x", nbins=4)  # a short path far from 0 has long labels
        _style.legend(axes, 2)
        self.ax_, self.figure_ = axes, axes.figure
        return self


def _distinct(values: NDArray[np.float64]) -> list[str]:
    """Write numbers with as many digits as tell them apart, four at least."""
    for digits in range(4, 17):
        labels = [f"{value:#.{digits}g}" for value in values]
        if len({*labels}) == len(labels):
            break
    return labels


def _floats(name: str, value: Any) -> NDArray[np.float64]:
    return as_floats(as_array(value, name), np.dtype(np.float64))


def _run(path: ArrayLike, n: int) -> NDArray[np.float64]:
    run = _floats("path", path)
    if run.ndim != 2 or run.shape[1] != n or len(run) < 2:
        raise ValueError(f"path must be of shape (n_points, {n}), two points or more, got {run.shape}")
    if not np.isfinite(run).all():
        raise ValueError("path must be finite, got NaN or infinity")
    return run


def _two_parameters(net: Network, parameters: Any) -> tuple[NDArray[np.float64], list[str]]:
    if not _check.is_list(parameters) or len(parameters) != 2:
        raise TypeError(f"parameters must be two places in the parameters, got {parameters!r}")
    first, second = (
        _check.integer(f"parameters[{i}]", place, 0, net.n_parameters - 1) for i, place in enumerate(parameters)
    )
    if first == second:
        raise ValueError(f"parameters must be two different places, got {parameters!r}")
    basis = np.zeros((2, net.n_parameters))
    basis[0, first] = basis[1, second] = 1.0
    return basis, [_parameter_name(net, place) for place in (first, second)]


def _parameter_name(net: Network, place: int) -> str:
    weights, biases = net.unpack(np.arange(net.n_parameters, dtype=net.dtype))
    for letter, arrays in (("W", weights), ("b", biases)):
        for layer, array in enumerate(arrays, start=1):
            found = np.argwhere(array == place)
            if len(found):
                return f"${letter}^{{({layer})}}_{{{','.join(str(i + 1) for i in found[0])}}}$"
    raise IndexError(place)


def _two_directions(directions: Any, n: int, seed: int | np.random.Generator | None) -> NDArray[np.float64]:
    if isinstance(directions, str):
        _check.choice("directions", directions, ("random",))
        if seed is not None and not isinstance(seed, np.random.Generator):
            seed = _check.integer("seed", seed, 0, np.inf)
        drawn = np.random.default_rng(seed).normal(size=(n, 2))
        return np.ascontiguousarray(np.linalg.qr(drawn)[0].T)
    basis = _floats("directions", directions)
    if basis.shape != (2, n):
        raise ValueError(f"directions must be of shape (2, {n}), got {basis.shape}")
    if not np.isfinite(basis).all() or np.linalg.matrix_rank(basis) < 2:
        raise ValueError("directions must be two finite directions that span a plane")
    return basis


def _limits(limits: Any, track: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if limits is None:
        low, high = track.min(axis=0), track.max(axis=0)
        half = 0.7 * float((high - low).max()) or 1.0
        middle = (low + high) / 2.0
        return middle - half, middle + half
    bounds = _floats("limits", limits)
    if bounds.shape != (2, 2) or not np.isfinite(bounds).all() or (bounds[:, 0] >= bounds[:, 1]).any():
        raise ValueError(f"limits must be ((left, right), (bottom, top)), each pair rising, got {limits!r}")
    return bounds[:, 0], bounds[:, 1]
