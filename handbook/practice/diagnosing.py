"""A diagnostic as it is kept: begun, answered, paused anywhere, resumed, taken back, ended.

An answer that was graded is a first review of its question as well, so that what was answered here comes
again in the drills. `I don't know` is one too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from handbook.errors import PlanError
from handbook.practice.diagnostic import BUDGET, Answered, Diagnostic, How, Result
from handbook.records import Grade, Level, Verdict

if TYPE_CHECKING:
    from handbook.database.plans import Plans
    from handbook.practice.cards import Deck
    from handbook.practice.graph import Graph

SELF = {"again": 0.1, "hard": 0.45, "good": 0.75, "easy": 0.95}  # share of a rubric that a rating stands for


@dataclass(frozen=True, slots=True)
class Open:
    """A diagnostic that has not ended."""

    key: str
    begun: dt.datetime
    diagnostic: Diagnostic


class Diagnosing:
    """Over the tables. graph: given when it is needed, since making it reads the whole book."""

    def __init__(self, rows: Plans, deck: Deck, graph: Callable[[], Graph]) -> None:
        self._rows, self._deck, self._graph = rows, deck, graph

    def open(self) -> Open | None:
        """The one that has begun and not ended; one that can't be read counts as none."""
        row = self._rows.open_diagnostic()
        if row is None:
            return None
        try:
            return Open(row["key"], row["begun"], Diagnostic.from_dict(self._graph(), row["state"]))
        except PlanError:
            return None

    def begin(
        self,
        level: Level = "senior",
        focus: Mapping[str, float] | None = None,
        seed: int | None = None,
        budget: float = BUDGET,
    ) -> Open:
        """A new one; one that is open goes on instead."""
        there = self.open()
        if there is not None:
            return there
        if seed is None:  # another one each time, and the same after a reload
            seed = crc32(self._deck.now().isoformat().encode())
        fresh = Diagnostic(self._graph(), seed, level, budget, dict(focus or {}))
        self._rows.begin_diagnostic(fresh.to_dict())
        opened = self.open()
        assert opened is not None
        return opened

    def answered(
        self,
        question: str,
        seconds: float,
        *,
        text: str = "",
        grade: Grade | None = None,
        decided: Mapping[str, Verdict] | None = None,
        how: How | None = None,
        rating: str | None = None,
    ) -> Diagnostic:
        """Take in an answer to the question that is asked now, and keep it; an answer to another one (sent
        twice, or from a second window) changes nothing. One of

        grade: a typed answer that was graded, `decided` by the person where the grader left criteria open;
        rating: again, hard, good or easy, as the person rates an answer that nobody graded;
        how="dont-know": the person says so; how="skipped": left out.
        """
        opened = self._needed()
        diagnostic = opened.diagnostic
        asked = diagnostic.next()
        if asked is None or asked.id != question:
            return diagnostic
        before = len(diagnostic.answers)
        if grade is not None and decided:
            from handbook.practice.grade import with_person

            diagnostic.graded(with_person(grade, dict(decided)), seconds)
        elif grade is not None:
            diagnostic.graded(grade, seconds)
        elif rating is not None:
            if rating not in SELF:
                raise PlanError(f"Expected one of {', '.join(SELF)}, got {rating!r}.", "Choose one.")
            diagnostic.answered(question, SELF[rating], seconds, how="self", note=f"you rated it “{rating}”")
        elif how == "dont-know":
            diagnostic.answered(question, 0.0, seconds, how="dont-know")
        else:
            diagnostic.answered(question, None, seconds)
        kept = self._rows.save_diagnostic(opened.key, diagnostic.to_dict(), answers=before)
        if not kept:
            return self._needed().diagnostic
        if diagnostic.answers[-1].score is not None:
            self._review(diagnostic.answers[-1], text, grade, decided, rating)
        elif text.strip():  # left out, and nothing typed is lost: it stays as a draft
            self._deck.save_draft(question, "diagnostic", text, seconds)
        return diagnostic

    def undo(self) -> Answered | None:
        """Take the last answer back: its question is asked again, its text is a draft again."""
        opened = self._needed()
        before = len(opened.diagnostic.answers)
        last = opened.diagnostic.undo()
        if last is None:
            return None
        self._rows.save_diagnostic(opened.key, opened.diagnostic.to_dict(), answers=before)
        review = self._deck.last("diagnostic")
        if review is not None and review.question == last.question and review.at >= opened.begun:
            self._deck.undo("diagnostic")
        return last

    def end(self) -> Result:
        """End it, early or not; what it says."""
        opened = self._needed()
        self._rows.save_diagnostic(opened.key, opened.diagnostic.to_dict(), ended=self._deck.now())
        return opened.diagnostic.result()

    def drop(self) -> bool:
        """Forget the open one as if it had not begun; answers that were kept as reviews stay."""
        row = self._rows.open_diagnostic()
        if row is not None:
            self._rows.forget_diagnostic(row["key"])
        return row is not None

    def last(self) -> Diagnostic | None:
        """The newest that has ended."""
        row = self._rows.last_diagnostic()
        try:
            return Diagnostic.from_dict(self._graph(), row["state"]) if row else None
        except PlanError:
            return None

    def result(self) -> Result | None:
        """What the newest that has ended said."""
        last = self.last()
        return last.result() if last is not None and last.answers else None

    def answers(self) -> list[Answered]:
        """All answers of all diagnostics that can be read, the newest to each question."""
        found: dict[str, Answered] = {}
        for row in reversed(self._rows.diagnostics()):
            try:
                kept = Diagnostic.from_dict(self._graph(), row["state"])
            except PlanError:
                continue
            found.update((each.question, each) for each in kept.answers if each.score is not None)
        return list(found.values())

    def level(self) -> Level:
        last = self.last()
        return last.level if last is not None else "senior"

    def keep(self, diagnostic: Diagnostic) -> None:
        """One from elsewhere, as ended."""
        state = diagnostic.to_dict()
        last = self._rows.last_diagnostic()
        if last is None or last["state"] != state:
            key = self._rows.begin_diagnostic(state)
            self._rows.save_diagnostic(key, state, ended=self._deck.now())

    def _needed(self) -> Open:
        opened = self.open()
        if opened is None:
            raise PlanError("There is no open diagnostic.", "Begin one.")
        return opened

    def _review(
        self,
        answer: Answered,
        text: str,
        grade: Grade | None,
        decided: Mapping[str, Verdict] | None,
        rating: str | None,
    ) -> None:
        chosen = "again" if answer.how == "dont-know" else rating
        self._deck.answered(
            answer.question,
            text,
            grade=grade,
            decided=decided,
            seconds=answer.seconds,
            rating=chosen,  # type: ignore[arg-type]
            kind="diagnostic",
        )
