"""One row in one process: every library prepared, checked against mlpc and timed in turns.

Runs in a worker of its own for each number of threads, whose environment and processors run.py has settled.
"""

import gc
from collections.abc import Sequence
from random import Random
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

import limits
import peers
from workloads import WORKLOADS, Workload

# How far two libraries may be apart: rounding in float32; Adam makes a whole step of the sign of a gradient that is all
# rounding. What differs in kind (the scale of a loss, an order of batches, a bias left out) differs by far more.
TOLERANCE = {"sgd": 1e-3, "adam": 1e-2, "gradient": 1e-9, "predict": 1e-5}


def check(work: Workload, ours: Sequence[Any], theirs: Sequence[Any], name: str) -> None:
    """Raise where a library did something else; after training, compare what has been added to the weights."""

    def flat(arrays: Sequence[Any]) -> Any:
        return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])

    start = flat([array for pair in work.weights() for array in pair]) if work.kind == "train" else 0.0
    expected, got = flat(ours) - start, flat(theirs) - start
    distance = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    if not distance <= TOLERANCE[work.optimizer if work.kind == "train" else work.kind]:
        raise AssertionError(f"{work.name}: {name} differs from mlpc by {distance:.1e} of what was computed")


def check_threads(threads: int) -> None:
    """Raise where a library that is loaded would use more; threadpoolctl knows the pools of OpenMP and BLAS."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return
    for pool in threadpool_info():
        if pool["num_threads"] > threads:
            raise AssertionError(f"{pool['filepath']} has {pool['num_threads']} threads, not {threads}")


def prepare(work: Workload, names: Sequence[str]) -> dict[str, peers.Job]:
    """Return the jobs of those that can do the row; each has done it once, which is what the check compares."""
    jobs: dict[str, peers.Job] = {}
    for name in names:
        job = peers.prepare(name, work)
        if job is not None:
            job.run(1)
            jobs[name] = job
            check(work, jobs["mlpc"].result(), job.result(), name)
    return jobs


def timed(job: peers.Job, times: int) -> float:
    start = perf_counter()
    job.run(times)
    return perf_counter() - start


def repeats(job: peers.Job, seconds: float) -> int:
    """How often to do the row for a measurement of this length."""
    times, taken = 1, timed(job, 1)
    while taken < seconds / 4.0:  # a short look says little
        times = max(times + 1, round(times * min(100.0, seconds / 2.0 / taken)))
        taken = timed(job, times)
    return max(1, round(times * seconds / taken))


def row(name: str, names: Sequence[str], threads: int, rounds: int, seconds: float, most: float) -> dict[str, Any]:
    """Median seconds of a step, run or call for each library that can do it, and the limits seen meanwhile.

    Parameters
    ----------
    name : str
        Of the workload.
    names : sequence of str
        Libraries, mlpc first.
    threads : int
        That everyone may use.
    rounds : int
        In each, every library is measured once, so that a machine that slows down slows all of them.
    seconds : float
        Length of one measurement.
    most : float
        After so many seconds three rounds are enough.

    Returns
    -------
    dict
        For the report; "times" has every measurement.
    """
    work = WORKLOADS[name]
    jobs = prepare(work, names)
    check_threads(threads)
    times = {each: repeats(job, seconds) for each, job in jobs.items()}
    measured: dict[str, list[float]] = {each: [] for each in jobs}
    peaks, messages = [], []
    shuffler = Random(0)
    start = perf_counter()
    for done in range(rounds):
        if done >= 3 and perf_counter() - start > most:
            break
        peaks.append(limits.peak(threads))
        if threads > 1:
            messages.append(limits.message())
        for each, job in shuffler.sample([*jobs.items()], len(jobs)):  # nobody always comes first, or after the same
            sleep(0.2 if threads > 1 else 0.02)  # OpenBLAS's threads look for work for a tenth of a second
            measured[each].append(timed(job, times[each]) / (times[each] * work.units))
    medians = {each: median(values) for each, values in measured.items()}
    del jobs
    gc.collect()
    peak_rate = median(peaks)
    item = 8 if work.dtype == "float64" else 4
    between = {"message": median(messages)} if messages else {}
    return between | {
        "seconds": medians,
        "times": measured,
        "peak": peak_rate,
        "of_peak": work.flops / medians["mlpc"] / (peak_rate * 4 / item),
        "of_roofline": limits.limit(work, threads, peak_rate) / medians["mlpc"],
    }


def machine(threads: int) -> dict[str, Any]:
    """Return the limits of the processors given, and the kernels that mlpc runs on them."""
    import mlpc

    kernels = mlpc.Network([1, 1], loss="squared_error")._kernels
    bandwidth = {level: limits.bandwidth(level, threads) for level in ("L2", "L3", "DRAM")}
    return {"kernels": kernels, "peak": limits.peak(threads), "bandwidth": bandwidth}
