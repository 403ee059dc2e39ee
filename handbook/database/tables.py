"""The tables. A change here wants a migration in `migrations/versions`; a test holds the two together.

A column that came later says in its info, as `otherwise`, what it is in a row of an older export.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, Integer, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its zone. SQLite keeps none, so it is stored as UTC and given back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("Expected a datetime with a time zone, got a naive one.")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


def _all_passed(attempt: Mapping[str, Any]) -> bool:
    return bool(attempt.get("total")) and attempt.get("passed") == attempt["total"]


class OfThisMachine:
    """Marks tables about what lies on this machine's disks: no part of the reader's state, which travels."""


class ReadSection(Base):
    """A section that the reader has read."""

    __tablename__ = "read_section"

    chapter: Mapped[str] = mapped_column(String(120), primary_key=True)
    section: Mapped[str] = mapped_column(String(120), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)


class Ask(Base):
    """A question put to the book, with the answer as it was shown."""

    __tablename__ = "ask"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    question: Mapped[str] = mapped_column(Text)
    refused: Mapped[bool]
    answer: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now, index=True)


class Attempt(Base):
    """A submission to an exercise, with its verdicts.

    passed, total, results: of its tests. solved: every test, the hidden ones too, and the growth. report: all
    else that the judge said of it. wall, cpu: seconds; memory: bytes; hints: how many were open by then.
    """

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    exercise: Mapped[str] = mapped_column(String(120), index=True)
    code: Mapped[str] = mapped_column(Text)
    passed: Mapped[int]
    total: Mapped[int]
    results: Mapped[list[Any]]
    solved: Mapped[bool] = mapped_column(info={"otherwise": _all_passed})
    report: Mapped[dict[str, Any]] = mapped_column(info={"otherwise": lambda _: {}})
    wall: Mapped[float] = mapped_column(Float, info={"otherwise": lambda _: 0.0})
    cpu: Mapped[float] = mapped_column(Float, info={"otherwise": lambda _: 0.0})
    memory: Mapped[int] = mapped_column(BigInteger, info={"otherwise": lambda _: 0})
    hints: Mapped[int] = mapped_column(info={"otherwise": lambda _: 0})
    at: Mapped[datetime] = mapped_column(default=now)


class ExerciseDraft(Base):
    """What stands in an exercise's editor. before: the text that another took the place of, to go back to."""

    __tablename__ = "exercise_draft"

    exercise: Mapped[str] = mapped_column(String(120), primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=now)


class ExerciseState(Base):
    """How the reader stands with an exercise. A round begins with the first run or hint, and anew when the
    reader does it again; it ends with the solution or by giving up.

    begun, solved, gave_up: moments of this round; hints: opened in it. card: what the scheduler of
    repetitions knows; due: when the exercise should be done again.
    """

    __tablename__ = "exercise_state"

    exercise: Mapped[str] = mapped_column(String(120), primary_key=True)
    hints: Mapped[int]
    begun: Mapped[datetime]
    solved: Mapped[datetime | None]
    gave_up: Mapped[datetime | None]
    due: Mapped[datetime | None] = mapped_column(index=True)
    card: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)


class CardRow(Base):
    """How the reader stands with a question of the book.

    card: what the scheduler of repetitions knows, {} before the first answer; due: when it should be asked
    again. lapses: how often it was known and then was not. leech: it keeps being forgotten. suspended: never
    asked. buried: the day on which it is not asked (ISO), or "".
    """

    __tablename__ = "card"

    question: Mapped[str] = mapped_column(String(120), primary_key=True)
    card: Mapped[dict[str, Any]]
    due: Mapped[datetime | None] = mapped_column(index=True)
    lapses: Mapped[int]
    leech: Mapped[bool]
    suspended: Mapped[bool]
    buried: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime] = mapped_column(default=now)


class ReviewRow(Base):
    """An answer to a question, what the grader said of it and what the person made of that.

    grade: the Grade that was proposed, as plain data; proposed: the rating that followed. decided: the
    person's own verdicts, by criterion. rating: what counted; "" where a state came without its history.
    before, after: the card's row (before: {} if there was none); kind: drill, diagnostic or import.
    """

    __tablename__ = "review"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    question: Mapped[str] = mapped_column(String(120), index=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    rating: Mapped[str] = mapped_column(String(10))
    proposed: Mapped[str] = mapped_column(String(10))
    answer: Mapped[str] = mapped_column(Text)
    grade: Mapped[dict[str, Any]]
    decided: Mapped[dict[str, Any]]
    seconds: Mapped[float] = mapped_column(Float)
    kind: Mapped[str] = mapped_column(String(20))
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    undone: Mapped[bool]


class Correction(Base):
    """A criterion that the person decided otherwise than the grader proposed, or that it left open.

    review: the key of the review that it was part of. quote, confidence, grader: of the proposal.
    """

    __tablename__ = "correction"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    review: Mapped[str] = mapped_column(String(40))
    question: Mapped[str] = mapped_column(String(120), index=True)
    criterion: Mapped[str] = mapped_column(String(120))
    answer: Mapped[str] = mapped_column(Text)
    quote: Mapped[str] = mapped_column(Text)
    proposed: Mapped[str] = mapped_column(String(10))
    verdict: Mapped[str] = mapped_column(String(10))
    confidence: Mapped[float] = mapped_column(Float)
    grader: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(default=now)


class AnswerDraft(Base):
    """What is typed as an answer and was not handed in yet. place: drill or diagnostic; seconds: spent on it
    so far."""

    __tablename__ = "answer_draft"

    question: Mapped[str] = mapped_column(String(120), primary_key=True)
    place: Mapped[str] = mapped_column(String(20), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Float)
    at: Mapped[datetime] = mapped_column(default=now)


class PlanRow(Base):
    """A plan as it was decided; rows are only added. The highest number that is not undone holds. why: what
    was changed, in words."""

    __tablename__ = "plan"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int]
    values: Mapped[dict[str, Any]]
    why: Mapped[str] = mapped_column(Text)
    undone: Mapped[bool]
    at: Mapped[datetime] = mapped_column(default=now)


class DiagnosticRow(Base):
    """A diagnostic, as far as it is: resumed from its state."""

    __tablename__ = "diagnostic"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[dict[str, Any]]
    begun: Mapped[datetime] = mapped_column(default=now)
    ended: Mapped[datetime | None]


class DayRow(Base):
    """A day's session as it was dealt, and what is done of it. day: ISO date."""

    __tablename__ = "day"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    values: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)


class FittedRow(Base):
    """The scheduler's parameters, fitted to the reader's own history, with what that was worth; rows are only
    added. The newest that is not undone holds."""

    __tablename__ = "fitted"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    values: Mapped[dict[str, Any]]
    undone: Mapped[bool]
    at: Mapped[datetime] = mapped_column(default=now)


class ImportRow(OfThisMachine, Base):
    """What an import brought, so that it can be taken back; it does not travel, and goes when everything is
    deleted.

    kind: json, csv or anki; name: of the file. taken: counts by what it was; left_out: counts by reason.
    rows: by table, the primary key and a digest of each row that was added. cards: by question, its row
    before ({} if there was none) and after.
    """

    __tablename__ = "imported"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    taken: Mapped[dict[str, Any]]
    left_out: Mapped[dict[str, Any]]
    rows: Mapped[dict[str, Any]]
    cards: Mapped[dict[str, Any]]
    undone: Mapped[bool]
    at: Mapped[datetime] = mapped_column(default=now, index=True)


class Measurement(Base):
    """A claim measured on the reader's own machine; the newest per claim is shown."""

    __tablename__ = "measurement"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    claim: Mapped[str] = mapped_column(String(200), index=True)
    value: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)
    samples: Mapped[int]
    machine: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=now)


class Signal(Base):
    """What the reader did with an answer: a citation that was opened, a yes or a no to 'did this answer
    it?'."""

    __tablename__ = "signal"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    ask: Mapped[int | None] = mapped_column(info={"local": True})  # asks are numbered anew elsewhere
    corpus: Mapped[str] = mapped_column(String(60), index=True)
    question: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))
    chunk: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=now)


class CorpusRow(OfThisMachine, Base):
    """A corpus of the reader's own: its name, and what its index is made with."""

    __tablename__ = "corpus"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(200))
    dimension: Mapped[int]
    settings: Mapped[dict[str, Any]]
    created: Mapped[datetime] = mapped_column(default=now)
    changed: Mapped[datetime] = mapped_column(default=now)


class CorpusSource(OfThisMachine, Base):
    """A folder, file or page that a corpus is made of. key: a hash of the source, which may be longer than
    an index takes."""

    __tablename__ = "corpus_source"

    corpus: Mapped[str] = mapped_column(String(60), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))  # folder, file, page
    added: Mapped[datetime] = mapped_column(default=now)


class CorpusDocument(OfThisMachine, Base):
    """A document of a corpus, as it was when it was last ingested. seen: size and times by which it is told
    whether it changed. origin: key of the source that brought it. lost: in words, what could not be read."""

    __tablename__ = "corpus_document"

    corpus: Mapped[str] = mapped_column(String(60), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    seen: Mapped[dict[str, Any]]
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(10))
    chunks: Mapped[int]
    characters: Mapped[int] = mapped_column(BigInteger)
    lost: Mapped[list[Any]]
    fault: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Float)
    at: Mapped[datetime] = mapped_column(default=now)


class IngestionRow(OfThisMachine, Base):
    """An ingestion: how far it is, for all processes to see. state: running, waiting, stopping, stopped,
    failed, done; a process that was killed leaves it at running. wish: 'stop' where somebody asked for it."""

    __tablename__ = "ingestion"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    corpus: Mapped[str] = mapped_column(String(60), index=True)
    job: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20))
    wish: Mapped[str] = mapped_column(String(20))
    stage: Mapped[str] = mapped_column(String(20))
    done: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text)
    counts: Mapped[dict[str, Any]]
    faults: Mapped[list[Any]]
    seconds: Mapped[float] = mapped_column(Float)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
