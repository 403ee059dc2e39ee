"""Cards in the database: how the reader stands with each question; reviews, corrections, drafts of answers.

The rows themselves; what makes a question due is `handbook.practice.cards`'s. All methods are short
transactions and may be called from any thread. Rows come as plain mappings, by column.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from handbook.database.store import Database, as_dict
from handbook.database.tables import AnswerDraft, CardRow, Correction, FittedRow, PlanRow, ReviewRow, now
from handbook.errors import DatabaseError

FIELDS = ("card", "due", "lapses", "leech", "suspended", "buried", "at")  # of a card, beside its question
BLANK: dict[str, Any] = {
    "card": {},
    "due": None,
    "lapses": 0,
    "leech": False,
    "suspended": False,
    "buried": "",
}
ASKED = ("drill", "diagnostic")  # kinds of reviews that happened here
BATCH = 400  # values of one statement


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A card's row as a review keeps it: without its question, moments as ISO text. {} stays {}."""
    kept = {name: row[name] for name in FIELDS if name in row}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in kept.items()}


class Cards:
    """The tables of cards, reviews, corrections and drafts of answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Cards

    def card(self, question: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(CardRow, question)
            return None if row is None else as_dict(row)

    def cards(self) -> dict[str, dict[str, Any]]:
        with self._database.session(reads=True) as session:
            return {row.question: as_dict(row) for row in session.scalars(select(CardRow))}

    def change_card(self, question: str, **values: Any) -> dict[str, Any]:
        """The card after the change; it begins with the first one."""
        with self._database.session() as session:
            row = _row(session, question)
            _set(row, {**values, "at": now()})
            session.flush()
            return as_dict(row)

    def put_cards(self, rows: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Each as it is given; None: away with it."""
        with self._database.session() as session:
            for question, values in rows.items():
                _put(session, question, values)

    # Reviews

    def add_review(
        self,
        review: Mapping[str, Any],
        card: Mapping[str, Any],
        corrections: Sequence[Mapping[str, Any]] = (),
        place: str = "",
    ) -> dict[str, Any]:
        """Keep a review, the card that follows from it and what the person corrected, all or nothing, and
        forget the draft at that place, if the answer holds all of it: what was typed elsewhere since stays.
        Returns the review as it is kept.

        A key that is there already changes nothing: the same answer was sent again. `before` of the review is
        what the caller saw; where the card is another one by now, raises Changed.
        """
        try:
            with self._database.session() as session:
                there = session.get(ReviewRow, review["key"])
                if there is not None:
                    return as_dict(there)
                _unchanged(session, review["question"], review["before"])
                _put(session, review["question"], card)
                added = ReviewRow(**review)
                session.add(added)
                session.add_all(Correction(key=uuid4().hex, **values) for values in corrections)
                draft = session.get(AnswerDraft, (review["question"], place))
                if draft is not None and draft.text.strip() in review["answer"]:
                    session.delete(draft)
                session.flush()
                return as_dict(added)
        except DatabaseError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise Changed(review["question"]) from error
            raise

    def add_reviews(self, reviews: Iterable[Mapping[str, Any]]) -> int:
        """Those of another place, whose key is not there yet; how many. The cards stay as they are."""
        rows = {str(review["key"]): review for review in reviews}
        with self._database.session() as session:
            there: set[str] = set()
            for some in _batches(list(rows)):
                there |= set(session.scalars(select(ReviewRow.key).where(ReviewRow.key.in_(some))))
            session.add_all(ReviewRow(**row) for key, row in rows.items() if key not in there)
        return len(rows) - len(there)

    def review(self, key: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(ReviewRow, key)
            return None if row is None else as_dict(row)

    def reviews(
        self,
        question: str | None = None,
        since: datetime | None = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Those that hold (not undone), the newest first."""
        statement = select(ReviewRow).where(*_mine(question, since, kinds))
        statement = statement.order_by(ReviewRow.at.desc(), ReviewRow.key).limit(limit)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def facts(
        self, question: str | None = None, since: datetime | None = None, kinds: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """What schedules and tables need of the same reviews, the oldest first: no answers, no grades."""
        names = ("key", "question", "at", "rating", "seconds", "kind", "before", "after")
        columns = [getattr(ReviewRow, name) for name in names]
        statement = select(*columns).where(*_mine(question, since, kinds))
        statement = statement.order_by(ReviewRow.at, ReviewRow.key)
        with self._database.session(reads=True) as session:
            return [dict(zip(names, row, strict=True)) for row in session.execute(statement)]

    def seconds(self, low: float, high: float, limit: int) -> list[float]:
        """What the newest answers of the drill took, of those that took from `low` to `high` seconds."""
        statement = select(ReviewRow.seconds).where(*_mine(None, None, ("drill",)))
        statement = statement.where(ReviewRow.seconds >= low, ReviewRow.seconds <= high)
        with self._database.session(reads=True) as session:
            return list(session.scalars(statement.order_by(ReviewRow.at.desc()).limit(limit)))

    def undo(
        self,
        key: str,
        seen: Mapping[str, Any],
        card: Mapping[str, Any] | None,
        draft: Mapping[str, Any] | None = None,
    ) -> None:
        """Mark a review as undone and put its card back, at once. seen: the card (`plain`) that the caller
        reckoned from; where it is another by now, raises Changed. draft: what becomes a draft again, where
        nothing is typed by now."""
        with self._database.session() as session:
            row = session.get(ReviewRow, key, with_for_update=True)
            if row is None or row.undone:
                return
            _unchanged(session, row.question, seen)
            row.undone = True
            _put(session, row.question, card)
            if draft and draft["text"].strip():
                there = session.get(AnswerDraft, (row.question, draft["place"]))
                if there is None:
                    session.add(AnswerDraft(question=row.question, **draft))

    def withdraw(self, keys: Sequence[str]) -> set[str]:
        """Mark reviews as undone; their questions. The cards stay as they are."""
        questions: set[str] = set()
        with self._database.session() as session:
            for some in _batches(keys):
                mine = ReviewRow.key.in_(some)
                questions |= set(session.scalars(select(ReviewRow.question).where(mine)))
                session.execute(update(ReviewRow).where(mine).values(undone=True))
        return questions

    # Corrections

    def corrections(self, question: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Of reviews that hold, the newest first."""
        undone = select(ReviewRow.key).where(ReviewRow.undone)
        statement = select(Correction).where(Correction.review.not_in(undone))
        if question is not None:
            statement = statement.where(Correction.question == question)
        statement = statement.order_by(Correction.at.desc(), Correction.key).limit(limit)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    # Drafts

    def draft(self, question: str, place: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(AnswerDraft, (question, place))
            return None if row is None else as_dict(row)

    def drafts(self, place: str) -> list[dict[str, Any]]:
        """The newest first."""
        statement = select(AnswerDraft).where(AnswerDraft.place == place).order_by(AnswerDraft.at.desc())
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def save_draft(self, question: str, place: str, text: str, seconds: float, at: datetime) -> None:
        values = {"question": question, "place": place, "text": text, "seconds": seconds, "at": at}
        with self._database.session() as session:
            session.merge(AnswerDraft(**values))

    def forget_draft(self, question: str, place: str) -> None:
        with self._database.session() as session:
            row = session.get(AnswerDraft, (question, place))
            if row is not None:
                session.delete(row)

    # What the schedule hangs on

    def plan(self) -> dict[str, Any]:
        """Values of the plan that holds; {} before there is one."""
        statement = select(PlanRow.values).where(~PlanRow.undone).order_by(PlanRow.number.desc()).limit(1)
        with self._database.session(reads=True) as session:
            return dict(session.scalar(statement) or {})

    def fitted(self) -> dict[str, Any] | None:
        """The newest parameters that hold, with their key; None: the package's."""
        statement = select(FittedRow).where(~FittedRow.undone).order_by(FittedRow.at.desc()).limit(1)
        with self._database.session(reads=True) as session:
            row = session.scalar(statement)
            return None if row is None else as_dict(row)

    def add_fitted(self, values: Mapping[str, Any], at: datetime) -> None:
        with self._database.session() as session:
            session.add(FittedRow(key=uuid4().hex, values=dict(values), undone=False, at=at))

    def undo_fitted(self, key: str) -> None:
        with self._database.session() as session:
            session.execute(update(FittedRow).where(FittedRow.key == key).values(undone=True))


class Changed(DatabaseError):
    """Another window answered the same question meanwhile."""

    def __init__(self, question: str) -> None:
        super().__init__(
            f"The card of {question} changed while this answer was kept.", "Nothing was written: try again."
        )


def _row(session: Session, question: str) -> CardRow:
    row = session.get(CardRow, question, with_for_update=True)
    if row is None:
        row = CardRow(question=question, **BLANK)
        session.add(row)
    return row


def _unchanged(session: Session, question: str, seen: Mapping[str, Any]) -> None:
    """Raises Changed where a card is not what somebody saw. Locks it."""
    row = session.get(CardRow, question, with_for_update=True)
    if (plain(as_dict(row)) if row is not None else {}) != seen:
        raise Changed(question)


def _set(row: CardRow, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name != "question":
            setattr(row, name, value)


def _put(session: Session, question: str, values: Mapping[str, Any] | None) -> None:
    if values is not None:
        _set(_row(session, question), values)
        return
    row = session.get(CardRow, question)
    if row is not None:
        session.delete(row)


def _mine(question: str | None, since: datetime | None, kinds: Sequence[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [~ReviewRow.undone]
    if question is not None:
        found.append(ReviewRow.question == question)
    if since is not None:
        found.append(ReviewRow.at >= since)
    if kinds:
        found.append(ReviewRow.kind.in_(kinds))
    return found


def _batches(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
