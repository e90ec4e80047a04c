"""Networks as files for other programs: ONNX, C, NumPy. What a format needs is imported when it is first written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check, _files
from mlpc._arrays import as_array
from mlpc._spec import check_dtype

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from mlpc.network import Network

__all__ = ["export_c", "export_numpy", "export_onnx"]


def export_c(
    net: Network,
    path: str | os.PathLike[str],
    name: str = "mlp",
    dtype: DTypeLike | None = None,
    check: ArrayLike | None = None,
) -> None:
    """Write a network as one C99 file that needs nothing but the C library.

    Parameters
    ----------
    net : Network
        What to write.
    path : str or os.PathLike
        Where to; an existing file is replaced only once the new one is complete.
    name : str, default="mlp"
        A C identifier: the function is `void NAME_predict(const T *x, T *out)`, from one row to its outputs.
    dtype : {"float64", "float32"}, optional
        T is double or float; the network's own unless given.
    check : array-like of shape (n_samples, n_features), optional
        Rows that the file keeps, with the outputs expected of them: compiled with -DNAME_TEST (or that in capitals) it
        is a program that compares, prints the differences and returns 0 where there are none.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type or range, or parameters, rows to check or their outputs are not finite.
    OSError
        If the file cannot be written.
    RuntimeError
        If the network is being changed by another call.

    Notes
    -----
    The outputs are those of `predict_proba` to 2e-6 in float and 1e-12 in double, times the larger of 1 and the output,
    for inputs of the order of 1; large numbers in the layers, as from data that are not scaled, amplify rounding, and
    the check allows for that. NaN among the inputs gives NaN. The file allocates nothing, has no state and compiles
    without warnings under -std=c99 -Wall -Wextra -pedantic. Its loops are written for compilers to make vectors of: -O3
    and -march=native make it several times faster.

    Examples
    --------
    >>> import mlpc, os, tempfile
    >>> from pathlib import Path
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "net.c")
    ...     mlpc.export_c(net, path, name="net", check=[[0.0, 1.0]])
    ...     "void net_predict(const double *x, double *out)" in path.read_text()
    True
    """
    import re

    from mlpc import _export_c

    target = _files.as_path(path)
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", _check.text("name", name)):
        raise ValueError(f"name must be a C identifier, letters, digits and _, no digit first; got {name!r}")
    dtype = None if dtype is None else check_dtype(dtype)
    net, fingerprint = _snapshot(net)
    if dtype is not None and dtype != net.dtype:
        net = net.copy(dtype)
    rows = None
    if check is not None:
        rows = _rows(check, net)
        if not np.isfinite(net.predict_proba(rows)).all():
            raise ValueError("check must hold rows with finite outputs")
    _files.write(target, _export_c.text(net, name, fingerprint, rows).encode())


def export_numpy(net: Network, path: str | os.PathLike[str] | None = None) -> str:
    """Write a network as a Python module of NumPy alone, to be read and to be run.

    Parameters
    ----------
    net : Network
        What to write.
    path : str or os.PathLike, optional
        Where to, if to a file; an existing one is replaced only once the new one is complete.

    Returns
    -------
    str
        The text of the module: `predict_proba(X)` first, a line for each step of each layer, then the activations it
        uses, then the weights, digit by digit.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type, or a parameter is not finite.
    OSError
        If the file cannot be written.
    RuntimeError
        If the network is being changed by another call.

    Notes
    -----
    The outputs are those of `predict_proba` to 2e-6 in float32 and 1e-12 in float64, times the larger of 1 and the
    output, for inputs of the order of 1; large numbers in the layers amplify rounding.

    Examples
    --------
    >>> import mlpc
    >>> net = mlpc.Network([2, 1], loss="binary_cross_entropy", initializer="zeros")
    >>> module = {}
    >>> exec(mlpc.export_numpy(net), module)
    >>> module["predict_proba"]([[1.0, 2.0]])
    array([[0.5]])
    """
    from mlpc import _export_numpy

    target = None if path is None else _files.as_path(path)
    text = _export_numpy.text(*_snapshot(net))
    if target is not None:
        _files.write(target, text.encode())
    return text


def export_onnx(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a network as an ONNX model: standard operators of opset 17, any number of rows.

    Parameters
    ----------
    net : Network
        What to write; its input becomes `X` of shape (n_samples, n_features), its output `output` of shape
        (n_samples, n_outputs), both of its dtype.
    path : str or os.PathLike
        Where to; an existing file is replaced only once the new one is complete.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type, or a parameter is not finite.
    ImportError
        If onnx is not installed.
    OSError
        If the file cannot be written.
    RuntimeError
        If the network is being changed by another call.

    Notes
    -----
    Under ONNX Runtime the outputs are those of `predict_proba` to 2e-6 in float32 and 1e-12 in float64, times the
    larger of 1 and the output, for inputs of the order of 1; large numbers in the layers amplify rounding. The model's
    metadata hold the fingerprint and the loss.

    Examples
    --------
    >>> import mlpc, os, tempfile
    >>> net = mlpc.Network([2, 3, 1], loss="squared_error", dtype="float32", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mlpc.export_onnx(net, os.path.join(folder, "net.onnx"))
    """
    target = _files.as_path(path)
    net, fingerprint = _snapshot(net)
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError("export_onnx needs onnx: pip install onnx") from error
    from mlpc import _export_onnx

    _files.write(target, _export_onnx.model(net, fingerprint))


def _snapshot(net: Network) -> tuple[Network, str]:
    """Return a copy that no other thread changes, without the optimizer's state, and its fingerprint."""
    from mlpc.network import check_network

    check_network(net)
    net = net.copy()
    if not np.isfinite(net.parameters).all():
        raise ValueError(f"net must have parameters that are finite in {net.dtype}")
    state = net._get_state()
    state["optimizer_state"][:] = 0  # it need not fit another dtype
    net._set_state(state)
    return net, net.fingerprint()


def _rows(check: ArrayLike, net: Network) -> NDArray[Any]:
    rows = as_array(check, "check")
    n_in = net.layer_sizes[0]
    if rows.ndim != 2 or rows.shape[1] != n_in or not len(rows):
        raise ValueError(f"check must have shape (n_samples, {n_in}) with at least one row, got {rows.shape}")
    with np.errstate(over="ignore"):  # answered below
        rows = rows.astype(net.dtype)
    if not np.isfinite(rows).all():
        raise ValueError(f"check must hold rows that are finite in {net.dtype}")
    return rows
