"""How well typed answers are graded: against people's scores, questions left out, beside simple baselines.

    handbook bench grading                            mohler and saf of the folder that HANDBOOK_GRADING names
    handbook bench grading FILE.csv ... [--high 5]    your own: columns question, reference, answer, score
    handbook bench grading --adversarial              answers that try to pass, and good ones in other words
    handbook bench grading --cases | --fit            on bench/grading/cases; --fit writes practice/grade.json

A set has no criteria, so the statements of its reference answers serve. What a grader sees of an answer
becomes a score by a fit on other questions' answers (bench/_scoring.py): ten folds, a question's answers all
in one. `--predictions FILE.csv` writes each answer with its scores.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from _agreement import Agreement, agreement
from _graded import Graded, from_csv, mohler, saf
from _scoring import left_out
from _seen import aligned, cosines, judged, lengths, shared, vectors
from numpy.typing import NDArray

from handbook.errors import HandbookError
from handbook.hardware.probe import probe
from handbook.settings import Settings, load

Numbers = NDArray[np.float64]
SETS = {"mohler": mohler, "saf": saf}


def public_sets(settings: Settings, names: Sequence[str]) -> list[Graded]:
    """Raises HandbookError where the setting names no folder."""
    if settings.grading is None:
        raise HandbookError(
            "No folder of graded answers: the setting `grading` is not given.",
            "Set HANDBOOK_GRADING to the folder that holds mohler/ and saf/, or name a CSV file.",
        )
    return [SETS[name](settings.grading) for name in names]


def features(graded: Graded, settings: Settings, grader: Any, quiet: bool) -> dict[str, list[Numbers]]:
    """By grader, blocks of [N, F]: the baselines, and ours where it is to be had. Ours sees what they see."""
    from handbook.embed import open_embedder

    rows, embedder = graded.rows, open_embedder(settings)
    seen = {"length": [lengths(rows)], "shared words": [shared(rows)], "cosine": [cosines(rows, embedder)]}
    if grader is not None:
        simple = [block for blocks in seen.values() for block in blocks]
        if hasattr(embedder, "token_vectors"):  # a server's model shows none
            seen["alignment"] = [aligned(rows, embedder)]
            simple += seen["alignment"]
        seen["without judging"] = [np.column_stack(simple), vectors(rows, embedder)]
        own = judged(rows, grader, None if quiet else _progress(graded.name))
        seen["judging alone"] = [own]
        seen["grader"] = [np.column_stack([own, *simple]), seen["without judging"][1]]
    return seen


def between_people(graded: Graded) -> Agreement | None:
    """One human grader against the other, where a set has two."""
    pairs = [row.others for row in graded.rows]
    if not pairs or len(pairs[0]) != 2:
        return None
    one, two = zip(*pairs, strict=True)
    return agreement(one, two, graded.low, graded.high)


def measured(
    graded: Graded, seen: Mapping[str, Sequence[Numbers]], seeds: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Numbers]]:
    """(what is said of each grader, its equated scores of the first seed)."""
    human = np.array([row.score for row in graded.rows])
    said: dict[str, Any] = {}
    scores: dict[str, Numbers] = {}
    for name, each in seen.items():
        runs = [left_out(each, human, graded.asked, graded.low, graded.high, seed) for seed in seeds]
        both = {
            way: [agreement(run[place], human, graded.low, graded.high) for run in runs]
            for place, way in enumerate(("ridge", "equated"))
        }
        said[name] = {way: _median(found) for way, found in both.items()}
        scores[name] = runs[0][1]
    return said, scores


def _median(found: Sequence[Agreement]) -> dict[str, Any]:
    """Of several ways to deal the questions into folds: the first whole, with the medians of the headline
    figures and how far they lie apart."""
    first = found[0].asdict()
    for name in ("r", "kappa", "rmse"):
        values = [getattr(each, name) for each in found]
        first[name], first[f"{name}_range"] = statistics.median(values), [min(values), max(values)]
    poor = [each.poor.mean_error for each in found]
    first["poor"]["mean_error"] = statistics.median(poor)
    first["poor"]["mean_error_range"] = [min(poor), max(poor)]
    return first


def _progress(name: str) -> Any:
    begun = time.monotonic()

    def show(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"\r{name}: {done}/{total}, {time.monotonic() - begun:.0f} s", end="", file=sys.stderr)
            if done == total:
                print(file=sys.stderr)

    return show


def told(report: Mapping[str, Any]) -> None:
    """For people, as a table."""
    for each in report["sets"]:
        low, high = each["scale"]
        print(
            f"\n{each['name']}: {each['answers']} answers, {each['questions']} questions, {low:g} to {high:g}"
        )
        head = (
            "",
            "Pearson r",
            "kappa",
            "RMSE",
            "mean error of poor",
            *(f"{edge:g}+" for edge in each["edges"]),
        )
        print("  {:<24}{:>10}{:>8}{:>7}{:>20}".format(*head[:5]) + "".join(f"{h:>8}" for h in head[5:]))
        rows = [(f"{name}, {way}", said[way]) for name, said in each["graders"].items() for way in said]
        if each["people"]:
            rows.insert(0, ("people, one by the other", each["people"]))
        for name, said in rows:
            bands = "".join(f"{band['mean_error']:>+8.2f}" for band in said["bands"])
            print(
                f"  {name:<24}{said['r']:>10.3f}{said['kappa']:>8.3f}{said['rmse']:>7.2f}"
                f"{said['poor']['mean_error']:>+20.2f}{bands}"
            )
        print(f"  poor: the {each['poor']} answers that people gave less than two fifths")


def _write(file: Path, graded: Sequence[Graded], scores: Sequence[Mapping[str, Numbers]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        names = sorted({name for each in scores for name in each})
        writer.writerow(["set", "question", "answer", "score", *names])
        for one, given in zip(graded, scores, strict=True):
            for place, row in enumerate(one.rows):
                values = [f"{given[name][place]:.3f}" if name in given else "" for name in names]
                writer.writerow([one.name, row.question, row.answer, row.score, *values])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench grading", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="CSV files; without one, the public sets")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=sorted(SETS))
    parser.add_argument("--low", type=float, help="of the scale; by default 0")
    parser.add_argument("--high", type=float, help="of the scale; by default the highest score there is")
    parser.add_argument("--baselines", action="store_true", help="only these: no grader")
    parser.add_argument("--seeds", type=int, default=3, help="ways to deal the questions into folds")
    parser.add_argument("--predictions", type=Path, help="write each answer with its scores, as CSV")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--adversarial", action="store_true", help="bench/grading: fooled, and fair?")
    parser.add_argument("--cases", action="store_true", help="cases that taught nothing (--of)")
    parser.add_argument("--fit", action="store_true", help="as --cases, and write the calibration")
    parser.add_argument(
        "--of", choices=("dev", "known"), default="dev", help="questions left out, or answers (known)"
    )
    parser.add_argument("--weights", type=Path, help="of the local grader's model, in place of the shipped")
    parser.add_argument("--grader", choices=("local", "embedding", "chat"), help="by default the settings'")
    chosen = parser.parse_args(arguments)
    settings = load()
    if chosen.grader:
        settings = settings.model_copy(update={"grader": chosen.grader})
    if chosen.adversarial or chosen.cases or chosen.fit:
        from _own_cases import own_cases

        return own_cases(
            settings, chosen.fit, chosen.cases, chosen.adversarial, chosen.json, chosen.of, chosen.weights
        )
    graded = (
        [from_csv(file, chosen.low, chosen.high) for file in chosen.files]
        if chosen.files
        else public_sets(settings, chosen.sets)
    )
    grader = None
    if not chosen.baselines:
        from handbook.practice.grade import open_grader

        grader = open_grader(settings)
    report: dict[str, Any] = {"sets": [], "machine": probe().label, "date": str(date.today())}
    every: list[dict[str, Numbers]] = []
    for each in graded:
        begun = time.monotonic()
        try:
            said, scores = measured(each, features(each, settings, grader, chosen.json), range(chosen.seeds))
        except ValueError as error:
            raise HandbookError(f"{each.name}: {error}.", "Add answers to other questions.") from error
        people = between_people(each)
        every.append(scores)
        first = next(iter(said.values()))["ridge"]
        report["sets"].append(
            {
                "name": each.name,
                "answers": len(each.rows),
                "questions": len(set(each.asked)),
                "scale": [each.low, each.high],
                "edges": [band["low"] for band in first["bands"]],
                "poor": first["poor"]["answers"],
                "grader": getattr(grader, "name", ""),
                "people": people.asdict() if people else None,
                "graders": said,
                "seconds": round(time.monotonic() - begun, 1),
            }
        )
    if chosen.predictions:
        _write(chosen.predictions, graded, every)
    if chosen.json:
        print(json.dumps(report, indent=1))
    else:
        told(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
