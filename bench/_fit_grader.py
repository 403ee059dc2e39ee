"""Calibrations of the local graders, fitted on cases that no model was trained on: of the dev questions, or,
for a model that was taught all criteria of the book, texts that were kept back.

For each case the grader says what it sees of the text (signals of the piece that speaks best for a
criterion); a logistic model makes a probability of it; thresholds are chosen on questions left out.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _calibrate import Fit, described, fit, left_out, thresholds
from _cases import Case, elsewhere, judged, mixed, rows, single, untaught, whole
from numpy.typing import NDArray

from handbook.practice.evidence import Reading, read
from handbook.practice.grade import doubt
from handbook.practice.graders.embedding import EmbeddingGrader
from handbook.practice.graders.local import Seen
from handbook.practice.opinions import Found
from handbook.records import Criterion, Question

Numbers = NDArray[np.float64]
FILE = Path(__file__).parents[1] / "handbook" / "practice" / "grade.json"
WRONG_YES = 0.04  # of criteria that are not met, at most so many may be called met
MISSED = 0.05  # of criteria that are met, at most so many may be called not met
WRONG_MISTAKE = 0.02  # of misconceptions that are not made
ROUNDS = 3  # of fitting, and choosing anew which piece speaks


@dataclass(frozen=True, slots=True)
class Row:
    """table: [P pieces, F signals], NaN where not looked at. stands: [P], whether a yes could rest on that
    piece, by the rules."""

    question: str
    kind: str
    known: bool
    table: NDArray[np.float32]
    stands: NDArray[np.bool_]


def looked(
    grader: EmbeddingGrader, cases: Sequence[Case], show: Callable[[int, int], None] | None = None
) -> tuple[list[Row], list[Row], list[float]]:
    """(criteria, misconceptions, greatest probabilities of a denial where a criterion is met)."""
    criteria: list[Row] = []
    mistakes: list[Row] = []
    denials: list[float] = []
    for number, case in enumerate(cases):
        reading = read(case.question, case.text)
        seen = grader.seen(reading)
        ids = [each.id for each in case.question.criteria]
        for id, known in case.criteria.items():
            if id in ids:
                row = ids.index(id)
                stands = _stands(reading, case.question.criteria[row], seen)
                criteria.append(Row(case.question.id, case.kind, known, seen.met[row], stands))
                if known and seen.denied is not None and seen.denied.shape[1] and case.kind == "yes":
                    denials.append(float(seen.denied[row].max()))
        mistakes += _of_mistakes(case, seen)
        if show:
            show(number + 1, len(cases))
    return criteria, mistakes, denials


def _stands(reading: Reading, criterion: Criterion, seen: Seen) -> NDArray[np.bool_]:
    found = (Found(criterion.id, "yes", 1.0, 1.0, each.start, each.end) for each in seen.pieces)
    return np.array([not doubt(reading, criterion, each) for each in found], bool)


def _of_mistakes(case: Case, seen: Seen) -> list[Row]:
    """Its own misconceptions; a text that meets a criterion makes none."""
    known = dict(case.mistakes)
    if case.kind == "yes":
        known = dict.fromkeys(range(len(case.question.misconceptions)), False)
    return [
        Row(
            case.question.id,
            case.kind,
            made,
            seen.mistakes[number],
            np.ones(len(seen.pieces), bool),
        )
        for number, made in known.items()
        if number < len(seen.mistakes)
    ]


def chosen(found: Sequence[Row], score: Callable[[Numbers], Numbers]) -> tuple[Numbers, NDArray[np.bool_]]:
    """([N, F], [N]): of each row the piece with the highest score, and whether a yes may rest on it; what is
    not looked at has none."""
    out, stands = [], []
    for row in found:
        table = row.table.astype(float)
        there = ~np.isnan(table[:, 0])
        if not there.any():
            out.append(np.zeros(table.shape[1]))
            stands.append(False)
            continue
        best = int(score(table[there]).argmax())
        out.append(table[there][best])
        stands.append(bool(row.stands[there][best]))
    return np.array(out), np.array(stands, bool)


SIGNS = {
    "near": 1, "model": 1, "lead": 1, "mistake": -1, "words": 1, "figures": 1, "others": -1, "denies": -1,
    "hedged": -1, "hedging": -1, "reported": -1, "rejected": -1, "joined": 1, "rows": -1,
    "orders": -1, "new": 1,
    "says": 1, "against": -1, "ahead": 1, "mistaken": -1, "gap": 1, "corrects": -1,
}  # fmt: skip


def fitted(
    found: Sequence[Row], names: Sequence[str], wrong: float, missed: float, ridge: float = 1.0
) -> tuple[Fit, float, float, Numbers, Numbers, NDArray[np.str_]]:
    """(fit, yes, no, probabilities left out, labels, kinds). A signal of the wrong sign is left out; what
    rules refuse anyhow counts as refused."""
    first = names.index("says") if "says" in names else names.index("near")
    signs = [SIGNS.get(name, 0) for name in names]
    found = [row for row in found if len(row.table)]
    y = np.array([row.known for row in found], float)
    kinds = np.array([row.kind for row in found])
    groups = [row.question for row in found]
    x, stands = chosen(found, lambda table: table[:, first])
    for _ in range(ROUNDS):
        x, stands = chosen(found, fit(x, y, ridge, signs).of)
    p = left_out(x, y, groups, ridge, signs)
    _, no = thresholds(p, y, wrong, missed)
    p = np.where(stands, p, 0.0)
    yes, _ = thresholds(p, y, wrong, missed)
    return fit(x, y, ridge, signs), yes, min(no, yes - 1e-6), p, y, kinds


def calibration(
    grader: EmbeddingGrader, questions: Mapping[str, Question], of: str = "dev", quiet: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what grade.json keeps of this grader, a report). of: "dev", or "known" for what was kept back."""
    lines = untaught(dict(questions)) if of == "known" else rows(("dev",), dict(questions))
    made_of = (single, mixed, elsewhere)
    cases = [case for make in made_of for case in make(lines, dict(questions))]
    cases = judged(cases + whole(dict(questions)))
    begun = time.monotonic()

    def show(done: int, total: int) -> None:
        if not quiet and (done % 100 == 0 or done == total):
            print(
                f"\r{grader.name}: {done}/{total}, {time.monotonic() - begun:.0f} s", end="", file=sys.stderr
            )

    criteria, mistakes, denials = looked(grader, cases, show)
    names = list(grader.names)
    met, yes, no, p, y, kinds = fitted(criteria, names, WRONG_YES, MISSED)
    wrong_names = list(grader.mistake_names)
    made, mistake, _, pm, ym, _ = fitted(mistakes, wrong_names, WRONG_MISTAKE, 0.5)
    report = {
        "cases": {"all": described(p, y, yes, no)}
        | {
            kind: described(p[here], y[here], yes, no)
            for kind, here in (
                ("single", np.isin(kinds, ("yes", "wrong", "beside"))),
                ("mixed", kinds == "mixed"),
                ("whole", np.char.startswith(kinds, "gamed") | (kinds == "good")),
            )
            if here.any()
        },
        "mistakes": described(pm, ym, mistake, 0.0),
        "questions": len({row.question for row in criteria}),
        "seconds": round(time.monotonic() - begun, 1),
    }
    kept = {
        "met": {"bias": round(met.bias, 6), "weights": _rounded(names, met)},
        "yes": round(yes, 6),
        "no": round(no, 6),
        "mistakes": {"bias": round(made.bias, 6), "weights": _rounded(wrong_names, made)},
        "mistake": round(mistake, 6),
        "denied": round(max(0.9, float(np.quantile(denials, 0.995))) if denials else 1.0, 6),
        "about": {"of": of, "questions": report["questions"], "cases": report["cases"]["all"]},
    }
    return kept, report


def _rounded(names: Sequence[str], found: Fit) -> dict[str, float]:
    return {name: round(float(weight), 6) for name, weight in zip(names, found.weights, strict=True)}


def write(name: str, kept: Mapping[str, Any], file: Path = FILE) -> None:
    """Into grade.json, the other graders' calibrations untouched."""
    data = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    data[name] = kept
    file.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
