"""check_gradient: the gradient of the objective against central differences, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpc import _check
from mlpc._arrays import as_array, is_csr
from mlpc.losses import Huber
from mlpc.network import check_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from mlpc.network import Network

__all__ = ["GradientCheck", "check_gradient"]

# The function or its slope: a central difference across a kink of the slope is off by a part of the step.
_KINKED_AT_ZERO = ("relu", "leaky_relu", "elu", "selu", "softsign")
_KINKED_LOSSES = ("absolute_error", "quantile")
_EPS = float(np.finfo(np.float64).eps)
_TOLERANCE = 1e-6
_HALVINGS = 12  # of a step that is too long, at most
_ROUNDINGS = 64  # of the objective's last place: what its values may be off by, within the default tolerance
_LEAST = 1e-300  # that an error is relative to


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found; true where the check passed.

    Attributes
    ----------
    passed : bool
        Whether something was compared, and `max_relative_error` <= `tolerance`.
    max_relative_error : float
        The largest one over the parameters checked.
    worst : tuple (kind, position, index) or None
        Where it is: "weights" or "biases", the position in `net.weights` or `net.biases`, the index within that array.
    n_checked, n_skipped : int
        Parameters compared, and those whose step crosses a kink of an activation, a loss or the L1 penalty.
    step : float or None
        The step given; None: chosen for each parameter.
    tolerance : float
        The largest relative error that passes.
    gradient, difference : float
        The two values at the worst place, the second as extrapolated where it was.

    Examples
    --------
    >>> import mlpc
    >>> net = mlpc.Network([2, 3, 1], loss="squared_error", hidden_activation="tanh", seed=0)
    >>> bool(mlpc.check_gradient(net, [[1.0, 2.0]], [0.5]))
    True
    """

    passed: bool
    max_relative_error: float
    worst: tuple[str, int, tuple[int, ...]] | None
    n_checked: int
    n_skipped: int
    step: float | None
    tolerance: float
    gradient: float
    difference: float

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        head = f"GradientCheck({'passed' if self.passed else 'FAILED'}: "
        counts = f"{self.n_checked} parameters checked, {self.n_skipped} skipped at kinks"
        if self.worst is None:
            return f"{head}{counts})"
        kind, position, index = self.worst
        return (
            f"{head}largest relative error {self.max_relative_error:.3g}, tolerance {self.tolerance:g}, at "
            f"{kind}[{position}][{', '.join(map(str, index))}]: gradient {self.gradient:.10g}, "
            f"central difference {self.difference:.10g}; {counts})"
        )


def check_gradient(
    net: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    step: float | None = None,
    tolerance: float | None = None,
) -> GradientCheck:
    """Compare the gradient by the parameters with central differences of the objective.

    Always in float64, on a copy; the network is unchanged. A parameter is skipped where its step changes the side on
    which a unit, a difference or, under l1, a weight is of a kink, also of one of the slope, as those of elu and Huber.

    Parameters
    ----------
    net : Network
        At its parameters.
    X, y : array-like
        As in `Network.fit`; few rows suffice.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.
    step : float, optional
        Step h of the differences, > 0; ``eps^(1/3) max(1, |w|)`` for each parameter w unless given, and smaller ones
        where that is too long.
    tolerance : float, optional
        Largest relative error that passes, > 0; 1e-6 unless given.

    Returns
    -------
    GradientCheck
        True where it passed; `max_relative_error` and `worst` say how well and where not.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type, shape or range, or the objective is not finite there.

    Notes
    -----
    The relative error of gradient a and difference ``d = (f(w + h) - f(w - h)) / 2h`` is
    ``|a - d| / max(|a|, |d|, r)`` with ``r = 1e6 · 64 eps |f| / 2h``: what rounding of f alone explains is an error
    within the default tolerance. (In place of f of the Poisson loss, whose terms cancel, stands their sum.) Where it is
    larger than that and no step is given, as where f is sharply curved, d is what ever smaller steps tend to: Ridders'
    extrapolation [1]_, which does not look at a. At last r is no less than the larger ``|f(w ± h) - f(w)| / h``: at a
    minimum a and d are both next to nothing beside that.

    References
    ----------
    .. [1] C. J. F. Ridders (1982), "Accurate computation of F'(x) and F'(x) F''(x)". Advances in Engineering Software
       4, 75-76.

    Examples
    --------
    >>> import mlpc
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", hidden_activation="sigmoid", seed=0)
    >>> result = mlpc.check_gradient(net, [[0.0, 1.0], [1.0, 1.0]], [0, 1])
    >>> result.passed, result.n_checked
    (True, 13)
    """
    check_network(net)
    step = None if step is None else _check.real("step", step, gt=0)
    tolerance = _TOLERANCE if tolerance is None else _check.real("tolerance", tolerance, gt=0)
    rows: Any = X if is_csr(X, "X") else as_array(X, "X")
    targets = as_array(y, "y")
    probe = net.copy("float64")
    gradient = probe.gradient(rows, targets, sample_weight=sample_weight)  # checks all three
    value = probe.objective(rows, targets, sample_weight=sample_weight)
    if not np.isfinite(value):
        raise ValueError(f"net, X, y: their objective must be finite for differences to say anything, got {value}")
    sides = _Sides(probe, rows, targets)
    parameters, start = probe.parameters, probe.parameters.copy()

    # Of y = 0 the objective is the sum of the outputs, to which half of a Poisson loss's terms come, and the penalties.
    terms = 0.0
    if probe._spec.loss_name == "poisson":
        terms = 2 * probe.objective(rows, np.zeros_like(targets), sample_weight=sample_weight)

    def difference(i: int, h: float) -> _Difference:
        values, smooth = [], True
        for shifted in (start[i] + h, start[i] - h):
            parameters[i] = shifted
            values.append(probe.objective(rows, targets, sample_weight=sample_weight))
            smooth = smooth and sides.unchanged()
        parameters[i] = start[i]
        width = (start[i] + h) - (start[i] - h)  # as rounded
        rounding = _ROUNDINGS * _EPS * max(terms, *map(abs, values)) / width
        change = max(abs(f - value) for f in values) / h
        return _Difference((values[0] - values[1]) / width if smooth else np.nan, rounding / _TOLERANCE, change)

    differences, errors = np.zeros((2, start.size))
    for i, a in enumerate(gradient):
        h = np.cbrt(_EPS) * max(1.0, abs(start[i])) if step is None else step
        found = difference(i, h)
        if step is None and _error(a, found.value, found.rounding) > _TOLERANCE:
            found = _extrapolated(partial(difference, i), found, h)
        differences[i] = found.value
        errors[i] = _error(a, found.value, max(found.rounding, found.change))
    checked = ~np.isnan(differences)
    if not checked.any():
        return GradientCheck(False, np.nan, None, 0, start.size, step, tolerance, np.nan, np.nan)
    at = int(np.argmax(np.where(checked, np.where(np.isnan(errors), np.inf, errors), -1.0)))
    largest = float(errors[at])
    return GradientCheck(
        passed=largest <= tolerance,
        max_relative_error=largest,
        worst=_place(probe, at),
        n_checked=int(checked.sum()),
        n_skipped=int((~checked).sum()),
        step=step,
        tolerance=tolerance,
        gradient=float(gradient[at]),
        difference=float(differences[at]),
    )


class _Difference(NamedTuple):
    """A central difference of the objective f, with what its error is relative to at least."""

    value: float  # NaN across a kink
    rounding: float  # for that of f to be within the tolerance
    change: float  # |f(w ± h) - f(w)| / h


def _error(gradient: float, difference: float, least: float) -> float:
    """Return the relative error; `least`: what it is relative to where both are smaller."""
    return abs(gradient - difference) / max(abs(gradient), abs(difference), least, _LEAST)


def _extrapolated(difference: Callable[[float], _Difference], first: _Difference, h: float) -> _Difference:
    """Return what central differences of halved steps tend to, as far as rounding shows it.

    `first` is the difference of h.
    """
    row, best, settled = [first.value], first, np.inf
    for _ in range(_HALVINGS):
        h /= 2
        above, now = row, difference(h)
        row = [now.value]
        for power, left in enumerate(above, 1):  # Neville's scheme in h^2
            row.append(row[-1] + (row[-1] - left) / (4.0**power - 1))
            change = max(abs(row[-1] - row[-2]), abs(row[-1] - left))
            if change <= settled:
                best, settled = now._replace(value=row[-1]), change
        if abs(row[-1] - above[-1]) >= 2 * settled:
            break
    return best


class _Sides:
    """On which side of its kink everything is that has one, at first and now."""

    def __init__(self, net: Network, X: Any, y: NDArray[Any]) -> None:
        spec = net._spec
        self._net, self._X = net, X
        self._layers = [i + 1 for i, name in enumerate(spec.activations) if name in _KINKED_AT_ZERO]
        self._kinks: tuple[float, ...] = ()  # of the loss, as differences a - y
        if spec.loss_name in _KINKED_LOSSES:
            self._kinks = (0.0,)
        elif spec.loss_name == Huber.name:
            (delta,) = spec.loss_parameters or Huber().parameters()
            self._kinks = (-delta, delta)
        self._y = y.reshape(len(y), -1) if self._kinks else y
        self._penalized = spec.l1 > 0
        self._first = self._now()

    def _now(self) -> list[NDArray[Any]]:
        sides = []
        if self._layers or self._kinks:
            activations = self._net.activations(self._X)
            sides = [np.sign(activations[layer]) for layer in self._layers]  # a and z have one sign
            sides += [np.sign(activations[-1] - self._y - kink) for kink in self._kinks]
        if self._penalized:
            sides += [np.sign(weights) for weights in self._net.weights]
        return sides

    def unchanged(self) -> bool:
        """Whether the network is still on the sides it was on at first."""
        return all(map(np.array_equal, self._first, self._now()))


def _place(net: Network, at: int) -> tuple[str, int, tuple[int, ...]]:
    """Return kind, position and index of a parameter by its place in the flat vector."""
    marked = np.zeros(net.n_parameters)
    marked[at] = 1
    for kind, arrays in zip(("weights", "biases"), net.unpack(marked), strict=True):
        for position, array in enumerate(arrays):
            if array.any():
                return kind, position, tuple(int(i[0]) for i in np.nonzero(array))
    raise IndexError(f"there is no parameter {at}")
