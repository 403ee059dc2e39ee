"""Answers of a diagnostic on their way in: graded in a thread, kept when the grade is there, whether or not
the browser waits for it.

Until then the answer is a draft, so a handbook that stops in between asks the question again with the answer
in place. A grade that leaves everything open (no grader here, its model missing, somebody stopped it) is not
taken in: the person rates the answer beside a model answer.
"""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from handbook.app.web.grading import Grading, Gradings
from handbook.errors import HandbookError
from handbook.records import Grade, Judgement, Question, Verdict

if TYPE_CHECKING:
    from handbook.practice.study import Study

TOO_OPEN = 0.95  # share of the weight that is undecided from which a grade says nothing
KEPT = 32
LONGEST_WAIT = 3600.0  # seconds for a grade, before it is given up
LONGEST_PAUSE = 600.0  # seconds that count, of a page without scripts that cannot tell a pause


class Taking:
    """Which gradings become answers of the diagnostic. Safe to call from any thread."""

    def __init__(self, gradings: Callable[[], Gradings], study: Callable[[], "Study"]) -> None:
        self._gradings, self._study = gradings, study
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, str] = OrderedDict()  # grading -> "waiting", "taken" or "open"

    def begin(self, question: Question, answer: str, seconds: float, at_once: float) -> Grading:
        """Grade an answer, and take it in as soon as that is done. Waits `at_once` seconds for it."""
        gradings = self._gradings()
        grading = gradings.begin(question, answer, seconds)
        with self._lock:
            self._taken[grading.id] = "waiting"
            while len(self._taken) > KEPT:
                self._taken.popitem(last=False)
        if gradings.wait(grading, at_once):
            self._take(grading)
        else:
            threading.Thread(target=self._wait, args=(grading,), name="diagnostic", daemon=True).start()
        return grading

    def state(self, grading: Grading) -> str:
        """waiting, taken, or open: the person has to rate it."""
        known = self._taken.get(grading.id, "open")
        return "open" if known == "waiting" and grading.stopped else known  # who waits for it hears it later

    def rated(self, grading: Grading) -> None:
        with self._lock:
            self._taken[grading.id] = "taken"

    def _wait(self, grading: Grading) -> None:
        if self._gradings().wait(grading, LONGEST_WAIT):
            self._take(grading)

    def _take(self, grading: Grading) -> None:
        grade, state = grading.grade, "open"
        try:
            if grade is not None and grade.high - grade.low < TOO_OPEN:
                self._study().diagnosing.answered(
                    grading.question.id, grading.seconds, text=grading.answer, grade=grade
                )
                state = "taken"
        except HandbookError as error:  # ended meanwhile, or the database is gone: the draft is still there
            grading.what, grading.remedy = error.what, error.remedy
        with self._lock:
            if self._taken.get(grading.id) != "taken":  # the person was quicker
                self._taken[grading.id] = state


def seconds_of(form: Mapping[str, str], at: dt.datetime) -> float:
    """Of an answer: as scripts counted them while somebody was there; else since the page was made."""
    digits = form.get("seconds", "")
    if form.get("counted") and digits.isascii() and digits.isdigit() and len(digits) < 9:
        return float(min(int(digits), 86_400))
    before = float(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0.0
    try:
        since = (at - dt.datetime.fromisoformat(form.get("shown", ""))).total_seconds()
    except (ValueError, TypeError):
        since = 0.0
    return before + min(max(since, 0.0), LONGEST_PAUSE)


def grade_of(review: Mapping[str, Any], question: Question) -> Grade | None:
    """The grade that a review keeps, of this question's criteria; None where it does not read as one."""
    answer = str(review["answer"])
    try:
        by_id = {str(each["criterion"]): each for each in review["grade"]["judgements"]}
        judgements = tuple(
            _judgement(by_id[each.id], answer, each.weight, each.must) for each in question.criteria
        )
        return Grade(question.id, answer, judgements, grader=str(review["grade"].get("grader", "")))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _judgement(kept: Mapping[str, Any], answer: str, weight: float, must: bool) -> Judgement:
    start, end = int(kept["start"]), int(kept["end"])
    there = 0 <= start < end <= len(answer)
    verdict: Verdict = kept["verdict"]
    if verdict not in ("yes", "no", "unclear"):
        raise ValueError(verdict)
    return Judgement(
        str(kept["criterion"]),
        verdict,
        answer[start:end] if there else "",
        start if there else -1,
        end if there else -1,
        float(kept["met"]),
        float(kept["confidence"]),
        str(kept["why"])[:500],
        str(kept["by"])[:100],
        weight,
        must,
    )
