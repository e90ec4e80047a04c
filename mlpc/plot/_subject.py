"""What a picture is of, checked: a network, or a fitted estimator's; its data; what classes and features are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check
from mlpc._arrays import as_array, is_frame
from mlpc.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def as_network(value: Any) -> Network:
    """Return the network itself, or that of a fitted estimator."""
    found = getattr(value, "network_", value)
    if not isinstance(found, Network):
        expected = "an mlpc.Network or a fitted estimator of mlpc.estimators"
        hint = ""
        if hasattr(value, "named_steps"):
            hint = ": give its last step, pipeline[-1], and the data that this sees"
        elif hasattr(value, "get_params"):
            ours = any(cls.__module__.startswith("mlpc.") for cls in type(value).__mro__)
            hint = ", which is not fitted" if ours else f" of {type(value).__module__}"
        raise TypeError(f"network must be {expected}, got {type(value).__name__}{hint}")
    return found


def as_points(network: Network, X: ArrayLike) -> NDArray[Any]:
    """Return X as an array of finite rows that the network takes."""
    points, n_inputs = as_array(X, "X"), network.layer_sizes[0]
    if points.ndim == 2 and len(points) == 0:
        raise ValueError(f"X must have at least one row to be drawn, got shape {points.shape}")
    if points.ndim != 2 or points.shape[1] != n_inputs:
        expected = f"of shape (n_samples, {n_inputs}), as many columns as the network has inputs"
        raise ValueError(f"X must be {expected}, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("X must be finite to be drawn, got NaN or infinity")
    return points


def as_plane(network: Network, X: ArrayLike, picture: str) -> NDArray[Any]:
    """Return X for a picture of the input plane."""
    if network.layer_sizes[0] != 2:
        raise ValueError(f"{picture} draws a network of two inputs, got one of {network.layer_sizes[0]}")
    return as_points(network, X)


def as_codes(source: Any, network: Network, y: ArrayLike | None, n_rows: int) -> NDArray[np.int64] | None:
    """Return each row's class as a number from 0; an estimator's labels are looked up in its classes."""
    if y is None:
        return None
    classes = getattr(source, "classes_", None)
    labels = np.asarray(y) if classes is not None else as_array(y, "y")
    if labels.ndim == 2 and labels.shape[1] == network.layer_sizes[-1] > 1 and network.output_activation == "softmax":
        labels, classes = labels.argmax(axis=1), None
    if labels.size != n_rows or labels.shape not in ((n_rows,), (n_rows, 1)):
        hint = ": give one column of it, or none" if labels.ndim == 2 and len(labels) == n_rows else ""
        raise ValueError(f"y must have one label for each of the {n_rows} rows of X, got shape {labels.shape}{hint}")
    labels = labels.reshape(-1)
    if classes is not None:
        known = np.asarray(classes)
        unknown = ~np.isin(labels, known)
        if unknown.any():
            raise ValueError(f"y must hold the estimator's classes {known.tolist()}, got {labels[unknown][0]!r}")
        return np.searchsorted(known, labels).astype(np.int64)
    n_classes = number_of_classes(network)
    most = np.inf if n_classes is None else n_classes - 1
    wrong = ~((labels >= 0) & (labels <= most) & (labels == np.floor(labels)))
    if wrong.any():
        last = "" if n_classes is None else f" to {most}"
        raise ValueError(f"y must hold classes as whole numbers from 0{last}, got {labels[wrong][0]}")
    return labels.astype(np.int64)


def as_codes_or_values(source: Any, network: Network, y: ArrayLike | None, n_rows: int) -> NDArray[Any] | None:
    """Return classes as `as_codes` does, or the targets of a regression in float64.

    Whole numbers below ten count as classes there too: a line may be fitted to labels.
    """
    if y is None or hasattr(source, "classes_") or network.output_activation in ("sigmoid", "softmax"):
        return as_codes(source, network, y, n_rows)
    values = as_array(y, "y").astype(np.float64)
    if values.shape not in ((n_rows,), (n_rows, 1)) or np.isin(values, np.arange(10.0)).all():
        return as_codes(source, network, y, n_rows)
    if not np.isfinite(values).all():
        raise ValueError("y must be finite to be drawn, got NaN or infinity")
    return values.reshape(-1)


def as_targets(source: Any, network: Network, y: ArrayLike) -> ArrayLike:
    """Return y as the network takes it: an estimator's labels become numbers, all else stays."""
    classes = getattr(source, "classes_", None)
    if classes is None or (np.ndim(y) == 2 and np.shape(y)[1] > 1):
        return y
    codes = as_codes(source, network, y, len(np.asarray(y)))
    return y if codes is None else codes


def number_of_classes(network: Network) -> int | None:
    """Return how many classes the outputs tell apart; None where that is not known."""
    n_outputs = network.layer_sizes[-1]
    if network.output_activation == "softmax":
        return n_outputs
    return 2 if n_outputs == 1 and network.output_activation == "sigmoid" else None


def class_labels(source: Any, network: Network, codes: NDArray[Any] | None, given: Sequence[str] | None) -> list[str]:
    """Return what the classes are called: as given, as the estimator's labels say, or by number."""
    in_data = 0 if codes is None or codes.dtype.kind == "f" else int(codes.max()) + 1
    n_classes = number_of_classes(network) or in_data
    return output_labels(source, n_classes, given)


def output_labels(source: Any, n: int, given: Sequence[str] | None) -> list[str]:
    """Return what n classes are called."""
    if (names := checked_names("class_names", given, n)) is not None:
        return names
    classes = getattr(source, "classes_", None)
    labels = range(n) if classes is None or len(classes) != n else classes
    return [f"class {label}" if isinstance(label, (int, float, np.number)) else literal(label) for label in labels]


def feature_labels(network: Network, X: Any, given: Sequence[str] | None) -> list[str]:
    """Return what the inputs are called: as given, as a frame's columns are, or by number."""
    n_inputs = network.layer_sizes[0]
    if (names := checked_names("feature_names", given, n_inputs)) is not None:
        return names
    columns = getattr(X, "columns", None)
    return [f"$x{subscript(i)}$" for i in range(n_inputs)] if columns is None else [literal(name) for name in columns]


def literal(name: object) -> str:
    """Return a name from the data as text in which dollars are no formulas."""
    return str(name).replace("$", r"\$")


def subscript(i: int) -> str:
    """Return the index of what is number i from 0, as formulas count from 1."""
    return f"_{i + 1}" if i < 9 else f"_{{{i + 1}}}"


def activation(network: Network, layer: int) -> str:
    """Return the name of the activation of layer 1, ..., L."""
    return network._spec.activations[layer - 1]


def unit_symbol(network: Network, layer: int, unit: int) -> str:
    """Return what a unit is called in formulas: inputs x, hidden units h, outputs y with a hat. `unit` is from 0."""
    last = len(network.weights)
    if layer == 0:
        return f"$x{subscript(unit)}$"
    if layer == last:
        return r"$\hat{y}$" if network.layer_sizes[-1] == 1 else rf"$\hat{{y}}{subscript(unit)}$"
    return f"$h{subscript(unit)}$" if last == 2 else f"$h^{{({layer})}}{subscript(unit)}$"


def checked_names(argument: str, names: Any, n: int) -> list[str] | None:
    """Return n names as strings; None as it is."""
    if names is None:
        return None
    if not (_check.is_list(names) or is_frame(names)):  # a frame's columns are an index
        raise TypeError(f"{argument} must be a sequence of {n} names, got {names!r}")
    if len(names) != n:
        raise ValueError(f"{argument} must have {n} names, got {len(names)}")
    return [str(name) for name in names]


def plane_grid(low: NDArray[Any], high: NDArray[Any], resolution: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the coordinates of a grid over the input plane, two arrays of shape (resolution, resolution)."""
    resolution = _check.integer("grid_resolution", resolution, 2)
    first, second = np.meshgrid(*(np.linspace(a, b, resolution) for a, b in zip(low, high, strict=True)))
    return first, second


def grid_extent(first: NDArray[Any], second: NDArray[Any]) -> tuple[float, float, float, float]:
    """Return the edges of an image whose pixels are centred on the points of a grid."""
    half = 0.5 * (first[0, 1] - first[0, 0]), 0.5 * (second[1, 0] - second[0, 0])
    return (first[0, 0] - half[0], first[0, -1] + half[0], second[0, 0] - half[1], second[-1, 0] + half[1])
