"""What bounds a step on this machine, measured in the same run as the libraries, and what the machine is.

The limit of a workload that trains, its roofline, is the sum of three times: its matrix products at the peak of fused
multiply-adds; the optimizer's update, the longer of its bytes at the bandwidth of the memory that holds them and the
update's loop alone; X read once from where it lies. A prediction's is the longer of its products and its bytes.
"""

import ctypes
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from workloads import Workload


@cache
def library() -> ctypes.CDLL:
    """Build limits.c for this machine."""
    native = [] if platform.machine() == "arm64" else ["-march=native"]
    flags = ["-O3", *native, "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        built, source = Path(folder) / "limits.so", Path(__file__).with_name("limits.c")
        subprocess.run([os.environ.get("CC", "cc"), *flags, str(source), "-o", str(built), "-lm"], check=True)
        limits = ctypes.CDLL(str(built))
    size, many = ctypes.c_size_t, ctypes.c_long
    limits.fma_operations.argtypes = []
    limits.fma_seconds.argtypes = [many, ctypes.c_float, ctypes.c_float]
    limits.copy_seconds.argtypes = [size, many]
    limits.update_seconds.argtypes = [size, ctypes.c_int, many]
    limits.message_seconds.argtypes = [many, many]
    for name in ("fma_operations", "fma_seconds", "copy_seconds", "update_seconds", "message_seconds"):
        getattr(limits, name).restype = ctypes.c_double
    return limits


def together(threads: int, measure: Callable[[], float]) -> float:
    """Run the same measurement in all threads at once (C runs without the GIL); the slowest counts, the best of 3."""
    with ThreadPoolExecutor(threads) as pool:
        return min(max(pool.map(lambda _: measure(), range(threads))) for _ in range(3))


def peak(threads: int, rounds: int = 2_000_000) -> float:
    """Floating-point operations a second in float32, all threads together; float64 has half of them."""
    seconds = together(threads, lambda: library().fma_seconds(rounds, 0.5, 1.0))
    return float(threads * rounds * library().fma_operations() / seconds)


def message(rounds: int = 10_000) -> float:
    """Seconds of a message from one core to another and back, the best of 3."""
    play: Callable[[int, int], float] = library().message_seconds  # of one library: two would have two balls
    with ThreadPoolExecutor(2) as pool:
        return min(max(pool.map(lambda side: play(rounds, side), range(2))) for _ in range(3))


def caches() -> dict[str, int]:
    """Bytes of a core's L2 and of the L3, where the system tells; else those of a usual server."""
    sizes = {"L2": 1 << 20, "L3": 32 << 20}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level = "L" + (index / "level").read_text().strip()
        if level in sizes:
            sizes[level] = int((index / "size").read_text().strip().removesuffix("K")) * 1024
    return sizes


@cache
def bandwidth(level: str, threads: int) -> float:
    """Bytes a second, read and written, of a copy that occupies half of L2 or L3, or four times the L3."""
    held = {"L2": caches()["L2"] // 2, "L3": caches()["L3"] // 2 // threads, "DRAM": 4 * caches()["L3"] // threads}[
        level
    ]
    repeats = max(2, (1 << 28) // held)
    return threads * held / together(threads, lambda: library().copy_seconds(held // 2, repeats))


def home(size: float, threads: int) -> str:
    """The level that holds so many bytes; each thread brings an L2."""
    sizes = caches()
    return "L2" if size <= threads * sizes["L2"] else "L3" if size <= sizes["L3"] else "DRAM"


@cache
def update(n: int, optimizer: str, threads: int) -> float:
    """Seconds of one update in float32: Adam reads 16 bytes a parameter and writes 12, SGD reads 8 and writes 4."""
    moved, held = {"adam": (28, 16), "sgd": (12, 8)}[optimizer]
    share = -(-n // threads)
    repeats = max(1, (1 << 22) // share)
    alone = together(threads, lambda: library().update_seconds(share, optimizer == "adam", repeats))
    return max(moved * n / bandwidth(home(held * n, threads), threads), alone)


def limit(work: Workload, threads: int, peak_rate: float) -> float:
    """Seconds of one step or call at the roofline."""
    item = 8 if work.dtype == "float64" else 4
    products = work.flops / (peak_rate * 4 / item)
    n_in, n_out, batch = work.layer_sizes[0], work.layer_sizes[-1], work.batch_size
    X_rate = bandwidth(home(item * batch * work.n_batches * n_in, threads), threads)
    if work.kind == "predict":
        return max(products, item * batch * (n_in + n_out) / X_rate)
    updating = update(work.n_parameters, work.optimizer, threads) if work.kind == "train" else 0.0
    return products + updating + item * batch * n_in / X_rate


def processor() -> str:
    """What the processor calls itself."""
    if Path("/proc/cpuinfo").exists():
        fields = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in fields.items()}
        if "model name" in named:
            numbers = f"family {named.get('cpu family', '?')}, model {named.get('model', '?')}"
            return f"{named['model name']} ({numbers})"
    return platform.processor() or platform.machine()
