"""Time a training step of mlpc, NumPy, scikit-learn and PyTorch side by side, on one thread.

    python benchmarks/run.py [--only TEXT] [--rounds 5] [--seconds 0.2]

Every round runs each library once, so that a machine that slows down slows all of them; the median over the rounds
counts. The fraction of the peak compares with a loop of fused multiply-adds timed in the same run. Prints a table in
Markdown and writes benchmarks/results/latest.json.
"""

import argparse
import ctypes
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MLPC_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]
SLOWING = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]  # these make OpenBLAS choose kernels for another processor
HERE = Path(__file__).resolve().parent


def clean_environment() -> None:
    """Start again with one thread for everyone: the libraries read these variables when they are loaded."""
    if all(os.environ.get(name) == "1" for name in THREADS) and not any(name in os.environ for name in SLOWING):
        return
    kept = {name: value for name, value in os.environ.items() if name not in SLOWING}
    os.execve(sys.executable, [sys.executable, *sys.argv], kept | dict.fromkeys(THREADS, "1"))


def compile_peak(folder: str) -> Callable[[int], float]:
    """Build peak.c for this machine; the result takes a number of rounds and returns operations a second."""
    library = str(Path(folder) / "peak.so")
    native = [] if platform.machine() == "arm64" else ["-march=native"]
    flags = ["-O3", *native, "-ffp-contract=fast", "-shared", "-fPIC"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, str(HERE / "peak.c"), "-o", library], check=True)
    function = ctypes.CDLL(library).fma_peak
    function.argtypes, function.restype = [ctypes.c_long, ctypes.c_float, ctypes.c_float], ctypes.c_double
    return lambda rounds: function(rounds, 0.5, 1.0)


def processor() -> str:
    """What the processor calls itself."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure(work: Any, peers: dict[str, Any], peak: Any, rounds: int, seconds: float) -> dict[str, Any]:
    """Median microseconds a step for each library, and the peak seen between the rounds."""
    trainers, epochs = {}, {}
    for name, prepare in peers.items():
        trainers[name] = prepare(work)
        trainers[name](1)
        start = perf_counter()
        trainers[name](1)
        epochs[name] = max(1, round(seconds / (perf_counter() - start)))
        if epochs[name] > 10:  # a short first look says little
            start = perf_counter()
            trainers[name](epochs[name])
            epochs[name] = max(1, round(epochs[name] * seconds / (perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in peers}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak(5_000_000))
        for name, train in trainers.items():
            start = perf_counter()
            train(epochs[name])
            times[name].append((perf_counter() - start) / (epochs[name] * work.n_batches))
    micro = {name: 1e6 * median(values) for name, values in times.items()}
    return {
        "workload": work.name,
        "microseconds": micro,
        "best_rival": min((value, name) for name, value in micro.items() if name != "mlpc")[1],
        "peak_gflops": median(peaks) / 1e9,
        "fraction_of_peak": work.flops / (micro["mlpc"] * 1e-6) / median(peaks),
    }


def figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def main() -> None:
    """Run the workloads and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="", help="workloads whose name contains this")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=0.2, help="length of one measurement")
    options = arguments.parse_args()

    from peers import PEERS
    from workloads import WORKLOADS

    import mlpc

    needs = {"scikit-learn": "sklearn", "PyTorch": "torch"}
    peers = {name: peer for name, peer in PEERS.items() if importlib.util.find_spec(needs.get(name, "numpy"))}
    packages = {"NumPy": "numpy", "scikit-learn": "scikit-learn", "PyTorch": "torch"}
    versions = {name: version(packages[name]) for name in peers if name in packages}
    machine = {
        "processor": processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kernels": mlpc.Network([1, 1], loss="squared_error")._kernels,
        "versions": versions,
    }
    with tempfile.TemporaryDirectory() as folder:
        peak = compile_peak(folder)
        print(f"{machine['processor']}, one thread, float32; mlpc with its {machine['kernels']} kernels, ", end="")
        print(", ".join(f"{name} {number}" for name, number in versions.items()))
        print(f"FMA peak {peak(5_000_000) / 1e9:.0f} GF/s. Microseconds a step, median of {options.rounds} rounds.\n")
        print(f"| workload | {' | '.join(peers)} | rival's time / ours | of the peak |")
        print("|---" * (len(peers) + 3) + "|")
        results = []
        for work in WORKLOADS:
            if options.only in work.name:
                row = measure(work, peers, peak, options.rounds, options.seconds)
                results.append(row)
                micro = row["microseconds"]
                ratio = f"{micro[row['best_rival']] / micro['mlpc']:.2f} ({row['best_rival']})"
                cells = [work.name, *(figure(micro[name]) for name in peers), ratio, f"{row['fraction_of_peak']:.0%}"]
                print(f"| {' | '.join(cells)} |", flush=True)
    output = HERE / "results" / "latest.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps({"machine": machine, "rounds": options.rounds, "results": results}, indent=1) + "\n")
    print(f"\nWritten to {output.relative_to(HERE.parent)}")


if __name__ == "__main__":
    clean_environment()
    main()
