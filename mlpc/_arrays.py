"""Whatever is not a plain NumPy array: lists, frames and masked arrays made one, sparse ones taken apart.

Called by the extension. Plain arrays stay what they are: the core reads them in place, as it does the parts of sparse
ones.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = "biuf"  # kinds of dtypes that hold real numbers
_LARGEST = 8  # bytes of one that the core reads


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return the numbers in `value` as a plain array, by a view where NumPy has one.

    Parameters
    ----------
    value : array-like
        A list, an array of a subclass, a pandas or polars frame, series or array, or whatever `numpy.asarray` takes.
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
    if _is_sparse(value):
        raise TypeError(f"{name} must be dense, got a sparse {type(value).__name__}: use {name}.toarray()")
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise ValueError(f"{name} must have no masked values, got {np.count_nonzero(value.mask)} of them")
    if is_frame(value):
        return _frame(value, name)
    try:
        array: NDArray[Any] = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array with rows of one length: {error}") from None
    except (RuntimeError, TypeError) as error:  # of PyTorch: the tensor needs a gradient, or has a dtype of its own
        raise TypeError(f"{name} must be an array or what NumPy makes one of: {error}") from error
    if array.dtype.kind not in _NUMBERS:
        came = f"dtype {array.dtype} from a {type(value).__name__}"
        raise TypeError(f"{name} must hold real numbers, got {came}{_hint(name, text=array.dtype.kind in 'US')}")
    return array.astype(np.float64) if array.dtype == np.longdouble != np.float64 else array


def as_floats(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of numbers as a contiguous one of a floating dtype; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)


def with_rows_together(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows that are to be read in an order of their own: where they lie by columns, a copy.

    Each of their numbers would cost a line of the cache, in every epoch: the copy soon pays.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)

    Examples
    --------
    >>> by_columns = np.zeros((4, 3), order="F")
    >>> with_rows_together(by_columns).flags.c_contiguous
    True
    """
    by_columns = rows.ndim == 2 and abs(rows.strides[0]) < abs(rows.strides[1])
    return np.ascontiguousarray(rows) if by_columns else rows


def csr_parts(value: Any, name: str) -> tuple[tuple[int, ...], NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """Return shape, data, indices and indptr of a CSR matrix or array of scipy.sparse, without importing that.

    Parameters
    ----------
    value : object
        Anything.
    name : str
        The argument's name, for messages.

    Returns
    -------
    tuple or None
        None: it is not sparse. The arrays are those of `value`, whatever they hold.

    Raises
    ------
    TypeError
        If it is sparse in another format.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> csr_parts(csr_array([[0.0, 5.0]]), "X")
    ((1, 2), array([5.]), array([1], dtype=int32), array([0, 1], dtype=int32))
    """
    if not _is_sparse(value):
        return None
    if getattr(value, "format", None) != "csr" or not _is_scipys(value):
        raise TypeError(
            f"{name} must be dense or of scipy.sparse's CSR format, got a {type(value).__name__}: use {name}.tocsr()"
        )
    shape = tuple(map(int, value.shape))
    return shape, np.asarray(value.data), np.asarray(value.indices), np.asarray(value.indptr)


def is_csr(value: Any, name: str) -> bool:
    """Whether `value` is what the core reads as sparse; a TypeError where it is sparse in another format."""
    return csr_parts(value, name) is not None


def is_frame(value: Any) -> TypeGuard[Any]:
    """Whether `value` is a frame or series, or one of pandas' own arrays."""
    return hasattr(value, "to_numpy") and (hasattr(value, "dtype") or hasattr(value, "dtypes"))


def _is_sparse(value: Any) -> bool:
    return hasattr(value, "tocsr")


def _is_scipys(value: Any) -> bool:
    return any(kind.__module__.startswith("scipy.sparse") for kind in type(value).__mro__)


def _hint(name: str, *, text: bool) -> str:
    return ": numpy.unique(y, return_inverse=True) numbers labels" if text and name == "y" else ""


def _are_numbers(column: Any) -> bool:
    """Whether a pandas column of Python objects holds numbers, booleans and missing values alone."""
    values = column[~column.isna()]  # NumPy would read numbers from text and times, too
    if not all(isinstance(v, numbers.Number | np.bool_) and not isinstance(v, np.timedelta64) for v in values):
        return False
    try:
        column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _frame(frame: Any, name: str) -> NDArray[Any]:
    columns = hasattr(frame, "columns")
    # pandas' own arrays, as those of `series.array`, have no name.
    names, dtypes = (frame.columns, frame.dtypes) if columns else ([getattr(frame, "name", None)], [frame.dtype])
    for place, (column, dtype) in enumerate(zip(names, dtypes, strict=True)):
        # pandas' dtypes have NumPy's kinds, those of categories too, polars' have names.
        values = getattr(getattr(dtype, "categories", None), "dtype", dtype)
        kind = getattr(values, "kind", None)
        good = kind in _NUMBERS if kind else str(values).startswith(("Int", "UInt", "Float", "Boolean"))
        if kind == "O" and values is dtype:
            good = _are_numbers(frame.iloc[:, place] if columns else frame)
        if not good:
            named = columns or getattr(frame, "name", None) is not None
            came = f"column {column!r} of dtype {dtype}" if named else f"dtype {dtype} from a {type(frame).__name__}"
            raise TypeError(
                f"{name} must hold real numbers, got {came}{_hint(name, text=kind in (None, 'O', 'T', 'U'))}"
            )
    first, *others = dtypes
    plain = isinstance(first, np.dtype) and first.kind in _NUMBERS and first.itemsize <= _LARGEST
    if plain and all(dtype == first for dtype in others):
        return np.asarray(frame.to_numpy())  # pandas: a view, where the columns lie together
    if columns and any(isinstance(dtype, np.dtype) and dtype.kind == "O" for dtype in dtypes):
        series = (frame.iloc[:, place] for place in range(len(names)))  # together, pandas takes no NA among objects
        return np.column_stack([column.to_numpy(dtype=np.float64, na_value=np.nan) for column in series])
    try:
        return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    except TypeError:
        return np.asarray(frame.to_numpy(), dtype=np.float64)  # polars: missing values are already NaN or None
