"""The benchmark at tiny sizes, with NumPy alone: its rows run, its checks see a wrong step, its tables are placed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import limits
import measure
import peers
import report
from run import chosen
from workloads import SQUARES, WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent


def shrunk(work):
    """The same kind of row in no time."""
    return replace(
        work,
        layer_sizes=[min(n, 5) for n in work.layer_sizes],
        batch_size=min(work.batch_size, 4),
        n_batches=min(work.n_batches, 2),
        run_epochs=min(work.run_epochs, 3),
    )


@pytest.mark.parametrize("name", WORKLOADS)
def test_numpy_computes_the_same(name):
    work = shrunk(WORKLOADS[name])
    jobs = measure.prepare(work, ["mlpc", "NumPy"])
    assert list(jobs) == (["mlpc", "NumPy"] if work.hidden != "gelu" else ["mlpc"])
    assert measure.repeats(jobs["mlpc"], 1e-4) >= 1


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 2e-4},
        {"n_batches": 3},
        {"batch_size": 5},
        {"hidden": "tanh"},
        {"optimizer": "adam"},
        {"kind": "gradient", "n_batches": 1},
        {"kind": "predict", "n_batches": 1},
    ],
    ids=str,
)
def test_check_sees_what_differs(other):
    work = Workload("row", [3, 6, 2], 4, n_batches=2)
    evaluates = other if "kind" in other else {}
    work = replace(work, **evaluates)
    ours, theirs = peers.prepare("mlpc", work), peers.prepare("NumPy", replace(work, **other))
    ours.run(1)
    theirs.run(1)
    result = theirs.result()
    if evaluates:
        result = [result[0] + 1e-2, *result[1:]]
    with pytest.raises(AssertionError, match="NumPy differs"):
        measure.check(work, ours.result(), result, "NumPy")


def test_counts():
    work = WORKLOADS["784-128-10, B=32, Adam"]
    assert work.layer_sizes == [784, 128, 10]
    # Forward and gradient of W for both layers, gradient of the input for the second; a multiply-add is two.
    assert work.flops == 2 * 32 * (2 * 784 * 128 + 3 * 128 * 10)
    assert work.n_parameters == 784 * 128 + 128 + 128 * 10 + 10
    assert sum(W.size + b.size for W, b in work.weights()) == work.n_parameters
    assert WORKLOADS["256×4, B=256, SGD"].layer_sizes == [256] * 5
    assert replace(work, kind="predict").flops == 2 * 32 * (784 * 128 + 128 * 10)
    assert chosen("256x4, circles", list(WORKLOADS))[1] == "256×4, B=256, SGD"
    assert WORKLOADS["circles: 2-3-1, sigmoid, 200 rows, run of 1001 epochs"].calls(2) == [1001, 1001]
    assert work.calls(2) == [2]


def test_limits_add_up():
    work = Workload("row", [64, 64, 1], 32, loss=SQUARES)
    one, half = limits.limit(work, 1, 1e9), limits.limit(work, 1, 0.5e9)
    assert half - one == pytest.approx(work.flops / 1e9, rel=1e-6)
    assert one > work.flops / 1e9
    predicting = replace(work, kind="predict", n_batches=1)
    assert limits.limit(predicting, 1, 1.0) == predicting.flops
    assert limits.limit(replace(predicting, dtype="float64"), 1, 1.0) == 2 * predicting.flops


def test_a_message_comes_back():
    assert 0 < limits.message(rounds=100) < 1


def test_command_and_tables(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "run.py", "--output", tmp_path, "--threads", "1", "--rounds", "1"]
    command += ["--rows", "10-32-32-1,one row,costs", "--rivals", "numpy", "--seconds", "0.001", "--largest", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((tmp_path / "latest.json").read_text())
    assert list(results["versions"]) == ["mlpc", "NumPy"]
    row = results["rows"]["10-32-32-1, B=32, SGD"]["1"]
    assert set(row["seconds"]) == {"mlpc", "NumPy"}
    assert row["of_peak"] > 0
    assert row["of_peak"] < row["of_roofline"]
    assert results["costs"]["growth"][0]["rows"] == 1000
    assert results["costs"]["imports"]["numpy"] > 0

    results["missing"] = {"FANN": "no shared library"}
    row["seconds"] = {"mlpc": 2e-6, "NumPy": 41e-6}
    row |= {"of_peak": 0.754, "of_roofline": 0.81}
    two = {"seconds": {"mlpc": 2.5e-6, "NumPy": 41e-6}, "message": 1.9e-7}
    results["rows"]["10-32-32-1, B=32, SGD"]["2"] = row | two
    results["threads"]["2"] = results["threads"]["1"]
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- benchmark: tables -->\nold\n<!-- end of benchmark -->\nafter\n")
    for _ in range(2):
        assert report.publish(document, results)
    text = document.read_text()
    assert text.startswith("before\n<!-- benchmark: tables -->\n")
    assert text.endswith("<!-- end of benchmark -->\nafter\n")
    assert "old" not in text
    assert "Missing: FANN (no shared library)." in text
    assert "| 2.00 µs | 75% | 81% | 20.5 × | NumPy 41.0 µs | 75% of the peak ✓, 2.5 × ✓ |" in text
    assert (
        "| 2.50 µs | 75% | 81% | 0.80 × | 190 ns | 16.4 × | NumPy 41.0 µs | 1 × one thread ✗, ahead of each ✓ |" in text
    )

    document.write_text("<!-- benchmark: summary --><!-- end of benchmark -->")
    assert report.publish(document, results)
    assert "| 2.00 µs (81%) | 20.5 × NumPy | 2.50 µs | 16.4 × NumPy |" in document.read_text()
    document.write_text("nothing")
    assert not report.publish(document, results)


def test_digits():
    assert [report.duration(s) for s in (9.4e-8, 1.0e-6, 9.996e-6, 1.234, 1234.5)] == [
        *("94.0 ns", "1.00 µs", "10.0 µs", "1.23 s", "1,234 s")
    ]


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(peers.LIBRARIES, "JAX", peers.Library("", "", ("that-nobody-has", "numpy", "nor-this")))
    assert peers.missing("JAX") == "no that-nobody-has and no nor-this"
    assert peers.missing("NumPy") is None
    assert np.__version__ == peers.versions("NumPy")
