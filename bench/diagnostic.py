"""What a 20-minute diagnostic finds out about learners who were made up by another model than its own.

handbook bench diagnostic [--learners 200] [--level senior] [--budget 20] [--json]

JSON: ways -> by way of asking and inferring: decided (sections that are called solid or shaky, of those with
questions), right_of_solid, right_of_shaky, right_of_all, inside_of_areas (true shares that lie within their
80 % interval), width_of_areas, asked, minutes, milliseconds_a_question.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from datetime import date
from random import Random
from time import perf_counter
from typing import Any

WAYS = ("graph", "chapters alone", "random questions", "no inference")


def one(graph: Any, seed: int, way: str, level: Any, budget: float) -> dict[str, float]:
    """Counts of one learner."""
    from handbook.practice.diagnostic import Diagnostic
    from handbook.practice.learners import examined, learner
    from handbook.practice.readiness import readiness

    someone = learner(graph, seed)
    diagnostic = Diagnostic(graph, seed, level, budget, edges=way != "chapters alone")
    if way == "random questions":
        diagnostic._choose = at_random(diagnostic, seed)  # type: ignore[method-assign]
    began = perf_counter()
    result = examined(someone, diagnostic)
    seconds = perf_counter() - began
    counts = dict.fromkeys(("solid", "solid_right", "shaky", "shaky_right", "direct", "sections"), 0.0)
    for id, standing in result.sections.items():
        if not graph.concepts[id].questions or (way == "no inference" and not standing.direct):
            continue
        known = id in someone.mastered
        counts["direct"] += bool(standing.direct)
        if standing.state != "unknown":
            counts[standing.state] += 1
            counts[f"{standing.state}_right"] += known == (standing.state == "solid")
    counts["sections"] = sum(bool(graph.concepts[id].questions) for id in result.sections)
    rows = [row for row in readiness(graph, diagnostic) if row.low is not None and row.high is not None]
    inside = [row.low <= someone.expected(row.area, level) <= row.high for row in rows]  # type: ignore[operator]
    counts["areas"], counts["inside"] = len(rows), sum(inside)
    counts["width"] = sum(row.high - row.low for row in rows)  # type: ignore[operator]
    counts["asked"], counts["minutes"], counts["seconds"] = result.asked, result.minutes, seconds
    return counts


def at_random(diagnostic: Any, seed: int) -> Callable[[], Any]:
    """Questions in an order that was drawn, with the same clock."""
    from handbook.practice.diagnostic import GRACE, LEVELS

    order = list(diagnostic.graph.questions.values())
    Random(seed).shuffle(order)

    def choose() -> Any:
        done = {each.question for each in diagnostic.answers}
        highest = LEVELS.index(diagnostic.level) + 1
        fits = (
            q
            for q in order
            if q.id not in done
            and LEVELS.index(q.level) <= highest
            and diagnostic.expected(q) <= diagnostic.left + GRACE
        )
        return next(fits, None) if diagnostic.left > 0 else None

    return choose


def summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    total = {key: sum(row[key] for row in rows) for key in rows[0]}
    decided = total["solid"] + total["shaky"]
    return {
        "asked": statistics.mean(row["asked"] for row in rows),
        "minutes": statistics.mean(row["minutes"] for row in rows),
        "decided": decided / total["sections"],
        "right_of_solid": total["solid_right"] / max(total["solid"], 1),
        "right_of_shaky": total["shaky_right"] / max(total["shaky"], 1),
        "right_of_all": (total["solid_right"] + total["shaky_right"]) / total["sections"],
        "inside_of_areas": total["inside"] / max(total["areas"], 1),
        "width_of_areas": total["width"] / max(total["areas"], 1),
        "milliseconds_a_question": 1000 * total["seconds"] / max(total["asked"], 1),
    }


def measure(learners: int, level: str, budget: float) -> dict[str, dict[str, float]]:
    from handbook.book.load import open_book
    from handbook.practice.graph import concepts
    from handbook.settings import load

    graph = concepts(open_book(load().book))
    return {way: summary([one(graph, n, way, level, budget) for n in range(learners)]) for way in WAYS}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench diagnostic", description=__doc__)
    parser.add_argument("--learners", type=int, default=200)
    parser.add_argument("--level", default="senior", choices=["foundation", "senior", "lead", "architect"])
    parser.add_argument("--budget", type=float, default=20.0, help="minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(options.learners, options.level, options.budget)
    if options.json:
        from handbook.hardware.probe import probe

        told = {
            "schema": "handbook.bench.diagnostic/1",
            "machine": probe().label,
            "date": date.today().isoformat(),
            "learners": options.learners,
            "level": options.level,
            "budget": options.budget,
            "ways": found,
        }
        print(json.dumps(told, indent=2))
        return 0
    print(f"{options.learners} learners, level {options.level}, {options.budget:g} minutes")
    names = list(next(iter(found.values())))
    print(f"{'':<18}" + "".join(f"{name.replace('_', ' '):>24}" for name in names))
    for way, row in found.items():
        print(f"{way:<18}" + "".join(f"{row[name]:>24.3f}" for name in names))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
