"""Cards, reviews and criteria as CSV; reviews come back in.

A spreadsheet takes a cell that begins with = + - or @ for a formula (OWASP, "CSV Injection"), and an answer
may begin so: such cells, and those that begin with apostrophes before such a sign, get one apostrophe more,
which reading takes away again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, get_args

from handbook.practice.exchange import checked
from handbook.practice.exchange.limits import ROWS
from handbook.practice.exchange.nouns import Incoming, NotTaken
from handbook.practice.memory import RATINGS, interval
from handbook.practice.places import section_of
from handbook.practice.replay import moment

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

Table = Literal["cards", "reviews", "criteria"]
TABLES: tuple[Table, ...] = get_args(Table)
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    "cards": (
        *("question", "chapter", "section", "level", "due", "interval_days", "stability_days", "difficulty"),
        *("retrievability", "reviews", "lapses", "leech", "suspended"),
    ),
    "reviews": (
        *("key", "question", "at", "rating", "proposed", "seconds", "kind", "criteria_met", "criteria"),
        *("due_after", "answer"),
    ),
    "criteria": (
        *("review", "question", "at", "criterion", "says", "must", "weight", "proposed", "confidence"),
        *("decided", "quote", "grader"),
    ),
}
NEEDED = ("question", "at", "rating")
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four: the signs in full width
_KEY = re.compile(r"[0-9a-f]{32}")


def write(deck: Deck, table: Table) -> bytes:
    """UTF-8 with a byte order mark, by which spreadsheets know it."""
    rows = {"cards": _cards, "reviews": _reviews, "criteria": _criteria}[table](deck)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(COLUMNS[table])
    writer.writerows([_cell(row[name]) for name in COLUMNS[table]] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def read(data: bytes, deck: Deck) -> Incoming:
    """Reviews from `reviews.csv`, or any CSV with the columns question, at and rating. Raises NotTaken."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTaken(
            f"Expected CSV in UTF-8, got other bytes ({error.reason}).", "Save it as UTF-8."
        ) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    incoming = Incoming("csv")
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in NEEDED if name not in header]
        if missing:
            raise NotTaken(
                f"Expected a table of reviews, got one without {' and '.join(missing)}.",
                "Cards and criteria are for reading: choose reviews.csv, or the JSON, which has all.",
            )
        for number, row in enumerate(reader, start=1):
            if number > ROWS:
                raise NotTaken(f"Expected at most {ROWS:,} lines, got more.", "Split the file.")
            if row:
                _take(dict(zip(header, map(_uncell, row), strict=False)), deck, incoming)
    except csv.Error as error:
        raise NotTaken(f"The table can't be read: line {reader.line_num}: {error}.") from error
    return incoming


def _take(row: Mapping[str, str], deck: Deck, incoming: Incoming) -> None:
    question, at = row.get("question", ""), moment(row.get("at", ""))
    if question not in deck.book.questions:
        incoming.left_out["reviews of questions that this book does not have"] += 1
        return
    if at is None:
        incoming.left_out["reviews without a moment with its zone (2026-03-02T12:00:00+00:00)"] += 1
        return
    if not row.get("rating"):
        incoming.left_out["states without a history (the JSON has them)"] += 1
        return
    rating, answer = row["rating"].strip().lower(), row.get("answer", "").replace("\r\n", "\n")
    proposed = row.get("proposed", "")
    key = row.get("key", "")
    if not _KEY.fullmatch(key):
        key = sha256(f"csv {question} {at.isoformat()}".encode()).hexdigest()[:32]
    good, why = checked.review(
        {
            "key": key,
            "question": question,
            "at": at,
            "rating": rating,
            "proposed": proposed if proposed in RATINGS else "",
            "answer": answer.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            "grade": {},
            "decided": {},
            "seconds": _float(row.get("seconds", "")),
            "kind": row.get("kind") or "import",
            "before": {},
            "after": {},
            "undone": False,
        },
        deck.now(),
    )
    if good is None:
        incoming.left_out[why] += 1
    else:
        incoming.reviews.append(good)


def _cards(deck: Deck) -> Iterator[dict[str, Any]]:
    states, now, memory = deck.states(), deck.now(), deck.memory()
    asked: dict[str, int] = {}
    for fact in deck.rows.facts():
        asked[fact["question"]] = asked.get(fact["question"], 0) + bool(fact["rating"])
    for name, question in deck.book.questions.items():
        state = states.get(name)
        card = state.card if state else {}
        known = memory.retrievability(card, now)
        yield {
            "question": name,
            "chapter": question.chapter,
            "section": section_of(deck.book, question).partition("#")[2],
            "level": question.level,
            "due": state.due if state else None,
            "interval_days": interval(card),
            "stability_days": round(card["stability"], 3) if card else None,
            "difficulty": round(card["difficulty"], 3) if card else None,
            "retrievability": None if known is None else round(known, 4),
            "reviews": asked.get(name, 0),
            "lapses": state.lapses if state else 0,
            "leech": state.leech if state else False,
            "suspended": state.suspended if state else False,
        }


def _reviews(deck: Deck) -> Iterator[dict[str, Any]]:
    for row in reversed(deck.reviews()):
        final = _final(row)
        yield {
            **row,
            "criteria_met": sum(verdict == "yes" for verdict in final.values()) if final else None,
            "criteria": len(final) or None,
            "due_after": (row["after"] or {}).get("due"),
        }


def _criteria(deck: Deck) -> Iterator[dict[str, Any]]:
    for row in reversed(deck.reviews()):
        question = deck.book.questions.get(row["question"])
        words = {each.id: each.yes for each in question.criteria} if question else {}
        for each in _judgements(row):
            yield {
                "review": row["key"],
                "question": row["question"],
                "at": row["at"],
                "criterion": each["criterion"],
                "says": words.get(each["criterion"]),
                "proposed": each["verdict"],
                "decided": row["decided"].get(each["criterion"]),
                "grader": each.get("by") or row["grade"].get("grader"),
                **{name: each.get(name) for name in ("must", "weight", "confidence", "quote")},
            }


def _final(row: Mapping[str, Any]) -> dict[str, str]:
    return {each["criterion"]: each["verdict"] for each in _judgements(row)} | dict(row["decided"])


def _judgements(row: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    listed = checked.grade(row["grade"], row["question"]).get("judgements", [])
    return [each for each in listed if isinstance(each, Mapping)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    number = isinstance(value, int | float)
    return f"'{text}" if not number and _FORMULA.match(text) else text


def _uncell(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
