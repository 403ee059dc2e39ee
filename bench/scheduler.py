"""The scheduler's own time for a step, with N sequences decoding: `step` and `done` together, no model.

handbook bench scheduler [--running 256] [--page 16] [--prompt 100] [--steps 400] [--json]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from datetime import date
from time import perf_counter
from typing import Any


def measure(running: int, page: int, prompt: int, steps: int) -> dict[str, Any]:
    from handbook.engine.pages import Pages
    from handbook.engine.scheduler import Scheduler
    from handbook.engine.work import Limits, Request
    from handbook.hardware.probe import probe

    each = -(-(prompt + steps) // page)
    scheduler = Scheduler(Pages(2 * running * each, page), Limits(tokens=4 * running, running=running))
    for number in range(running):
        text = tuple(range(number, number + prompt))
        scheduler.add(Request(id=str(number), prompt=text, max_tokens=steps))
    planned: list[float] = []
    closed: list[float] = []
    while len(scheduler):
        begin = perf_counter()
        batch = scheduler.step(0.0)
        middle = perf_counter()
        sampled = {work.sequence: [7] for work in batch.work if work.wanted}
        resumed = perf_counter()
        scheduler.done(batch, sampled)
        end = perf_counter()
        if batch.tokens == len(batch.work) == running:  # everybody decodes
            planned.append(middle - begin)
            closed.append(end - resumed)
    both = sorted(a + b for a, b in zip(planned, closed, strict=True))
    return {
        "running": running,
        "page": page,
        "steps": len(both),
        "milliseconds": 1000 * statistics.median(both),
        "milliseconds_step": 1000 * statistics.median(planned),
        "milliseconds_done": 1000 * statistics.median(closed),
        "milliseconds_p99": 1000 * both[int(0.99 * len(both))],
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench scheduler", description=__doc__.partition("\n")[0])
    parser.add_argument("--running", type=int, default=256, help="sequences that decode")
    parser.add_argument("--page", type=int, default=16, help="positions of a page")
    parser.add_argument("--prompt", type=int, default=100, help="tokens of each prompt")
    parser.add_argument("--steps", type=int, default=400, help="tokens that each sequence gets")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if min(options.running, options.page, options.prompt, options.steps - 1) < 1:
        parser.error("--running, --page and --prompt are at least 1, --steps at least 2")
    found = measure(options.running, options.page, options.prompt, options.steps)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.scheduler/1", **found}, indent=2))
        return 0
    print(found["machine"])
    print(
        f"{found['running']} sequences: {found['milliseconds']:.3f} ms a step, median of {found['steps']} "
        f"(step {found['milliseconds_step']:.3f}, done {found['milliseconds_done']:.3f}; "
        f"99th percentile {found['milliseconds_p99']:.3f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
