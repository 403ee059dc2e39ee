"""How often a question is understood without a chat model, step by step: spelled, made to stand alone,
filtered, routed, taken apart.

Questions: bench/understand/queries.jsonl, each labelled for every step, most of them with nothing to do
there: what is done without need counts as wrong. Half of them were looked at while the rules were written
(dev), the others were run once they were done (test); both are by who wrote the rules, so they say what the
rules hold, not what people ask. Corpora: the book, and two small ones in corpora.json, for routing.
`--retrieval` also asks whether other wordings and feedback find more of what bench/ask wants.

    handbook bench understand [--json] [--split dev] [--misses] [--retrieval]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from handbook.hardware.probe import probe

HERE = Path(__file__).parent
SETS = HERE / "understand"
TODAY = date(2026, 11, 22)
SPLITS = ("dev", "test")
STEPS = ("spell", "rewrite", "filter", "route", "decompose")
SAYS = "Language models: architecture, training, inference, retrieval, and the code of this handbook."


def read(path: Path = SETS / "queries.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def profiles() -> list[Any]:
    """The book and the two small corpora, by their words alone."""
    from handbook.book.load import open_book
    from handbook.rag.passages import book_entries, code_entries
    from handbook.rag.query.lexicon import Lexicon
    from handbook.rag.query.routing import Profile

    entries = [*book_entries(open_book()), *code_entries()]
    small = json.loads((SETS / "corpora.json").read_text(encoding="utf-8"))
    found = [Profile("book", Lexicon.of(entry.body for entry in entries), SAYS)]
    return found + [Profile(name, Lexicon.of(one["texts"]), one["says"]) for name, one in small.items()]


def has(text: str, words: Sequence[str]) -> bool:
    return all(word.lower() in text.lower() for word in words)


def judged(row: dict[str, Any], understood: Any) -> dict[str, tuple[bool, bool]]:
    """By step: whether there was something to do, and whether the outcome is right."""
    by = {step.stage.removeprefix("understand."): step for step in understood.steps}
    normal = str(by["normalise"].produced["text"])
    spelled = str(by["spell"].produced["text"]) if "spell" in by else normal
    rewritten = str(by["rewrite"].produced["text"]) if "rewrite" in by else spelled  # small talk has neither
    found: dict[str, tuple[bool, bool]] = {}
    found["spell"] = (
        row["spelled"] is not None,
        spelled == (row["spelled"] or normal),
    )
    if row["needs"]:
        right = has(rewritten, row["needs"]) and not any(word in rewritten for word in row["lacks"])
        found["rewrite"] = True, right
    else:
        found["rewrite"] = False, rewritten == spelled
    conditions = {c.name: c for c in understood.conditions}
    wanted = row["conditions"]
    found["filter"] = (
        bool(wanted),
        set(conditions) == set(wanted)
        and all(
            list(conditions[name].any_of) == one.get("any_of", [])
            and (conditions[name].least, conditions[name].most) == (one.get("least"), one.get("most"))
            for name, one in wanted.items()
        ),
    )
    if row["route"] is not None:
        found["route"] = not row["route"], list(understood.corpora[:1]) == row["route"]
    if understood.corpora:
        parts, want = understood.parts, row["parts"]
        right = len(parts) == len(want or [0]) and all(map(has, parts, want or [[]]))
        found["decompose"] = want is not None, right
    return found


def score(rows: Sequence[dict[str, Any]], understand: Callable[..., Any]) -> dict[str, Any]:
    """Right and all, by step: where there was something to do, and where not. For routes: where no corpus
    is asked, and where one is."""
    from handbook.records import Message

    counts = {step: {"needed": [0, 0], "not needed": [0, 0]} for step in STEPS}
    misses = []
    for row in rows:
        history = [Message(role, text) for role, text in row["history"]]
        understood = understand(row["question"], history, TODAY)
        for step, (needed, right) in judged(row, understood).items():
            cell = counts[step]["needed" if needed else "not needed"]
            cell[0] += right
            cell[1] += 1
            if not right:
                produced = next((s.produced for s in understood.steps if s.stage.endswith(step)), {})
                misses.append(
                    {"id": row["id"], "step": step, "question": row["question"], "got": str(produced)[:400]}
                )
    return {"steps": counts, "misses": misses}


def latency(rows: Sequence[dict[str, Any]], understand: Callable[..., Any], times: int = 5) -> dict[str, Any]:
    """Milliseconds of each step, and of all, over the questions."""
    from handbook.records import Message

    took: dict[str, list[float]] = {}
    for _ in range(times):
        for row in rows:
            history = [Message(role, text) for role, text in row["history"]]
            began = time.perf_counter()
            understood = understand(row["question"], history, TODAY)
            took.setdefault("all", []).append(time.perf_counter() - began)
            for step in understood.steps:
                took.setdefault(step.stage.removeprefix("understand."), []).append(step.seconds)
    return {
        name: {
            "p50_ms": round(1000 * statistics.median(some), 3),
            "p99_ms": round(1000 * sorted(some)[int(0.99 * len(some))], 3),
        }
        for name, some in took.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--split", choices=SPLITS, help="one of them alone")
    parser.add_argument("--misses", action="store_true", help="show what went wrong")
    parser.add_argument(
        "--retrieval", action="store_true", help="wordings and feedback on bench/ask (minutes)"
    )
    options = parser.parse_args(argv)

    from handbook.rag.understand import Understanding

    understand = Understanding(profiles())
    rows = read()
    began = time.perf_counter()
    understand("How does attention work?")
    report: dict[str, Any] = {
        "machine": probe().label,
        "date": date.today().isoformat(),
        "first_question_s": round(time.perf_counter() - began, 3),
        "words": len(understand.lexicon.frequency),
    }
    for split in [options.split] if options.split else SPLITS:
        report[split] = score([row for row in rows if row["split"] == split], understand)
    report["latency"] = latency(rows, understand)
    if options.retrieval:
        from _wordings import retrieval

        report["retrieval"] = retrieval()
    print(json.dumps(report, indent=1, ensure_ascii=False) if options.json else told(report, options.misses))
    return 0


def told(report: dict[str, Any], misses: bool) -> str:
    lines = [
        f"{report['machine']}, {report['date']}; {report['words']:,} words; first "
        f"{report['first_question_s']} s"
    ]
    for split in (one for one in SPLITS if one in report):
        lines.append(f"{split}: right of what needed it, and of what did not (route: for none, and for one)")
        for step, cells in report[split]["steps"].items():
            (a, b), (c, d) = cells["needed"], cells["not needed"]
            lines.append(f"  {step:10} {a:3} of {b:3}   {c:3} of {d:3}")
        if misses:
            lines += [
                f"  {m['id']} {m['step']}: {m['question']}\n      {m['got']}" for m in report[split]["misses"]
            ]
    lines += [f"{name}: p50 {t['p50_ms']} ms, p99 {t['p99_ms']} ms" for name, t in report["latency"].items()]
    if "retrieval" in report:
        lines.append(json.dumps(report["retrieval"], indent=1))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
