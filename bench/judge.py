"""What a submission costs by isolation: a cell from request to readiness and to its end, and a whole verdict.

handbook bench judge [--exercise stable-softmax] [--rounds 30] [--isolation worker process] [--json]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import date
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

NOTHING = "handbook.practice.sandbox.trial:nothing"
KINDS = ("worker", "bubblewrap", "process")


def middle(step: Callable[[], float], rounds: int) -> dict[str, float]:
    """Median and range, in milliseconds."""
    taken = sorted(1000 * step() for _ in range(rounds))
    return {"median": statistics.median(taken), "least": taken[0], "most": taken[-1]}


def of_cells(box: Any, rounds: int) -> dict[str, Any]:
    """Milliseconds to make a cell (until its main begins) and for its whole life; its layers, as it says."""
    from handbook.practice.sandbox import Limits

    layers: tuple[str, ...] = ()

    def ready() -> float:
        nonlocal layers
        begin = perf_counter()
        cell = box.start(NOTHING, [], Limits())
        cell.ready.wait(10)
        seconds = perf_counter() - begin
        cell.wait(10)
        layers = cell.layers
        return seconds

    def whole() -> float:
        begin = perf_counter()
        box.start(NOTHING, [], Limits()).wait(10)
        return perf_counter() - begin

    ready()
    return {"ready": middle(ready, rounds), "whole": middle(whole, rounds), "layers": layers}


def measure(name: str, rounds: int, kinds: Sequence[str]) -> dict[str, Any]:
    from handbook.book.load import open_book
    from handbook.errors import IsolationError
    from handbook.hardware.probe import probe
    from handbook.practice.judge import Judge
    from handbook.settings import load

    exercise = open_book(load().book).exercises[name]
    code = exercise.file("solution.py").read_text(encoding="utf-8")
    rows: dict[str, Any] = {}
    for kind in kinds:
        try:
            with Judge(SimpleNamespace(judge_isolation=kind)) as judge:
                begin = perf_counter()
                judge.open()
                opened = perf_counter() - begin

                def verdict(judge: Judge = judge) -> float:
                    begin = perf_counter()
                    report = judge.run(exercise, code, growth=False)
                    assert report.passed, report
                    return perf_counter() - begin

                first = verdict()
                used = process_time()
                row = {"verdict": middle(verdict, max(3, rounds // 3))}
                own = 1000 * (process_time() - used) / max(3, rounds // 3)
                rows[kind] = {
                    "open": 1000 * opened,
                    "first": 1000 * first,
                    **row,
                    "parent_cpu": own,
                    **of_cells(judge.sandbox, rounds),
                }
        except IsolationError as error:
            rows[kind] = {"missing": str(error)}
    return {"exercise": name, "rows": rows, "machine": probe().label, "date": date.today().isoformat()}


def told(row: dict[str, Any]) -> str:
    if "missing" in row:
        return str(row["missing"])
    texts = [
        f"{what} {row[key]['median']:.1f} ms ({row[key]['least']:.1f} to {row[key]['most']:.1f})"
        for key, what in (("ready", "cell ready"), ("whole", "its whole life"), ("verdict", "verdict"))
    ]
    texts.append(f"started in {row['open']:.0f} ms, first verdict {row['first']:.0f} ms")
    texts.append(f"parent {row['parent_cpu']:.1f} ms of CPU a verdict")
    return f"{'; '.join(texts)}\n    {', '.join(row['layers'])}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench judge", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--exercise", default="stable-softmax", help="whose solution is judged, without growth"
    )
    parser.add_argument("--rounds", type=int, default=30, help="cells of each kind; a third as many verdicts")
    parser.add_argument("--isolation", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    found = measure(options.exercise, options.rounds, options.isolation)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.judge/1", **found}, indent=2))
        return 0
    print(f"{found['machine']}; solution of {found['exercise']}, visible and hidden tests")
    for kind, row in found["rows"].items():
        print(f"{kind}: {told(row)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
