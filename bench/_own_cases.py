"""`handbook bench grading --fit | --cases | --adversarial`: the book's own questions."""

import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import _fit_grader
import _gamed

from handbook.book.load import open_book
from handbook.entailing import LocalEntailer
from handbook.errors import HandbookError
from handbook.hardware.probe import probe
from handbook.practice.grade import grade, open_grader
from handbook.practice.graders.cross import CrossGrader
from handbook.practice.graders.embedding import EmbeddingGrader
from handbook.practice.opinions import Grader
from handbook.records import Question
from handbook.settings import Settings

CRITERIA, WORDS = 8, 200  # the speed that is promised
TIMES = 7


def own_cases(
    settings: Settings,
    fit: bool,
    cases: bool,
    adversarial: bool,
    as_json: bool,
    of: str = "dev",
    weights: Path | None = None,
) -> int:
    """of: which cases --fit and --cases read. weights: of the local grader's model.

    Raises HandbookError for those with a grader that has no calibration.
    """
    from handbook.practice.calibration import fitted

    questions = dict(open_book(settings.book).questions)
    grader = open_grader(settings)
    if weights is not None and isinstance(grader, CrossGrader):
        grader = CrossGrader(grader.sides.embedder, LocalEntailer(settings, weights))
    report: dict[str, Any] = {"grader": grader.name, "machine": probe().label, "date": str(date.today())}
    if fit or cases:
        if not isinstance(grader, EmbeddingGrader):
            raise HandbookError(
                f"The grader {grader.name} has no calibration to fit.", "Choose --grader local or embedding."
            )
        kept, said = _fit_grader.calibration(grader, questions, of, as_json)
        report["calibration"], report["cases"] = kept, said
        if fit:
            _fit_grader.write(grader.name, kept)
            fitted.cache_clear()
    if adversarial:
        report |= _gamed.tried(grader, questions)
        report["speed"] = speed(grader, questions)
    if as_json:
        print(json.dumps(report, indent=1))
        return 0
    for name in ("cases", "speed"):
        if name in report:
            print(json.dumps(report[name], indent=1))
    _gamed.told(report)
    return 0


def speed(grader: Grader, questions: dict[str, Question]) -> dict[str, float]:
    """Seconds for an answer of 200 words against 8 criteria: the median of a few, warm, none twice."""
    from dataclasses import replace

    most = max(questions.values(), key=lambda each: len(each.criteria))
    others = [each for q in questions.values() if q.chapter == most.chapter for each in q.criteria]
    question = replace(most, criteria=(*most.criteria, *others)[:CRITERIA])
    words = " ".join(each.answer for each in questions.values()).split()
    grader.warm()
    grade(question, " ".join(words[:WORDS]), grader)
    seconds = []
    for turn in range(1, TIMES + 1):
        begun = time.perf_counter()
        grade(question, " ".join(words[WORDS * turn : WORDS * (turn + 1)]), grader)
        seconds.append(time.perf_counter() - begun)
    seconds.sort()
    return {"words": WORDS, "criteria": CRITERIA, "median": seconds[TIMES // 2], "worst": seconds[-1]}
