"""Time mlpc side by side with NumPy, scikit-learn, PyTorch, JAX, ONNX Runtime and FANN, where they are installed.

    python benchmarks/run.py [--rows circles,256x4] [--rivals NumPy,JAX] [--threads 1,2] [--rounds 5] [--seconds 0.2]

Each number of threads has a process of its own, in which every library runs: the environment and the processors that it
may use are settled before any library is loaded. Every round measures each library once; the median counts. Writes
benchmarks/results/latest.md and latest.json; report.py puts the tables into the documents.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import costs
import limits
import measure
import peers
import report
from workloads import WORKLOADS

COUNTS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "MLPC_NUM_THREADS"]
COUNTS += ["NPROC"]  # XLA's
SLOWING = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]  # these make OpenBLAS choose kernels for another processor
ROWS = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]


@contextmanager
def worker(threads: int) -> Iterator[ProcessPoolExecutor]:
    """Start a process whose libraries have so many threads and processors; leave this one as it was."""
    environment = dict(os.environ)
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    for name in SLOWING:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(COUNTS, str(threads)), JAX_PLATFORMS="cpu")
    if threads == 1:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    if processors:
        os.sched_setaffinity(0, sorted(processors)[:threads])
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    try:
        pool.submit(os.getpid).result()  # it starts now
    finally:
        os.environ.clear()
        os.environ.update(environment)
        if processors:
            os.sched_setaffinity(0, processors)
    with pool:
        yield pool


def chosen(text: str, names: list[str]) -> list[str]:
    """Names that contain one of the words, which are separated by commas; all for no words."""
    words = [word.strip().lower().replace("×", "x") for word in text.split(",") if word.strip()]
    return [name for name in names if not words or any(word in name.lower().replace("×", "x") for word in words)]


def measure_costs(rounds: int, sizes: list[int], libraries: list[str]) -> dict[str, Any]:
    """What costs.py measures, on one thread: memory in fresh processes."""
    modules = [module for name in libraries if (module := peers.LIBRARIES[name].module)]
    used = []
    for n in sizes:
        with worker(1) as pool:
            used.append(pool.submit(costs.memory, n).result())
    with worker(1) as pool:
        return {
            "memory": used,
            "growth": pool.submit(costs.growth, sizes, rounds).result(),
            "calls": pool.submit(costs.calls, rounds).result(),
            "imports": pool.submit(costs.imports, modules, rounds).result(),
            "extension": pool.submit(costs.extension_size).result(),
        }


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", default="", help="workloads whose names contain one of these words; costs is one more"
    )
    parser.add_argument("--rivals", default="", help="libraries whose names contain one of these words")
    parser.add_argument("--threads", default="1,2", help="numbers of threads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of one measurement")
    parser.add_argument("--most", type=float, default=60.0, help="seconds after which three rounds of a row are enough")
    parser.add_argument("--largest", type=int, default=ROWS[-1], help="rows at which the growth of costs ends")
    parser.add_argument("--output", type=Path, default=report.RESULTS, help="folder of the results")
    return parser.parse_args(arguments)


def write(results: dict[str, Any], folder: Path) -> None:
    """Keep what there is so far."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(report.full(results) + "\n", encoding="utf-8")
    (folder / "latest.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Measure what is asked for; print and write the report."""
    option = options(arguments)
    absent = {name: reason for name in peers.LIBRARIES if (reason := peers.missing(name))}
    libraries = [name for name in peers.LIBRARIES if name not in absent]
    libraries = ["mlpc", *chosen(option.rivals, [name for name in libraries if name != "mlpc"])]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = [int(n) for n in option.threads.split(",")]
    counts = [n for n in wanted if n <= cpus]
    absent |= {f"{n} threads": f"{cpus} processors" for n in wanted if n > cpus}
    names = chosen(option.rows, [*WORKLOADS, "costs"])
    if not names or not counts:
        raise SystemExit("nothing to measure: no row has one of those words, or there are too few processors")
    results: dict[str, Any] = {
        "date": date.today().isoformat(),
        "processor": limits.processor(),
        "cpus": cpus,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: peers.versions(name) for name in libraries},
        "missing": absent,
        "rounds": option.rounds,
        "threads": {},
        "rows": {},
    }
    with ExitStack() as running:
        pools = {threads: running.enter_context(worker(threads)) for threads in counts}
        for threads, pool in pools.items():
            results["threads"][str(threads)] = pool.submit(measure.machine, threads).result()
        for name in names:
            print(name, end="", flush=True)
            if name == "costs":
                sizes = [n for n in ROWS if n <= option.largest]
                results["costs"] = measure_costs(option.rounds, sizes, libraries)
            for threads, pool in pools.items() if name in WORKLOADS else ():
                settings = (name, libraries, threads, option.rounds, option.seconds, option.most)
                measured = pool.submit(measure.row, *settings).result()
                results["rows"].setdefault(name, {})[str(threads)] = measured
                rival = report.best_rival(measured["seconds"])
                faster = f", {rival} {measured['seconds'][rival] / measured['seconds']['mlpc']:.2f} ×" if rival else ""
                print(f" | {threads}: {report.duration(measured['seconds']['mlpc'])}{faster}", end="", flush=True)
            print()
            write(results, option.output)
    print(f"\n{report.full(results)}\n\nWritten to {option.output}/latest.md and latest.json")


if __name__ == "__main__":
    main(sys.argv[1:])
