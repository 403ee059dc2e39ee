"""The session of a drill, told from the cards: how much, in what order, and what waits for the end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request, Response

from app.small_book import write
from handbook.app.web import drilling
from handbook.app.web.graded import in_words, when
from handbook.book.load import open_book
from handbook.database import open_database
from handbook.practice.cards import Deck
from handbook.records import Question
from handbook.settings import Settings

NOON = datetime(2027, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(at=NOON)


@pytest.fixture
def deck(tmp_path: Path, clock: SimpleNamespace) -> Iterator[Deck]:
    database = open_database(Settings(data=tmp_path / "data"))
    yield Deck(database, open_book(write(tmp_path / "book")), clock=lambda: clock.at)
    database.close()


def kinds(deck: Deck, at: datetime, *later: str) -> list[tuple[str, str]]:
    return [(each.question.id, each.kind) for each in drilling.sitting(deck, "", later, at).all]


def test_only_so_many_new_ones_a_day(
    deck: Deck, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drilling, "NEW_A_DAY", 1)
    assert kinds(deck, NOON) == [("why-knead", "new")]
    deck.answered("why-knead", "x", rating="good", seconds=30)
    assert kinds(deck, NOON) == []
    clock.at = NOON + timedelta(days=1)
    assert kinds(deck, clock.at) == [("bake-design", "new")]


def test_what_is_due_comes_first_and_what_failed_today_last(deck: Deck, clock: SimpleNamespace) -> None:
    deck.answered("bake-design", "x", rating="again")
    assert kinds(deck, NOON) == [("why-knead", "new"), ("bake-design", "again")]
    clock.at = NOON + timedelta(days=1)
    assert kinds(deck, clock.at) == [("bake-design", "due"), ("why-knead", "new")]
    assert kinds(deck, clock.at, "bake-design") == [("why-knead", "new"), ("bake-design", "due")]
    assert kinds(deck, clock.at, "bake-design", "why-knead")[0] == ("bake-design", "due")
    sitting = drilling.sitting(deck, "", ("why-knead",), clock.at)
    assert sitting.next is not None
    assert sitting.next.id == "bake-design"
    assert sitting.count("new") == 1


def test_reviews_of_two_chapters_take_turns(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def due(*_: Any) -> list[Any]:
        names = [(chapter, f"{chapter}{n}") for chapter in "ab" for n in range(3)]
        made = [Question(id, chapter, "lead", "explain", "", "", (), (), (), "") for chapter, id in names]
        return [SimpleNamespace(question=each, again=False) for each in made]

    monkeypatch.setattr(deck, "due", due)
    asked = [each.question.chapter for each in drilling.sitting(deck, "", (), NOON).all if each.kind == "due"]
    assert asked == ["a", "b", "a", "b", "a", "b"]


def test_minutes_are_a_guess_until_enough_was_answered() -> None:
    assert drilling.minutes([{"seconds": 60.0}] * 7) == drilling.MINUTES
    assert drilling.minutes([{"seconds": 60.0}] * 7 + [{"seconds": 0.0}] * 9) == drilling.MINUTES
    assert drilling.minutes([{"seconds": float(at)} for at in (60, 60, 60, 60, 90, 90, 600, 900)]) == 1.5


def test_what_was_put_off_is_of_its_day_and_bounded() -> None:
    response = Response()
    drilling.put_off(response, [f"q{at}" for at in range(60)], NOON)
    cookie = response.headers["set-cookie"].split(";")[0].encode()
    request = Request({"type": "http", "headers": [(b"cookie", cookie)]})
    assert drilling.later_of(request, NOON) == tuple(f"q{at}" for at in range(20, 60))
    assert drilling.later_of(request, NOON + timedelta(days=1)) == ()
    nonsense = Request({"type": "http", "headers": [(b"cookie", b"handbook_drill_later=x:..;")]})
    assert drilling.later_of(nonsense, NOON) == ()


def test_a_summary_is_of_the_day_and_names_what_was_missed_most(deck: Deck, clock: SimpleNamespace) -> None:
    assert drilling.summary(deck, deck.book, NOON) is None
    deck.answered("why-knead", "x", rating="hard", seconds=100)
    found = drilling.summary(deck, deck.book, NOON)
    assert found is not None
    assert (found.count, found.minutes, found.ratings, found.corrected) == (1, 2, (("hard", 1),), 0)
    assert found.rows[0][1:] == ("hard", drilling.when(deck.state("why-knead").due, NOON))
    clock.at = NOON + timedelta(days=1)
    assert drilling.summary(deck, deck.book, clock.at) is None


@pytest.mark.parametrize(
    ("days", "words"), [(0, "today"), (1, "tomorrow"), (2, "in 2 days"), (20, "in 20 days, 30 March")]
)
def test_a_date_in_words(days: int, words: str) -> None:
    assert when(NOON + timedelta(days=days), NOON) == words
    assert when(None, NOON) == ""


def test_confidence_is_said_in_words() -> None:
    words = [in_words(value) for value in (1.0, 0.95, 0.9, 0.7, 0.0)]
    assert words == [
        "The grader is sure.",
        "The grader is sure.",
        "The grader is fairly sure.",
        "The grader is not sure.",
        "The grader is not sure.",
    ]
