"""Model files: safetensors with a JSON header, data and never code. Nothing of a file is believed before it is checked.

Tensors: `parameters` and `optimizer_state`, flat, of the network's dtype; `history`, float64, one row a column of the
history (loss, validation_loss, learning_rate, then what callbacks added). Metadata, all text: `format` ("mlpc"),
`version`, `header` (JSON: specification, optimizer, counts, random state), `fingerprint` and `checksum` over header and
tensors.

What only files need is imported when the first one is written or read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc import _check, _files, _spec, losses, optimizers, schedules
from mlpc._shipping import fingerprint
from mlpc.history import check_name, full_columns

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

    from mlpc._settings import Settings
    from mlpc.network import Network

__all__ = ["load"]

_VERSION = "1"
_HISTORY = ("loss", "validation_loss", "learning_rate")
_NOT_JSON = ("plateau_best", "plateau_value")  # may be infinite
_TENSORS = ("parameters", "optimizer_state", "history")


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a model file; see Network.save."""
    import json

    from safetensors.numpy import save as to_bytes

    target = _files.as_path(path)
    state = net.__getstate__()
    attributes, core = state["attributes"], state["core"]
    added = full_columns(attributes["_added"], core["history"].shape[1])
    header = json.dumps(
        {
            "spec": _spec_to_json(attributes["_spec"]),
            "optimizer": _optimizer_to_json(attributes["_optimizer"]),
            "seed": attributes["_seed"],
            "random_state": state["random_state"],
            "progress": core["progress"] | {name: repr(core["progress"][name]) for name in _NOT_JSON},
            "added": list(added),
            "stop_reason": attributes["_stop_reason"],
            "best_epoch": attributes["_best_epoch"],
        },
        allow_nan=False,
    )
    tensors = {
        "parameters": core["parameters"],
        "optimizer_state": core["optimizer_state"],
        "history": np.ascontiguousarray([*core["history"], *added.values()]),
    }
    metadata = {
        "format": "mlpc",
        "version": _VERSION,
        "fingerprint": fingerprint(attributes["_spec"], core["parameters"]),
        "header": header,
        "checksum": _checksum(header, tensors),
    }
    _files.write(target, to_bytes(tensors, metadata))


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network from a model file that `Network.save` wrote.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    Network
        As it was saved: training goes on bit for bit.

    Raises
    ------
    TypeError
        If `path` is not of its type.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a model file, or truncated, altered, or of another version of the format.

    Examples
    --------
    >>> import mlpc, os, tempfile
    >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.safetensors"))
    ...     mlpc.load(os.path.join(folder, "net.safetensors")).layer_sizes
    (2, 3, 1)
    """
    from safetensors import SafetensorError

    path = _files.as_path(path)
    with path.open("rb"):
        pass  # the operating system's own errors: no such file, a folder, no permission
    try:
        return _load(path)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"cannot load {path}: its header is malformed ({_short(repr(error))})") from error
    except (SafetensorError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {_short(str(error))}") from error


def _short(text: str) -> str:
    """`text` in one line of bounded length, whatever a file made it quote."""
    import textwrap

    return textwrap.shorten(text, 400, placeholder=" ...")


def _load(path: Path) -> Network:
    import json

    from safetensors import safe_open

    from mlpc.network import Network

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != "mlpc":
            raise ValueError("it is not a model file of mlpc")
        if metadata["version"] != _VERSION:
            raise ValueError(f"it has version {metadata['version']} of the format, this mlpc reads version {_VERSION}")
        try:
            header = json.loads(metadata["header"])
        except json.JSONDecodeError as error:
            raise ValueError(f"its header is no JSON: {error}") from error
        spec = _spec_from_json(header["spec"])
        optimizer = _optimizer_from_json(header["optimizer"])
        added = _column_names(header["added"])
        # Shapes first: nothing is allocated for a specification that its own tensors contradict.
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if sorted(shapes) != sorted(_TENSORS):
            raise ValueError(f"its tensors must be {', '.join(_TENSORS)}, got {', '.join(shapes)}")
        expected = {
            "parameters": (spec.n_parameters,),
            "history": (len(_HISTORY) + len(added), *shapes["history"][1:2]),
        }
        for name, shape in expected.items():
            if shapes[name] != shape:
                raise ValueError(f"its tensor {name} has shape {shapes[name]}, its header says {shape}")
        n_pairs = optimizer.history_size if isinstance(optimizer, optimizers.LBFGS) else 0
        if math.prod(shapes["optimizer_state"]) < 2 * n_pairs * spec.n_parameters:
            raise ValueError(f"its tensor optimizer_state is too short for a history of {n_pairs} pairs")
        tensors = {name: file.get_tensor(name) for name in _TENSORS}
    if metadata["checksum"] != _checksum(metadata["header"], tensors):
        raise ValueError("it was altered: its checksum does not match")
    dtypes = {"parameters": spec.dtype, "optimizer_state": spec.dtype, "history": "float64"}
    for name, dtype in dtypes.items():
        if tensors[name].dtype != dtype:
            raise ValueError(f"its tensor {name} has dtype {tensors[name].dtype}, expected {dtype}")
    try:
        np.random.PCG64(0).state = header["random_state"]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its random state is not one of PCG64: {error!r}") from error
    columns = tensors["history"][len(_HISTORY) :]
    stop_reason, best_epoch, n_epochs = header["stop_reason"], header["best_epoch"], tensors["history"].shape[1]
    _check.real("plateau_multiplier", header["progress"]["plateau_multiplier"], ge=0, le=1)
    if metadata["fingerprint"] != fingerprint(spec, tensors["parameters"]):
        raise ValueError("it was altered: its fingerprint does not match")
    net = Network.__new__(Network)
    net.__setstate__(
        {
            "core": {
                "parameters": tensors["parameters"],
                "optimizer_state": tensors["optimizer_state"],
                "progress": header["progress"] | {name: float(header["progress"][name]) for name in _NOT_JSON},
                "history": np.ascontiguousarray(tensors["history"][: len(_HISTORY)]),
            },
            "attributes": {
                "_spec": spec,
                "_optimizer": optimizer,
                "_seed": _check.integer("seed", header["seed"], 0, math.inf),
                "_added": {name: column.tolist() for name, column in zip(added, columns, strict=True)},
                "_stop_reason": stop_reason if stop_reason is None else _check.text("stop_reason", stop_reason),
                "_best_epoch": None if best_epoch is None else _check.integer("best_epoch", best_epoch, 1, n_epochs),
            },
            "random_state": header["random_state"],
        }
    )
    return net


def _column_names(names: Any) -> list[str]:
    if not isinstance(names, list) or len(set(map(str, names))) < len(names):
        raise ValueError(f"its header lists the columns of its history as {names!r}")
    return [check_name(name) for name in names]


def _checksum(header: str, tensors: dict[str, NDArray[Any]]) -> str:
    import hashlib

    digest = hashlib.blake2b(header.encode(), digest_size=16)
    for name in _TENSORS:
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


# ---- Objects with settings as {"name": class, setting: value, ...}.


def _settings_to_json(settings: Settings) -> dict[str, Any]:
    return {"name": type(settings).__name__, **settings.values()}


def _settings_from_json(fields: dict[str, Any], module: Any) -> Any:
    settings = dict(fields)
    return getattr(module, _check.choice("name", settings.pop("name"), module.__all__))(**settings)


def _optimizer_to_json(optimizer: optimizers.Optimizer) -> dict[str, Any]:
    fields = _settings_to_json(optimizer)
    schedule = optimizer.schedule
    if isinstance(schedule, schedules.Schedule):
        fields["schedule"] = _settings_to_json(schedule)
    elif schedule is not None:
        expected = "one of mlpc's schedules, since a model file is data and never code"
        raise ValueError(f"save: the optimizer's schedule must be {expected}; got the function {schedule!r}")
    return fields


def _optimizer_from_json(fields: dict[str, Any]) -> optimizers.Optimizer:
    fields = dict(fields)
    if fields.get("schedule") is not None:
        fields["schedule"] = _settings_from_json(fields["schedule"], schedules)
    optimizer: optimizers.Optimizer = _settings_from_json(fields, optimizers)
    return optimizer


def _spec_to_json(spec: _spec.Spec) -> dict[str, Any]:
    fields = spec._asdict()
    if isinstance(spec.loss, losses.Loss):
        fields["loss"] = _settings_to_json(spec.loss)
    if not isinstance(spec.initializer, str):
        fields["initializer"] = None  # what it drew is in the parameters
    return fields


def _spec_from_json(fields: dict[str, Any]) -> _spec.Spec:
    fields = dict(fields)
    _check.choice("dtype", fields["dtype"], ("float32", "float64"))
    if isinstance(fields["loss"], dict):
        fields["loss"] = _settings_from_json(fields["loss"], losses)
    if fields["initializer"] is not None:
        return _spec.check_spec(**fields)
    return _spec.check_spec(**{**fields, "initializer": "zeros"})._replace(initializer=None)
