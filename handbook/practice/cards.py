"""The drill's cards: which questions come today, and what an answer does to when they come again.

A question is answered first and graded then; the person confirms or corrects the proposed grade, and the
rating follows from it (`practice.grade.rating_of`). How the memory is reckoned is `memory`'s, what it aims at
`aim`'s. Around them stand a few rules:

- `again` brings a question back once more at the end of the same day's session, and then tomorrow.
- Questions of one section are siblings: one of them a day, since the answer to one gives the next away. In
  the last week before the interview, when there are few days to put them off to, they come all the same.
- What was missed on four days after its first one is a leech, whether it was known between them or never: it
  wants its paragraph read, not another repetition.
- Every review can be undone, the last one first; its answer becomes a draft again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from handbook.database.cards import ASKED, BLANK, Cards, Changed, plain
from handbook.database.practice import storable
from handbook.database.tables import now
from handbook.errors import HandbookError
from handbook.practice import keeping
from handbook.practice.aim import NEAR_DAYS, Aim, aim, days_left, local_day, retention_target
from handbook.practice.dealing import Dealer, ratings_of_day, start_of
from handbook.practice.due import Rating
from handbook.practice.memory import RATINGS, Memory, sound
from handbook.practice.nouns import CardState, Draft, Due, Reviewed, Undone
from handbook.practice.replay import kept_row, moment, replay, step
from handbook.records import Grade, Question, Verdict

if TYPE_CHECKING:
    from handbook.book.nouns import Book
    from handbook.database import Database
    from handbook.practice.history import Leech, Retained
    from handbook.practice.workload import Load, Pace

__all__ = ["CardState", "Deck", "Draft", "Due", "Reviewed", "Undone"]

PLACES = ("drill", "diagnostic")


class Deck:
    """The cards of the book's questions. Opening reads nothing; each method is a short transaction or two."""

    def __init__(self, database: Database, book: Book, clock: Callable[[], datetime] = now) -> None:
        self.rows = Cards(database)
        self.book = book
        self._clock = clock

    # What is asked

    def due(
        self, at: datetime | None = None, limit: int | None = None, chapters: Collection[str] | None = None
    ) -> list[Due]:
        """What is to be asked today, most likely forgotten first, one of a section; those that failed today
        come last. chapters: slugs or paths; all by default."""
        dealer = self._dealer(at or self._clock())
        return dealer.due(chapters)[:limit]

    def new(
        self,
        limit: int | None = None,
        sections: Iterable[str] | None = None,
        at: datetime | None = None,
        chapters: Collection[str] | None = None,
    ) -> list[Question]:
        """Questions that were never answered: one of a section, the easier level first, in the order of
        `sections` or of the book. None of a section that was or will be asked today."""
        dealer = self._dealer(at or self._clock())
        return dealer.new(sections, chapters)[:limit]

    def state(self, question: Question | str) -> CardState:
        name = self._question(question).id
        row = self.rows.card(name) or BLANK
        card = row["card"] if sound(row["card"]) else {}
        return CardState(name, card, row["due"], row["lapses"], row["leech"], row["suspended"], row["buried"])

    def states(self) -> dict[str, CardState]:
        """Of every question of the book that has a card."""
        return {
            name: CardState(name, *(row[part] for part in BLANK))
            for name, row in self.rows.cards().items()
            if name in self.book.questions and sound(row["card"])
        }

    def retrievability(self, question: Question | str, at: datetime | None = None) -> float | None:
        """Probability, 0 to 1, that it is still known; None for one that was never answered."""
        return self.memory().retrievability(self.state(question).card, at or self._clock())

    # What an answer does

    def preview(self, question: Question | str, at: datetime | None = None) -> dict[Rating, datetime]:
        """When the question would come again, by rating."""
        at = at or self._clock()
        name = self._question(question).id
        card, goal, memory = self.state(name).card, self._aim(name, at), self.memory()
        return {rating: memory.answered(card, rating, at, goal)[1] for rating in RATINGS}

    def answered(
        self,
        question: Question | str,
        answer: str,
        grade: Grade | None = None,
        decided: Mapping[str, Verdict] | None = None,
        seconds: float = 0.0,
        rating: Rating | None = None,
        kind: str = "drill",
        key: str | None = None,
    ) -> Reviewed:
        """Keep an answer with its grade, what the person decided of it, and the rating that counts.

        decided: the person's verdicts by criterion. rating: by default what the grade proposes after them.
        key: of an answer that may be sent twice (a page's own); the second time changes nothing. Raises
        HandbookError for a question, a rating or an answer that can't be kept; nothing is written then.
        """
        name = self._question(question).id
        decided = keeping.verdicts(decided or {}, grade)
        proposed = keeping.proposed(grade, decided)
        counted = rating or proposed
        if counted not in RATINGS:
            raise HandbookError(
                f"Expected one of the ratings {', '.join(RATINGS)}, got {counted!r}.", "Choose one."
            )
        if kind not in ASKED:
            raise HandbookError(f"Expected a review of the kind {' or '.join(ASKED)}, got {kind!r}.")
        text, key = keeping.kept_text(answer), keeping.kept_key(key)
        for last_try in (False, True):
            row = self.rows.card(name)
            at = self._moment()
            after = {**BLANK, **(row or {}), "at": at}
            after |= step(after, counted, at, self.memory(), self._aim(name, at))
            review = {
                "key": key,
                "question": name,
                "at": at,
                "rating": counted,
                "proposed": proposed,
                "answer": text,
                "grade": storable(asdict(grade)) if grade is not None else {},
                "decided": dict(decided),
                "seconds": keeping.seconds(seconds),
                "kind": kind,
                "before": plain(row or {}),
                "after": plain(after),
                "undone": False,
            }
            corrections = keeping.corrections(review, grade, decided)
            try:
                kept = self.rows.add_review(review, after, corrections, kind)
                break
            except Changed:
                if last_try:
                    raise
        return _reviewed(kept)

    def last(self, kind: str | None = "drill") -> Undone | None:
        """What `undo` would take back. kind: of which reviews; None: any that happened here."""
        found = self.rows.reviews(kinds=(kind,) if kind else ASKED, limit=1)
        return _undone(found[0]) if found else None

    def undo(self, kind: str | None = "drill") -> Undone | None:
        """Take back the last review: its card is as it was before, its answer a draft again. As often as
        there are reviews; None when there are none left."""
        found = self.rows.reviews(kinds=(kind,) if kind else ASKED, limit=1)
        if not found:
            return None
        review = found[0]
        draft = {"place": review["kind"], "text": review["answer"], "seconds": review["seconds"]}
        for last_try in (False, True):
            row = self.rows.card(review["question"])
            card = self._before(review, row)
            try:
                self.rows.undo(review["key"], plain(row or {}), card, {**draft, "at": self._clock()})
                break
            except Changed:
                if last_try:
                    raise
        return _undone(review)

    def _before(self, review: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The card without a review: as it was, if the review's is what stands there now; else reckoned from
        the other reviews. Suspended or buried since then, it stays so."""
        before, after = kept_row(review["before"]), kept_row(review["after"])
        as_it_was = before is not None or not review["before"]
        if row is None or after is None or row["card"] != after["card"] or not as_it_was:
            others = [one for one in self.rows.facts(review["question"]) if one["key"] != review["key"]]
            last = all(one["at"] <= review["at"] for one in others)
            return self._state(review["question"], row, others, keep_dates=last)
        kept = {name: row[name] for name in ("suspended", "buried") if row[name] != after[name]}
        if before is None and not any(kept.values()):
            return None
        return {**BLANK, "at": row["at"], **(before or {}), **kept}

    # Put aside

    def suspend(self, question: Question | str) -> None:
        """Never ask it, until `unsuspend`."""
        self.rows.change_card(self._question(question).id, suspended=True)

    def unsuspend(self, question: Question | str) -> None:
        self.rows.change_card(self._question(question).id, suspended=False)

    def bury(self, question: Question | str, at: datetime | None = None) -> None:
        """Don't ask it today."""
        day = local_day(at or self._clock()).isoformat()
        self.rows.change_card(self._question(question).id, buried=day)

    def unbury(self, question: Question | str) -> None:
        self.rows.change_card(self._question(question).id, buried="")

    # Drafts

    def draft(self, question: Question | str, place: str = "drill") -> Draft | None:
        row = self.rows.draft(self._question(question).id, place)
        return None if row is None else Draft(row["text"], row["seconds"], row["at"])

    def save_draft(self, question: Question | str, place: str, text: str, seconds: float = 0.0) -> datetime:
        """Keep what is typed so far; the moment of it. Raises HandbookError for a text that is too long."""
        if place not in PLACES:
            raise HandbookError(f"Expected a draft of the {' or '.join(PLACES)}, got {place!r}.")
        at = self._clock()
        name = self._question(question).id
        self.rows.save_draft(name, place, keeping.kept_text(text), keeping.seconds(seconds), at)
        return at

    def forget_draft(self, question: Question | str, place: str = "drill") -> None:
        self.rows.forget_draft(self._question(question).id, place)

    # Looking back and ahead

    def forecast(self, until: date, new_a_day: int = 0, at: datetime | None = None) -> list[Load]:
        """(day, reviews, minutes) of each day from today to `until`."""
        from handbook.practice.workload import forecast

        return forecast(self, until, new_a_day, at or self._clock())

    def pace(self) -> Pace:
        """Seconds that an answer takes, and on how many own ones that rests."""
        from handbook.practice.workload import PLAUSIBLE, RECENT, pace

        return pace(self.rows.seconds(*PLAUSIBLE, RECENT))

    def retention(self) -> list[Retained]:
        """What was still known when it was asked again, by week and by month."""
        from handbook.practice.history import retention

        return retention(self.rows.facts(), self.memory())

    def leeches(self) -> list[Leech]:
        """What keeps being forgotten, with the paragraph to go back to and what was missed most often."""
        from handbook.practice.history import leeches

        return leeches(self)

    def reviews(
        self, question: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Rows of the reviews that hold, the newest first."""
        return self.rows.reviews(question, since, limit=limit)

    # What it all hangs on

    def now(self) -> datetime:
        """The deck's clock."""
        return self._clock()

    def interview(self) -> date | None:
        """The day of the interview, by the plan that holds."""
        try:
            return date.fromisoformat(str(self.rows.plan().get("date") or ""))
        except ValueError:
            return None

    def retention_target(self, at: datetime | None = None) -> float:
        """Share of questions that should still be known when they are due, by the days that are left."""
        return retention_target(days_left(self.interview(), at or self._clock()))

    def memory(self) -> Memory:
        """The scheduler, with the parameters that hold."""
        fitted = self.rows.fitted()
        try:
            return Memory(fitted["values"]["parameters"] if fitted else None)
        except (KeyError, TypeError, ValueError):  # of another version of the package, or of a stranger
            return Memory()

    def rebuild(self, questions: Iterable[str] | None = None, keep_dates: bool = True) -> int:
        """Reckon cards anew from their reviews: after an import, or with other parameters. How many.

        keep_dates: each question stays due when it was said to be; else that is reckoned anew too.
        """
        rows = self.rows.cards()
        by_question: dict[str, list[dict[str, Any]]] = {}
        for review in self.rows.facts():
            by_question.setdefault(review["question"], []).append(review)
        names = set(by_question) if questions is None else set(questions)
        made = {
            name: self._state(name, rows.get(name), by_question.get(name, []), keep_dates) for name in names
        }
        self.rows.put_cards(made)
        return len(made)

    def _state(
        self,
        question: str,
        row: Mapping[str, Any] | None,
        reviews: Sequence[Mapping[str, Any]],
        keep_dates: bool,
    ) -> dict[str, Any] | None:
        """A card's row from its reviews; None where nothing is left to say."""
        state = {**BLANK, **(row or {}), "at": self._clock()}
        state.pop("question", None)
        if not reviews and not (state["suspended"] or state["buried"]):
            return None
        interview = self.interview()
        return state | replay(reviews, self.memory(), lambda at: aim(interview, at, question), keep_dates)

    # Small things

    def _question(self, question: Question | str) -> Question:
        name = question if isinstance(question, str) else question.id
        found = self.book.questions.get(name)
        if found is None:
            raise HandbookError(
                f"The book has no question {storable(name)[:80]!r}.",
                "`handbook drill --json` lists what is asked.",
            )
        return found

    def _dealer(self, at: datetime) -> Dealer:
        days = days_left(self.interview(), at)
        reviews = self.rows.facts(since=start_of(at), kinds=ASKED)
        return Dealer(
            book=self.book,
            memory=self.memory(),
            rows=self.rows.cards(),
            seen=ratings_of_day(reviews, at),
            at=at,
            siblings=days is not None and days <= NEAR_DAYS,
        )

    def _aim(self, question: str, at: datetime) -> Aim:
        return aim(self.interview(), at, question)

    def _moment(self) -> datetime:
        """Now; a moment after the last review, where the clock stands still or was set back a little, so that
        their order stays the one in which they happened."""
        at = self._clock().astimezone(UTC)
        newest = self.rows.reviews(kinds=ASKED, limit=1)
        if newest and at <= newest[0]["at"] < at + timedelta(hours=1):
            at = newest[0]["at"] + timedelta(microseconds=1)
        return at


def _undone(row: Mapping[str, Any]) -> Undone:
    return Undone(*(row[name] for name in ("key", "question", "rating", "answer", "at")))


def _reviewed(row: Mapping[str, Any]) -> Reviewed:
    after = row["after"]
    due = cast(datetime, moment(after["due"]))
    return Reviewed(
        key=row["key"],
        question=row["question"],
        rating=row["rating"],
        proposed=row["proposed"],
        due=due,
        interval=(local_day(due) - local_day(row["at"])).days,
        lapses=after["lapses"],
        leech=after["leech"],
    )
