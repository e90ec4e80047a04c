"""Whatever is not a plain NumPy array, made one: lists, frames, masked arrays. Called by the extension.

Plain arrays stay what they are: the core reads them in place.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = "biuf"  # kinds of dtypes that hold real numbers


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return the numbers in `value` as a plain array, by a view where NumPy has one.

    Parameters
    ----------
    value : array-like
        A list, an array of a subclass, a pandas or polars frame or series, or whatever `numpy.asarray` takes.
    name : str
        The argument's name, for messages.

    Returns
    -------
    ndarray
        Of booleans, integers or floats.

    Raises
    ------
    TypeError
        If it is sparse or does not hold real numbers; a frame's column is named.
    ValueError
        If it is ragged or masked.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "X").shape
    (2, 2)
    """
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} must be dense: sparse input is not supported yet, use {name}.toarray()")
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise ValueError(f"{name} must have no masked values, got {np.count_nonzero(value.mask)} of them")
    if hasattr(value, "to_numpy"):
        return _frame(value, name)
    try:
        array: NDArray[Any] = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array with rows of one length: {error}") from None
    if array.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype} from a {type(value).__name__}")
    return array.astype(np.float64) if array.dtype == np.longdouble != np.float64 else array


def _frame(frame: Any, name: str) -> NDArray[Any]:
    columns = hasattr(frame, "columns")
    names, dtypes = (frame.columns, frame.dtypes) if columns else ([frame.name], [frame.dtype])
    for column, dtype in zip(names, dtypes, strict=True):
        # pandas' dtypes have NumPy's kinds, polars' have names.
        kind = getattr(dtype, "kind", None)
        if kind not in _NUMBERS if kind else not str(dtype).startswith(("Int", "UInt", "Float", "Boolean")):
            raise TypeError(f"{name} must hold real numbers, got column {column!r} of dtype {dtype}")
    try:
        return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    except TypeError:
        return np.asarray(frame.to_numpy(), dtype=np.float64)  # polars: missing values are already NaN or None
