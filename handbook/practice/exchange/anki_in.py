"""Reviews from a package of Anki: of our own notes, told by their guid.

Each entry of the review log with a button (1 to 4) becomes a review with that rating. Entries without one
(cards rescheduled by hand) and those of cramming, which changed no schedule, are left out. Where a card has a
state but no log, the state is taken: stability and difficulty where Anki scheduled by FSRS, else its interval
as the stability (by definition the days after which 9 of 10 are still known) and a middle difficulty. Notes
of others are counted and left out: the deck holds the book's questions. What is put aside there is put aside
here.

What the columns mean: Anki's source, rslib/src/storage/schema11.sql, rslib/src/revlog/mod.rs and
rslib/src/storage/card/data.rs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbook.database.cards import BLANK, plain
from handbook.practice.exchange import checked
from handbook.practice.exchange.anki_notes import PREFIX
from handbook.practice.exchange.guarded import Guarded, opened
from handbook.practice.exchange.limits import NOTES, REVIEWS, ROWS
from handbook.practice.exchange.nouns import Incoming, NotTaken
from handbook.practice.exchange.packages import unpack
from handbook.practice.keeping import seconds
from handbook.practice.memory import RATINGS, STEADY, later

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

COLUMNS = {
    "notes": ("id", "guid"),
    "cards": ("id", "nid", "type", "queue", "ivl", "reps", "lapses", "mod", "data"),
    "revlog": ("id", "cid", "ease", "factor", "time", "type"),
}
CRAMMED, BY_HAND = 3, (4, 5)  # kinds of entries of the log
SUSPENDED = -1
REVIEWED = (2, 3)  # kinds of cards that were learned
MIDDLE = 5.0  # difficulty, of 1 to 10
MORE = REVIEWS * 4  # entries of the log that are looked at


def read(data: bytes, deck: Deck) -> Incoming:
    """What a package says of the book's questions. Raises NotTaken."""
    with tempfile.TemporaryDirectory(prefix="handbook-") as folder:
        path = Path(folder) / "collection"
        unpack(data, path)
        with opened(path, COLUMNS) as collection:
            return _incoming(collection, deck)


def _incoming(collection: Guarded, deck: Deck) -> Incoming:
    incoming = Incoming("anki")
    notes = _notes(collection, deck, incoming)
    cards: dict[int, tuple[str, tuple[Any, ...]]] = {}
    for row in collection.rows("cards", ROWS * 5):
        if type(row[0]) is int and type(row[1]) is int and row[1] in notes:
            cards[row[0]] = notes[row[1]], (*map(_whole, row[:-1]), _said(row[-1]))
    told = _log(collection, cards, deck.now(), incoming)
    standing = deck.rows.cards()
    for question, row in sorted(cards.values(), key=lambda each: each[0]):
        if row[3] == SUSPENDED:
            incoming.suspended.add(question)
        if question not in told and not standing.get(question, {}).get("card"):
            brought = _state(question, row, deck.now())
            if brought is not None:
                incoming.reviews.append(brought)
    incoming.suspended -= {name for name, row in standing.items() if row["suspended"]}
    return incoming


def _notes(collection: Guarded, deck: Deck, incoming: Incoming) -> dict[int, str]:
    """Question by note. Raises NotTaken where two notes claim one question."""
    notes: dict[int, str] = {}
    for number, guid in collection.rows("notes", NOTES):
        if type(number) is not int or not isinstance(guid, str):
            incoming.left_out["notes that can't be read"] += 1
        elif not guid.startswith(PREFIX):
            incoming.left_out["notes that are not of this book (the deck holds its questions alone)"] += 1
        elif guid.removeprefix(PREFIX) not in deck.book.questions:
            incoming.left_out["notes of questions that this book does not have"] += 1
        else:
            notes[number] = guid.removeprefix(PREFIX)
    if len(set(notes.values())) < len(notes):
        raise NotTaken("Two notes of the package claim the same question.", "Export it from Anki again.")
    return notes


def _log(
    collection: Guarded, cards: Mapping[int, tuple[str, Any]], now: datetime, incoming: Incoming
) -> set[str]:
    """Takes the review log in; the questions that have one."""
    told: set[str] = set()
    left_out = incoming.left_out
    for number, card, ease, factor, took, kind in collection.rows("revlog", MORE):
        if card not in cards:
            continue
        if not all(type(each) is int for each in (number, ease, factor, took, kind)):
            left_out["reviews that can't be read"] += 1
        elif kind in BY_HAND or (kind == CRAMMED and factor == 0) or not 1 <= ease <= 4:
            left_out["entries of the log that are no reviews (rescheduled, crammed)"] += 1
        else:
            at = _moment(number)
            fault = checked.moment_fault(at, now) if at is not None else "reviews that can't be read"
            if at is None or fault:
                left_out[fault] += 1
                continue
            question = cards[card][0]
            told.add(question)
            key = sha256(f"anki {question} {number}".encode()).hexdigest()[:32]
            incoming.reviews.append(_row(key, question, at, RATINGS[ease - 1], took / 1000))
    return told


def _state(question: str, row: tuple[Any, ...], now: datetime) -> dict[str, Any] | None:
    """A review without a rating, which brings the state of a card whose log is not in the package."""
    number, _, kind, _, days, reps, lapses, changed, said = row
    whole = None not in (kind, days, reps, lapses, changed)
    if not whole or kind not in REVIEWED or not 1 <= days <= 36_500 or reps < 1 or not 0 <= lapses < 10_000:
        return None
    at = _moment(int(said.get("lrt") or changed) * 1000)
    if at is None or checked.moment_fault(at, now) or at > now:
        at = now
    stability, difficulty = said.get("s") or float(days), said.get("d") or MIDDLE
    low, high = STEADY
    due = later(at, days)
    card = {
        "card_id": 1,
        "state": 2,
        "step": None,
        "stability": min(max(stability, low), high),
        "difficulty": min(max(difficulty, 1.0), 10.0),
        "due": due.isoformat(),
        "last_review": at.isoformat(),
    }
    after = plain({**BLANK, "card": card, "due": due, "lapses": lapses, "at": at})
    key = sha256(f"anki state {question} {number} {at.isoformat()}".encode()).hexdigest()[:32]
    return _row(key, question, at, "", 0.0) | {"after": after}


def _whole(value: Any) -> int | None:
    """A whole number; None for anything else, which is not kept: a million values can have 2 MB each."""
    return value if type(value) is int else None


def _said(data: Any) -> dict[str, float]:
    """Numbers of a card's extra data. s: stability in days; d: difficulty; lrt: last review, in seconds."""
    try:
        values = json.loads(data) if isinstance(data, str) and len(data) < 2000 else {}
    except (ValueError, RecursionError):
        values = {}
    return {
        name: float(value)
        for name in ("s", "d", "lrt")
        if isinstance(value := (values.get(name) if isinstance(values, dict) else None), int | float)
        and not isinstance(value, bool)
        and 0 < value < 1e12  # never of a number that is none, nor of one beyond all floats
    }


def _row(key: str, question: str, at: datetime, rating: str, took: float) -> dict[str, Any]:
    return {
        "key": key,
        "question": question,
        "at": at,
        "rating": rating,
        "proposed": "",
        "answer": "",
        "grade": {},
        "decided": {},
        "seconds": seconds(took),
        "kind": "import",
        "before": {},
        "after": {},
        "undone": False,
    }


def _moment(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
