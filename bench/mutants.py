"""Are the exercises' tests any good? Mutants of every solution, each judged like a submission.

handbook bench mutants [EXERCISE ...] [--changed] [--store bench/mutants.json] [--show] [--json]

A mutant is the solution with one small fault (`handbook.practice.mutants`). It is rejected when a test
fails, time runs out or it crashes. Those that behave exactly like the solution, or change what the exercise
does not ask for, stand with the reason in `tests/exercises/equivalent/<exercise>.toml` and are left out; one
that is listed and rejected all the same is a mistake of the list and is said. Where the solution wraps the
handbook's own code, that code is mutated too: the module runs with its fault before the wrapper imports from
it. What is stored carries a digest of the exercise's files and of that code: a test fails when they have
changed since.
"""

import argparse
import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "tests/exercises/equivalent"
STORE = ROOT / "bench/mutants.json"
FLOOR = 0.95
FACTOR, LEAST = 4.0, 2.0  # a mutant may take so many times the solution's seconds, and at least so many


@dataclass(frozen=True)
class Tested:
    """mutants: without the equivalent ones. visible: rejected by the shown tests alone."""

    digest: str
    mutants: int
    equivalent: int
    rejected: int
    visible: int
    survivors: list[str]


FAULTY = """
import importlib as _importlib
_module = _importlib.import_module({module!r})
exec(compile({source!r}, _module.__file__, "exec"), _module.__dict__)
{wrapper}
"""


def owned(exercise: Any) -> Any:
    """Source of the handbook's own code that the solution wraps, or None."""
    from handbook.book.symbols import source

    return source(exercise.solution) if exercise.solution else None


def made(exercise: Any) -> list[Any]:
    """The mutants of a solution, and of the handbook's own code behind it, as whole programs."""
    from handbook.practice.mutants import mutants

    wrapper = exercise.file("solution.py").read_text(encoding="utf-8")
    found, own = mutants(wrapper), owned(exercise)
    if own is None:
        return found
    module = own.symbol.partition(":")[0]
    lines = range(own.line, own.line + len(own.text.splitlines()))
    taken = {mutant.key for mutant in found}
    return found + [
        replace(
            mutant,
            key=mutant.key + "-own" * (mutant.key in taken),
            code=FAULTY.format(module=module, source=mutant.code, wrapper=wrapper),
        )
        for mutant in mutants(own.file.read_text(encoding="utf-8"))
        if mutant.line in lines
    ]


def digest(exercise: Any) -> str:
    """Of what the result hangs on: solution, code behind it, tests and the list of equivalent mutants."""
    own = owned(exercise)
    files = [exercise.file(name) for name in ("solution.py", "tests.py", "hidden.py")]
    files.append(EQUIVALENT / f"{exercise.name}.toml")
    parts = [file.read_bytes() if file.is_file() else b"" for file in files]
    parts += [own.text.encode()] if own else []
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def equivalent(name: str) -> dict[str, dict[str, str]]:
    """The mutants of an exercise that no test can tell from the solution: by key, with the reason."""
    file = EQUIVALENT / f"{name}.toml"
    if not file.is_file():
        return {}
    listed = tomllib.loads(file.read_text(encoding="utf-8")).get("mutant", [])
    return {entry["key"]: entry for entry in listed}


def run(judge: Any, exercise: Any, workers: int, show: bool = False) -> Tested:
    """Raises RuntimeError where the solution itself does not pass, or the list of equivalents is wrong."""
    source = exercise.file("solution.py").read_text(encoding="utf-8")
    trusted = "handbook" in source
    whole = judge.run(exercise, source, growth=False, trusted=trusted)
    if not whole.passed:
        raise RuntimeError(f"{exercise.name}: the solution does not pass: {whole.broken or whole.verdicts}")
    seconds = max(LEAST, FACTOR * whole.wall)
    known, programs = equivalent(exercise.name), made(exercise)
    if stale := known.keys() - {mutant.key for mutant in programs}:
        raise RuntimeError(f"{exercise.name}: no mutant has these listed keys any more: {sorted(stale)}")

    def verdict(mutant: Any) -> Any:
        return judge.run(
            exercise, mutant.code, growth=False, trusted=trusted, seconds=seconds, fail_fast=True
        )

    with ThreadPoolExecutor(workers) as pool:
        reports = list(pool.map(verdict, programs))
    rejected = visible = 0
    survivors, mistaken = [], []
    for mutant, report in zip(programs, reports, strict=True):
        if report.passed:
            if mutant.key not in known:
                survivors.append(f"line {mutant.line}: {mutant.what} [{mutant.key}]")
            continue
        if mutant.key in known:
            mistaken.append(f"line {mutant.line}: {mutant.what} [{mutant.key}]")
            continue
        rejected += 1
        failed = [v for v in report.verdicts if v.state in ("failed", "error")]
        visible += bool(report.broken) or any(not v.hidden for v in failed)
        if show:
            first = failed[0] if failed else None
            told = f"{first.name}: {first.message[:100]}" if first else report.broken or "no verdict"
            print(f"  line {mutant.line}: {mutant.what}\n    {told}")
    if mistaken:
        raise RuntimeError(f"{exercise.name}: listed as equivalent, and rejected: {'; '.join(mistaken)}")
    return Tested(digest(exercise), len(programs) - len(known), len(known), rejected, visible, survivors)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("exercise", nargs="*", help="which; all when none is named")
    parser.add_argument(
        "--changed", action="store_true", help="only those that changed since they were stored"
    )
    parser.add_argument("--store", type=Path, nargs="?", const=STORE, help="write the results there")
    parser.add_argument("--show", action="store_true", help="say which test rejected each mutant")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)

    from rich.progress import track

    from handbook.book.load import open_book
    from handbook.hardware.probe import probe
    from handbook.practice.judge import Judge
    from handbook.settings import load

    exercises = open_book().exercises
    if unknown := set(options.exercise) - exercises.keys():
        parser.error(f"no exercise {', '.join(sorted(unknown))}")
    stored: dict[str, Any] = {}
    if (options.store or options.changed) and (options.store or STORE).is_file():
        stored = json.loads((options.store or STORE).read_text(encoding="utf-8"))["exercises"]
    chosen = [exercises[name] for name in options.exercise or exercises]
    if options.changed:
        chosen = [e for e in chosen if stored.get(e.name, {}).get("digest") != digest(e)]
    found: dict[str, dict[str, Any]] = {}
    faults = []
    with Judge(load()) as judge:
        for exercise in track(chosen, "Judging mutants", disable=options.json or not sys.stderr.isatty()):
            try:
                tested = run(judge, exercise, options.workers, options.show)
            except RuntimeError as error:
                faults.append(str(error))
                print(error, file=sys.stderr)
                continue
            found[exercise.name] = asdict(tested)
            if not options.json:
                share = tested.rejected / tested.mutants if tested.mutants else 1.0
                print(
                    f"{exercise.name:<32}{tested.rejected:>4} of {tested.mutants:<4} {share:6.1%}  "
                    f"shown tests alone {tested.visible:>4}  equivalent {tested.equivalent}"
                )
                for survivor in tested.survivors:
                    print(f"    survives: {survivor}")
            if options.store:
                kept = {n: v for n, v in (stored | found).items() if n in exercises}
                text = json.dumps({"exercises": dict(sorted(kept.items()))}, indent=1, ensure_ascii=False)
                options.store.write_text(text + "\n", encoding="utf-8")
    mutants, rejected, visible = (
        sum(one[key] for one in found.values()) for key in ("mutants", "rejected", "visible")
    )
    if options.json:
        values = {"mutants": mutants, "rejected": rejected, "visible": visible, "faults": faults}
        print(json.dumps({"machine": probe().label, "date": str(date.today()), **values, "exercises": found}))
    elif mutants:
        print(
            f"{len(found)} exercises: {rejected} of {mutants} mutants rejected ({rejected / mutants:.1%}), "
            f"{visible / mutants:.1%} by the shown tests alone. {probe().label}, {date.today()}"
        )
    weak = [name for name, one in found.items() if one["rejected"] < FLOOR * one["mutants"]]
    if weak and not options.json:
        print(f"Under {FLOOR:.0%}: {', '.join(weak)}.")
    return 1 if weak or faults else 0


if __name__ == "__main__":
    sys.exit(main())
