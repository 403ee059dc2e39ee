"""Typed answers on their way to a grade: one after the other, in a thread; the server never waits.

A grading always ends with a grade. Where no grader can do it (its model is not here, its server does not
answer, somebody stopped it), the grade leaves every criterion open, and the person decides.
"""

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from handbook.errors import HandbookError
from handbook.records import Grade, Judgement, Question, Verdict

if TYPE_CHECKING:
    from handbook.practice.grade import Grader

State = Literal["waiting", "loading", "grading", "done"]
Decided = dict[str, Verdict]  # criterion -> "yes" or "no", by the person
WAITING = 16  # answers in the queue; beyond them a new one is refused
NOBODY = "none"  # the grader that leaves everything to the person
KEPT = 64  # grades that are remembered until they are confirmed


class Graders(Protocol):
    """Who grades: `Lazy`, or a stand-in of a test. Called in threads."""

    def warm(self) -> None:
        """Load what grading needs. Raises HandbookError where that can't be done."""
        ...

    def grade(self, question: Question, answer: str) -> Grade: ...


@dataclass(eq=False)
class Grading:
    """mark: another one whenever there is news. decided: what the person has said so far. what, remedy: why
    no grader did it. stopped: by the person."""

    id: str
    question: Question
    answer: str
    seconds: float = 0.0
    decided: Decided = field(default_factory=dict)
    state: State = "waiting"
    mark: int = 0
    grade: Grade | None = None
    what: str = ""
    remedy: str = ""
    stopped: bool = False
    kept: str = ""  # the review that it became
    begun: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        return self.state == "done"

    @property
    def waited(self) -> float:
        return time.monotonic() - self.begun


def by_hand(question: Question, answer: str) -> Grade:
    """A grade that leaves every criterion to the person; of no answer it says that none is met."""
    verdict: Verdict = "unclear" if answer.strip() else "no"
    sure = 0.0 if answer.strip() else 1.0
    judgements = tuple(
        Judgement(each.id, verdict, confidence=sure, weight=each.weight, must=each.must)
        for each in question.criteria
    )
    return Grade(question.id, answer, judgements, grader=NOBODY)


def decisions(question: Question, given: Mapping[str, Any]) -> Decided:
    """Of what a form or a row holds: the verdicts of this question's criteria, nothing else."""
    found = {each.id: given.get(each.id) for each in question.criteria}
    return {id: cast(Verdict, verdict) for id, verdict in found.items() if verdict in ("yes", "no")}


class Gradings:
    """Safe to call from any thread. One answer is graded at a time, but a stopped one holds nobody up."""

    def __init__(self, graders: Graders) -> None:
        self._graders = graders
        self._queue: deque[Grading] = deque()
        self._all: OrderedDict[str, Grading] = OrderedDict()
        self._worker = 0  # which thread works; 0 is none. One whose answer was stopped is worker no more
        self._workers = 0
        self._closed = False
        self._news = threading.Condition()

    def begin(
        self, question: Question, answer: str, seconds: float = 0.0, decided: Mapping[str, Any] | None = None
    ) -> Grading:
        """Put an answer into the queue; an earlier one to the same question that waits makes room for it.

        Raises HandbookError where too many wait.
        """
        given = decisions(question, decided or {})
        grading = Grading(secrets.token_urlsafe(12), question, answer, seconds, given)
        with self._news:
            if self._closed:
                raise HandbookError("The handbook is closing.", "Start it again; your answer is kept.")
            for other in [each for each in self._queue if each.question.id == question.id]:
                self._stop(other)
            if len(self._queue) >= WAITING:
                raise HandbookError(
                    f"{WAITING} answers wait to be graded already.",
                    "Your answer is kept. Wait for them, or stop one, and send it again.",
                )
            self._all[grading.id] = grading
            while len(self._all) > KEPT:
                oldest = next((key for key, each in self._all.items() if each.over), None)
                if oldest is None:
                    break
                del self._all[oldest]
            self._queue.append(grading)
            if not self._worker:
                self._hire()
        return grading

    def get(self, id: str) -> Grading | None:
        return self._all.get(id)

    def wait(self, grading: Grading, seconds: float) -> bool:
        """Until it is over, at most so long. Whether it is."""
        with self._news:
            return self._news.wait_for(lambda: grading.over, seconds)

    def stop(self, grading: Grading) -> None:
        """Leave it to the person. A grader that works on it is not waited for."""
        with self._news:
            if not grading.over:
                self._stop(grading)

    def taken_back(self, review: str) -> None:
        """A review that was undone: its answer may count again."""
        with self._news:
            for grading in self._all.values():
                if grading.kept == review:
                    grading.kept = ""

    def close(self) -> None:
        with self._news:
            self._closed = True
            for grading in [each for each in self._all.values() if not each.over]:
                self._stop(grading)

    # Inside

    def _stop(self, grading: Grading) -> None:
        if grading in self._queue:
            self._queue.remove(grading)
        elif self._queue:
            self._hire()
        else:
            self._worker = 0
        grading.stopped = True
        self._end(grading, by_hand(grading.question, grading.answer))

    def _end(self, grading: Grading, grade: Grade) -> None:
        grading.grade = grade
        self._say(grading, "done")

    def _say(self, grading: Grading, state: State) -> None:
        with self._news:
            if not grading.over:
                grading.state = state
                grading.mark += 1
            self._news.notify_all()

    def _hire(self) -> None:
        self._workers += 1
        self._worker = self._workers
        threading.Thread(target=self._work, args=(self._worker,), name="grading", daemon=True).start()

    def _work(self, worker: int) -> None:
        while True:
            with self._news:
                if self._worker != worker:
                    return
                if not self._queue:
                    self._worker = 0
                    return
                grading = self._queue.popleft()
            self._grade(grading)

    def _grade(self, grading: Grading) -> None:
        what = remedy = ""
        grade = None
        try:
            self._say(grading, "loading")
            self._graders.warm()
            self._say(grading, "grading")
            grade = self._graders.grade(grading.question, grading.answer)
        except HandbookError as error:
            what, remedy = error.what, error.remedy
        except Exception as error:
            what = f"The grader made a mistake ({type(error).__name__}: {error}). That is a bug."
            remedy = "Your answer is kept; `handbook grade` may say more in a terminal."
        with self._news:
            if grading.over:  # stopped meanwhile
                return
            grading.what, grading.remedy = what, remedy
            self._end(grading, grade or by_hand(grading.question, grading.answer))


class Lazy:
    """The grader that the settings name; it is opened when it is first needed."""

    def __init__(self, opening: Callable[[], "Grader"]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._grader: Grader | None = None

    def _opened(self) -> "Grader":
        with self._lock:
            if self._grader is None or self._grader.name == NOBODY:  # one may have come meanwhile
                self._grader = self._opening()
            return self._grader

    def warm(self) -> None:
        self._opened().warm()

    def grade(self, question: Question, answer: str) -> Grade:
        from handbook.practice.grade import grade

        return grade(question, answer, self._opened())
