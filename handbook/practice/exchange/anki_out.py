"""The deck as a package that Anki opens: notes, schedule and review log.

The collection is written twice, under the name that Anki 2.1 looks for and the one that older programs know.

What goes along: each card's interval, date and lapses; the FSRS memory (stability, difficulty, last review),
which Anki uses where its own FSRS is switched on; what is suspended; every review with a rating, its interval
and its seconds. What Anki has no place for stays here: typed answers, grades and corrections, and what is put
off for today alone. Anki imports the schedule only if it is told to ("Import any learning progress"), and
keeps its own for cards that it has already.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbook.practice.aim import local_day
from handbook.practice.exchange import anki_notes as notes
from handbook.practice.exchange.anki_schema import CONF, EASE, OPTIONS, SCHEMA, deck_values, note_type_values
from handbook.practice.memory import RATINGS, interval
from handbook.practice.replay import kept_row

if TYPE_CHECKING:
    from handbook.practice.cards import Deck
    from handbook.practice.nouns import CardState

ROLLOVER = 4  # o'clock at which Anki's day begins, as CONF says
NEW, REVIEW = 0, 2  # type of a card, and its queue
SUSPENDED = -1
LEARNED, REVIEWED = 0, 1  # kinds of entries of the log
FACTOR = 100, 1100  # of an entry of the log, for difficulty 1 and 10
LONGEST = 3_600_000  # ms of one entry


def write(deck: Deck) -> bytes:
    """Every question of the book, each in the sub-deck of its chapter."""
    with tempfile.TemporaryDirectory(prefix="handbook-") as folder:
        path = Path(folder) / "collection"
        connection = sqlite3.connect(path)
        try:
            connection.executescript(SCHEMA)
            _fill(connection, deck)
            connection.commit()
            connection.execute("VACUUM")
        finally:
            connection.close()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("collection.anki2", "collection.anki21"):
                archive.write(path, name)
            archive.writestr("media", "{}")
        return packed.getvalue()


def _fill(connection: sqlite3.Connection, deck: Deck) -> None:
    book, now = deck.book, deck.now()
    seconds = int(now.timestamp())
    log = _by_question(deck.rows.facts())
    states, target = deck.states(), deck.retention_target()
    first = min([local_day(each[0]["at"]) for each in log.values()], default=local_day(now))
    begun = datetime.combine(first, time(ROLLOVER)).astimezone()
    note_type = note_type_values(
        notes.number("note type"), notes.NOTE_TYPE, notes.FIELDS, notes.TEMPLATE, seconds
    )
    decks = {1: deck_values(1, "Default", seconds)}
    used: set[int] = set()
    for place, (name, question) in enumerate(book.questions.items()):
        chapter = book.chapter(question.chapter)
        if chapter is None:
            continue
        title = f"{notes.DECK}::{chapter.title}"
        home = notes.number("deck", chapter.path)
        decks[home] = deck_values(home, title, seconds)
        fields = notes.fields(book, chapter, question)
        note, card = (_free(notes.number(kind, name), used) for kind in ("note", "card"))
        connection.execute(
            f"INSERT INTO notes VALUES ({_marks(11)})",
            (
                *(note, notes.guid(name), note_type["id"], seconds, -1, notes.tags(question)),
                *("\x1f".join(fields), notes.plain(fields[0]), notes.checksum(fields[0]), 0, ""),
            ),
        )
        told = log.get(name, [])
        schedule = _schedule(states.get(name), told, first, place, target)
        connection.execute(
            f"INSERT INTO cards VALUES ({_marks(18)})",
            (card, note, home, 0, seconds, -1, *schedule),
        )
        connection.executemany(
            f"INSERT INTO revlog VALUES ({_marks(9)})",
            ((each[0], card, *each[1:]) for each in _log(told, used)),
        )
    top = notes.number("deck")
    decks[top] = deck_values(top, notes.DECK, seconds)
    conf = json.loads(CONF)
    conf |= {
        "curDeck": top,
        "activeDecks": [top],
        "curModel": note_type["id"],
        "nextPos": len(book.questions),
    }
    milli = int(now.timestamp() * 1000)
    connection.execute(
        f"INSERT INTO col VALUES ({_marks(13)})",
        (
            *(1, int(begun.timestamp()), milli, milli, 11, 0, 0, 0, json.dumps(conf)),
            *(
                json.dumps({str(note_type["id"]): note_type}),
                json.dumps({str(key): decks[key] for key in decks}),
            ),
            *(OPTIONS, "{}"),
        ),
    )


def _schedule(
    state: CardState | None, told: list[dict[str, Any]], first: date, place: int, target: float
) -> tuple[Any, ...]:
    """type, queue, due, ivl, factor, reps, lapses, left, odue, odid, flags, data of a card. A new one's due
    is its place; another's are days since the collection's first."""
    aside = state is not None and state.suspended
    if state is None or state.new or state.due is None:
        return (NEW, SUSPENDED if aside else NEW, place, 0, 0, 0, 0, 0, 0, 0, 0, "{}")
    card = state.card
    memory = {
        "s": round(card["stability"], 4),
        "d": round(card["difficulty"], 3),
        "dr": target,
        "lrt": int(datetime.fromisoformat(card["last_review"]).timestamp()),
    }
    days = (local_day(state.due) - first).days
    queue = SUSPENDED if aside else REVIEW
    reps = max(1, sum(each["rating"] in RATINGS for each in told))
    held = max(1, interval(card) or 1)
    return (REVIEW, queue, days, held, EASE, reps, state.lapses, 0, 0, 0, 0, json.dumps(memory))


def _log(told: Iterable[Mapping[str, Any]], used: set[int]) -> list[tuple[int, ...]]:
    """id, usn, ease, ivl, lastIvl, factor, time, type of each review; the id is its moment in ms, alone."""
    entries: list[tuple[int, ...]] = []
    low, high = FACTOR
    for each in told:
        if each["rating"] not in RATINGS:
            continue
        before, after = (kept_row(each[name]) for name in ("before", "after"))
        last = interval(before["card"]) if before else None
        coming = interval(after["card"]) if after else None
        difficulty = after["card"].get("difficulty", 5.0) if after else 5.0
        entries.append(
            (
                _free(int(each["at"].timestamp() * 1000), used),
                -1,
                RATINGS.index(each["rating"]) + 1,
                max(1, coming or 1),
                last or 0,
                round(low + (difficulty - 1) / 9 * (high - low)),
                min(int(each["seconds"] * 1000), LONGEST),
                REVIEWED if entries or last else LEARNED,
            )
        )
    return entries


def _by_question(facts: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for fact in facts:
        found.setdefault(fact["question"], []).append(fact)
    return found


def _free(number: int, used: set[int]) -> int:
    """The number, or the next that nothing has yet."""
    while number in used:
        number += 1
    used.add(number)
    return number


def _marks(count: int) -> str:
    return ", ".join("?" * count)
