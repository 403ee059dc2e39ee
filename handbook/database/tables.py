"""The tables. A change here wants a migration in `migrations/versions`; a test holds the two together."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Float, Integer, String, Text, TypeDecorator
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
    """A submission to an exercise, with its verdicts."""

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    exercise: Mapped[str] = mapped_column(String(120), index=True)
    code: Mapped[str] = mapped_column(Text)
    passed: Mapped[int]
    total: Mapped[int]
    results: Mapped[list[Any]]
    at: Mapped[datetime] = mapped_column(default=now)


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
