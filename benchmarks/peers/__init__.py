"""Who is timed: a file a library. Each says in one screen what it does for a row; all compute the same.

A file has `prepare(work)`, which returns a Job, or None where the library cannot do the row. Threads are settled before
a library is loaded, by the environment and by the processors that the process may use.
"""

import ctypes.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from workloads import Workload

THREADS = int(os.environ.get("MLPC_NUM_THREADS", "1"))


@dataclass(frozen=True)
class Library:
    """Where it is: its file here, the module that users import, the packages that are needed."""

    file: str
    module: str
    packages: tuple[str, ...]


LIBRARIES = {
    "mlpc": Library("ours", "mlpc", ("mlpc",)),
    "NumPy": Library("by_hand", "numpy", ("numpy",)),
    "scikit-learn": Library("scikit_learn", "sklearn.neural_network", ("scikit-learn",)),
    "PyTorch": Library("pytorch", "torch", ("torch",)),
    "JAX": Library("jax_optax", "jax", ("jax", "optax")),
    "ONNX Runtime": Library("onnx_runtime", "onnxruntime", ("onnxruntime", "onnx")),
    "FANN": Library("fann", "", ()),
}


@dataclass
class Job:
    """A row as one library does it.

    `run(times)` trains for so many epochs (or whole runs), or evaluates so many times, and returns when all is done;
    `result()` is what all must agree on: the parameters W[1], b[1], W[2], ... as (n_in, n_out) and (n_out,); the
    objective and a gradient laid out like that; or the outputs.
    """

    run: Callable[[int], None]
    result: Callable[[], Sequence[Any]]


def missing(name: str) -> str | None:
    """Why a library cannot be measured here, if so."""
    if name == "FANN":
        return None if ctypes.util.find_library("floatfann") else "no shared library libfloatfann"
    absent = [package for package in LIBRARIES[name].packages if name != "mlpc" and not installed(package)]
    return f"no {' and no '.join(absent)}" if absent else None


def installed(package: str) -> str | None:
    """Return its version, if any."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions(name: str) -> str:
    """The installed version, with that of what helps it."""
    if name == "mlpc":  # which may be built in place
        return str(import_module("mlpc").__version__)
    if name == "FANN":
        return str(ctypes.util.find_library("floatfann"))
    first, *others = LIBRARIES[name].packages
    return " with ".join([version(first), *(f"{package} {version(package)}" for package in others)])


def prepare(name: str, work: Workload) -> Job | None:
    """Return what the library makes of the row; its imports and compilations are not timed."""
    job: Job | None = import_module(f"peers.{LIBRARIES[name].file}").prepare(work)
    return job
