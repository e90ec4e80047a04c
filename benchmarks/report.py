"""Tables in Markdown from the results of a run, and their place in the documents.

    python benchmarks/report.py [FILE ...]

puts the last run's tables between the markers of README.md and docs/performance.md, or of the files named.
"""

import json
import sys
from pathlib import Path
from typing import Any

from workloads import WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "performance.md"]


def digits(value: float) -> str:
    """Three significant ones, without an exponent."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    unit, size = next((u for u in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)) if seconds >= u[1]), ("ns", 1e-9))
    return f"{digits(seconds / size)} {unit}"


def of_limit(value: float, work: Workload) -> str:
    """A fraction of a limit; where a row is bound by latency, neither limit says anything."""
    return "" if work.flops < 1e4 else f"{value:.0%}"


def best_rival(seconds: dict[str, float]) -> str:
    rivals = [name for name in seconds if name != "mlpc"]
    return min(rivals, key=lambda name: seconds[name]) if rivals else ""


def aims(work: Workload, measured: dict[str, Any]) -> list[tuple[str, bool]]:
    """What the row is to reach on one thread, and whether it did."""
    aim, seconds, found = work.aim, measured["seconds"], []
    if aim.fraction:
        found.append((f"{aim.fraction:.0%} of the {aim.of}", measured[f"of_{aim.of}"] >= aim.fraction))
    if aim.seconds:
        found.append((duration(aim.seconds), seconds["mlpc"] <= aim.seconds))
    rival = aim.rival if aim.rival in seconds else best_rival(seconds)
    if rival:
        name = f" {rival}" if rival == aim.rival else ""
        found.append((f"{aim.ratio:g} ×{name}", seconds[rival] >= aim.ratio * seconds["mlpc"]))
    return found


def lines(head: list[str], body: list[list[str]]) -> str:
    """Format a table."""
    rule = "|---" + "|--:" * (len(head) - 1) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(cells)} |" for cells in body)])


def table(results: dict[str, Any], threads: str) -> str:
    """All rows with one number of threads: our time, the fraction of the limits, the others' times as multiples."""
    rivals = [name for name in results["versions"] if name != "mlpc"]
    speedup = threads != "1" and "1" in results["threads"]
    head = ["a step, run or call of", "mlpc", "of the peak", "of the roofline"]
    head += (["than one thread", "a message and its answer"] if speedup else []) + rivals + ["best", "aim"]
    body = []
    for name, by_threads in results["rows"].items():
        if threads not in by_threads:
            continue
        work, measured = WORKLOADS[name], by_threads[threads]
        seconds = measured["seconds"]
        cells = [name, duration(seconds["mlpc"])]
        cells += [of_limit(measured[key], work) for key in ("of_peak", "of_roofline")]
        reached = aims(work, measured) if threads == "1" else []
        if speedup:
            faster = by_threads["1"]["seconds"]["mlpc"] / seconds["mlpc"]
            cells += [f"{faster:.2f} ×", duration(measured["message"])]
            least = work.speedup_aim if threads == "2" else 1.0
            # Where nothing is shared, noise alone decides.
            reached.append((f"{least:g} × one thread", faster >= (least if least > 1.0 else 0.97)))
        best = best_rival(seconds)
        if threads != "1" and best:
            reached.append(("ahead of each", seconds[best] > seconds["mlpc"]))
        cells += [f"{digits(seconds[r] / seconds['mlpc'])} ×" if r in seconds else "" for r in rivals]
        cells.append(f"{best} {duration(seconds[best])}" if best else "")
        cells.append(", ".join(f"{text} {'✓' if met else '✗'}" for text, met in reached))
        body.append(cells)
    return lines(head, body)


def machine(results: dict[str, Any]) -> str:
    """A paragraph: where, with what, how."""
    libraries = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    absent = "; ".join(f"{name} ({reason})" for name, reason in results["missing"].items())
    text = [
        f"{results['processor']}, {results['cpus']} of its processors, {results['system']}.",
        f"Python {results['python']}, {libraries}." + (f" Missing: {absent}." if absent else ""),
    ]
    for threads, measured in results["threads"].items():
        copies = ", ".join(f"{rate / 1e9:.0f} in {level}" for level, rate in measured["bandwidth"].items())
        text.append(
            f"{threads} thread{'s' * (threads != '1')}: {measured['kernels']} kernels, FMA peak in float32"
            f" {measured['peak'] / 1e9:.0f} GF/s, copies (read and written) in GB/s: {copies}."
        )
    rounds = {len(times) for row in results["rows"].values() for m in row.values() for times in m["times"].values()}
    several = f"{min(rounds)} to {max(rounds)}" if len(rounds) > 1 else f"{max(rounds, default=0)}"
    text.append(f"Medians of {several} rounds, {results['date']}.")
    return " ".join(text)


def growth(results: dict[str, Any]) -> str:
    """Costs by rows, of small calls, of imports and of the extension."""
    costs = results["costs"]
    first = costs["growth"][0]
    body = []
    for row, used in zip(costs["growth"], costs["memory"], strict=True):
        cells = [f"{row['rows']:,}"]
        for kind in ("in_order", "shuffled", "predict"):
            cells.append(f"{duration(row[kind])} ({row[kind] / first[kind]:.2f} ×)")
        cells += [f"{used[kind] / 1e6:.2f} MB" if used else "" for kind in ("in_order", "shuffled")]
        body.append(cells)
    head = ["rows of a call", "fit, in order: a row", "shuffled: a row", "predict_proba: a row"]
    parts = [lines([*head, "memory of a call, in order", "shuffled"], body)]
    parts.append(lines(["the smallest calls", "time"], [[k, duration(v)] for k, v in costs["calls"].items()]))
    parts.append(lines(["import", "time"], [[k, duration(v)] for k, v in costs["imports"].items()]))
    parts.append("The extension: " + ", ".join(f"{k} {v / 1e3:,.0f} kB" for k, v in costs["extension"].items()) + ".")
    return "\n\n".join(parts)


def full(results: dict[str, Any]) -> str:
    """Everything."""
    parts = [machine(results)]
    for threads in results["threads"]:
        if any(threads in row for row in results["rows"].values()):
            parts += [f"**{threads} thread{'s' * (threads != '1')}.**", table(results, threads)]
    if "costs" in results:
        parts += ["**Costs by rows**, 10-32-32-1, B=32, SGD, float32, one thread.", growth(results)]
    return "\n\n".join(parts)


def summary(results: dict[str, Any]) -> str:
    """What fits a README: our time, how near to the limit, the best rival."""
    body = []
    for name, by_threads in results["rows"].items():
        work, cells = WORKLOADS[name], [name]
        if "1" not in by_threads:
            continue
        for threads in results["threads"]:
            measured = by_threads.get(threads)
            if measured is None:
                cells += ["", ""]
                continue
            seconds = measured["seconds"]
            best = best_rival(seconds)
            near = of_limit(measured["of_roofline"], work)
            cells.append(duration(seconds["mlpc"]) + (f" ({near})" if near and threads == "1" else ""))
            cells.append(f"{digits(seconds[best] / seconds['mlpc'])} × {best}" if best else "")
        body.append(cells)
    head = ["a step, run or call of"]
    for threads in results["threads"]:
        near = " (of the roofline)" if threads == "1" else ""
        head += [f"mlpc, {threads} thread{'s' * (threads != '1')}{near}", "against the best rival"]
    return "\n\n".join([lines(head, body), machine(results)])


def publish(path: Path, results: dict[str, Any]) -> bool:
    """Replace what a document has between its markers; say whether it has any."""
    text = path.read_text(encoding="utf-8")
    for name, write in (("summary", summary), ("tables", full)):
        start, end = f"<!-- benchmark: {name} -->", "<!-- end of benchmark -->"
        if start in text:
            before, _, rest = text.partition(start)
            after = rest.partition(end)[2]
            path.write_text(f"{before}{start}\n\n{write(results)}\n\n{end}{after}", encoding="utf-8")
            return True
    return False


def main() -> None:
    """Publish the last run."""
    latest = RESULTS / "latest.json"
    if not latest.exists():
        raise SystemExit("there are no results: run `make bench` first")
    results = json.loads(latest.read_text(encoding="utf-8"))
    for path in [Path(name) for name in sys.argv[1:]] or [path for path in DOCUMENTS if path.exists()]:
        print(f"{path}: {'published' if publish(path, results) else 'has no markers'}")


if __name__ == "__main__":
    main()
