"""How costs grow with the rows of a fit, what memory a call takes, and what an import and the smallest call cost."""

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import which
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

LAYERS, BATCH = [10, 32, 32, 1], 32


def prepare(n: int) -> tuple[Any, Any, Any]:
    """Return a network and n rows for it."""
    import mlpc

    rng = np.random.default_rng(0)
    net = mlpc.Network(LAYERS, loss="half_squared_error", optimizer=mlpc.SGD(1e-4), dtype="float32", seed=0)
    return net, rng.standard_normal((n, LAYERS[0]), dtype=np.float32), rng.standard_normal((n, 1), dtype=np.float32)


def timed(call: Callable[[], object], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times


def growth(sizes: list[int], rounds: int) -> list[dict[str, float]]:
    """Seconds a row of one epoch, in order and shuffled, and of a prediction, by the number of rows of a call."""
    net, X, y = prepare(max(sizes))
    rows: list[dict[str, list[float]]] = [{"in_order": [], "shuffled": [], "predict": []} for _ in sizes]
    for _ in range(rounds):
        for n, row in zip(sizes, rows, strict=True):
            times = max(1, 300_000 // n)
            for kind, shuffle in (("in_order", False), ("shuffled", True)):

                def fit(n: int = n, shuffle: bool = shuffle) -> None:
                    net.fit(X[:n], y[:n], epochs=1, batch_size=BATCH, shuffle=shuffle)

                row[kind].append(timed(fit, times) / n)
            row["predict"].append(timed(lambda n=n: net.predict_proba(X[:n]), times) / n)  # type: ignore[misc]
    return [{"rows": n} | {k: median(v) for k, v in row.items()} for n, row in zip(sizes, rows, strict=True)]


def memory(n: int) -> dict[str, int] | None:
    """Bytes that a call needs at its worst beside what its process has, where Linux tells (to a quarter of a MB)."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not reset.exists():
        return None

    def kilobytes(field: str) -> int:
        return int(status.read_text().split(f"{field}:")[1].split()[0])

    net, X, y = prepare(n)
    net.fit(X[:BATCH], y[:BATCH], epochs=1, batch_size=BATCH)  # code is loaded
    peaks = []
    for shuffle in (False, True):
        reset.write_text("5")  # the high-water mark becomes what is used now
        before = kilobytes("VmRSS")
        net.fit(X, y, epochs=1, batch_size=BATCH, shuffle=shuffle)
        peaks.append(1024 * (kilobytes("VmHWM") - before))
    return {"in_order": peaks[0], "shuffled": peaks[1]}


def calls(rounds: int) -> dict[str, float]:
    """Seconds of calls with one row, by a 2-3-1 network in float64; and of `exported`."""
    import mlpc

    net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", hidden_activation="sigmoid", optimizer="sgd", seed=0)
    X, y = np.ones((1, 2)), np.ones(1)
    smallest = {
        "fit of one row, one epoch": lambda: net.fit(X, y, epochs=1, batch_size=None),
        "predict_proba of one row": lambda: net.predict_proba(X),
        "predict of one row": lambda: net.predict(X),
        "objective_and_gradient of one row": lambda: net.objective_and_gradient(X, y),
    }
    found = {name: median(timed(call, 5000) for _ in range(rounds)) for name, call in smallest.items()}
    return found | exported(rounds)


REPEAT = """
void repeat(const float *x, float *out, int n);
void repeat(const float *x, float *out, int n) {
    volatile float kept = 0; /* else a compiler would see that it is always the same */
    for (int i = 0; i < n; i++) {
        mlp_predict(x, out);
        kept = out[0];
    }
    (void)kept;
}
"""


def exported(rounds: int) -> dict[str, float]:
    """Seconds of a row of 125-32-2 in float32, by predict_proba and by export_c, where there is a compiler."""
    import mlpc

    compiler, n = which("cc"), 2000
    if compiler is None:
        return {}
    net = mlpc.Network([125, 32, 2], loss="categorical_cross_entropy", dtype="float32", seed=0)
    x, out = np.random.default_rng(0).standard_normal((1, 125), dtype=np.float32), np.empty(2, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "net.c", Path(folder) / "net.so"
        mlpc.export_c(net, source)
        source.write_text(source.read_text() + REPEAT)
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
        subprocess.run(command, check=True)
        repeat = ctypes.CDLL(str(library)).repeat
    pointers = ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data)
    python, c = [], []
    for _ in range(rounds):  # in turns: something else may take the processor for a while
        python.append(timed(lambda: net.predict_proba(x), n))
        c.append(timed(lambda: repeat(*pointers, n), 1) / n)
    return {"predict_proba of one row of 125-32-2": median(python), "the same by export_c, in C": median(c)}


def imports(modules: list[str], rounds: int) -> dict[str, float]:
    """Seconds that a fresh interpreter takes for an import, its own start left out; bytecode is there, as installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = "from time import perf_counter as t; s = t(); import {0}; print(t() - s)"
    found: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(rounds):
        for module, times in found.items():
            command = [sys.executable, "-c", code.format(module)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            times.append(float(done.stdout.split()[-1]))
    return {module: median(times) for module, times in found.items()}


def extension_size() -> dict[str, int]:
    """Bytes of the built extension, as it is and stripped."""
    from mlpc import _core

    built = Path(_core.__file__)
    sizes = {"built": built.stat().st_size}
    if which("strip"):
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder) / "stripped"
            subprocess.run(["strip", "-o", str(stripped), str(built)], check=True)
            sizes["stripped"] = stripped.stat().st_size
    return sizes
