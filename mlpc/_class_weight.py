"""Class weights: from a dict or "balanced" to one number a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlpc._spec import Spec

_PIECE = 1 << 20  # rows
_EXPECTED = 'class_weight must be None, "balanced" or a dict from label to weight'


def as_class_weight(value: object, y: NDArray[Any], spec: Spec) -> NDArray[np.float64]:
    """Return the weight of each label 0..K-1, after checking that `y` has one label a row."""
    if isinstance(value, str):
        if value != "balanced":
            raise ValueError(f"{_EXPECTED}, got {value!r}")
    elif not isinstance(value, Mapping):
        raise TypeError(f"{_EXPECTED}, got {value!r}")
    n_classes = _n_classes(y, spec)
    counts = _counts(y, n_classes)
    present = counts > 0
    weights = np.ones(n_classes)
    if isinstance(value, str):
        weights[present] = y.size / (np.count_nonzero(present) * counts[present])
        return weights
    for label, weight in value.items():
        # np.unique of a y of floats or bools gives such.
        whole = isinstance(label, (bool, np.bool_)) or (
            isinstance(label, (float, np.floating)) and float(label).is_integer()
        )
        index = _check.integer("a label in class_weight", int(label) if whole else label, 0)
        if index >= n_classes:
            raise ValueError(f"class_weight has the label {label!r}: expected labels from 0 to {n_classes - 1}")
        weights[index] = _check.real(f"class_weight[{label!r}]", weight, ge=0)
    if not weights[present].any():
        raise ValueError(f"class_weight must not be zero for every label in y, got {value!r}")
    return weights


def _n_classes(y: NDArray[Any], spec: Spec) -> int:
    one_a_row = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if spec.loss_name == "categorical_cross_entropy" and one_a_row:
        return spec.n_outputs
    if spec.loss_name == "binary_cross_entropy" and spec.n_outputs == 1:
        return 2
    came = f"loss={spec.loss_name!r} with {spec.n_outputs} outputs and y of shape {y.shape}"
    raise ValueError(f"class_weight needs one binary output or one label per row, got {came}")


def _counts(y: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return how many rows have each label, a piece of them at a time: of many rows Ctrl-C should not wait for all."""
    values = y.reshape(-1)
    if not values.size:
        raise ValueError(f"y must have at least one row, got shape {y.shape}")
    counts = np.zeros(n_classes, np.int64)
    for first in range(0, values.size, _PIECE):
        piece = values[first : first + _PIECE]
        wrong = ~((piece >= 0) & (piece < n_classes) & (piece == np.floor(piece)))
        if wrong.any():
            row = int(np.argmax(wrong))
            signs = n_classes == 2 and piece[row] == -1
            hint = " (for -1 and +1 give (y+1)/2)" if signs else ""
            expected = f"whole numbers from 0 to {n_classes - 1}{hint}"
            raise ValueError(f"y must be {expected} where class_weight is given, got {piece[row]} in row {first + row}")
        counts += np.bincount(piece.astype(np.int64), minlength=n_classes)
    return counts
