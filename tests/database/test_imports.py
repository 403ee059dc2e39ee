"""What an import adds is kept and taken back, all or nothing, on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from practice.deck_book import Clock, grade, make_book

from handbook.database import Database, open_database
from handbook.database.cards import BLANK, Changed, plain
from handbook.database.imports import Imports
from handbook.errors import DatabaseError
from handbook.practice.cards import Deck
from handbook.practice.exchange import KINDS, Exchange
from handbook.settings import Settings

AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
ABOUT: dict[str, Any] = {"kind": "json", "name": "f", "taken": {}, "left_out": {"why": 2}, "at": AT}
CARD = {**BLANK, "at": AT, "suspended": True}
DRAFT = {"question": "q", "place": "drill", "text": "half", "seconds": 1.5, "at": AT}


def test_rows_are_added_and_taken_back(database: Database) -> None:
    imports, deck = Imports(database), Deck(database, make_book())
    key = imports.keep({"answer_draft": [DRAFT]}, {"q": ({}, CARD)}, **ABOUT)
    kept = imports.get(key)
    assert kept is not None
    assert (kept["left_out"], kept["at"], kept["cards"]) == (
        {"why": 2},
        AT,
        {"q": {"before": {}, "after": plain(CARD)}},
    )
    assert deck.rows.card("q") == {**CARD, "question": "q"}
    assert imports.take_back(key, {"q": (plain(CARD), None)}) == 1
    assert deck.rows.card("q") is None
    assert deck.rows.draft("q", "drill") is None
    assert imports.take_back(key, {}) == 0
    assert [row["undone"] for row in imports.newest()] == [True]


def test_a_row_that_changed_since_stays(database: Database) -> None:
    imports, deck = Imports(database), Deck(database, make_book())
    key = imports.keep({"answer_draft": [DRAFT]}, {}, **ABOUT)
    deck.rows.save_draft("q", "drill", "half a thought", 3.0, AT)
    assert imports.take_back(key, {}) == 0
    row = deck.rows.draft("q", "drill")
    assert row is not None
    assert row["text"] == "half a thought"


@pytest.mark.parametrize("seen", [{}, {"lapses": 3}])
def test_nothing_is_written_over_a_card_that_is_another_by_now(
    database: Database, seen: dict[str, Any]
) -> None:
    imports, deck = Imports(database), Deck(database, make_book())
    deck.rows.put_cards({"q": CARD})
    with pytest.raises(Changed):
        imports.keep({"answer_draft": [DRAFT]}, {"q": (seen, CARD)}, **ABOUT)
    assert deck.rows.draft("q", "drill") is None
    assert imports.newest() == []


def test_two_equal_rows_are_a_fault_and_nothing_is_written(database: Database) -> None:
    with pytest.raises(DatabaseError):
        Imports(database).keep({"answer_draft": [DRAFT, DRAFT]}, {}, **ABOUT)
    assert Imports(database).newest() == []


def test_the_way_out_of_one_database_and_into_another(database: Database, tmp_path: Path) -> None:
    clock = Clock()
    deck = Deck(database, make_book(), clock)
    deck.answered("flour-0", "text", grade("flour-0", "text", b="no"), {"b": "yes"})
    clock.forward(4)
    deck.answered("flour-0", "", rating="again")
    files = {name: Exchange(deck, database).write(name) for name in KINDS}
    other = open_database(Settings(data=tmp_path / "other"))
    there = Deck(other, make_book(), clock)
    for name in ("practice.json", "reviews.csv", "deck.apkg"):
        taken = Exchange(there, other).take(files[name], name)
        assert taken.taken["review"] == 2
        assert there.state("flour-0").lapses == 1
        database.delete_all()
        back = Exchange(deck, database)
        assert back.take(Exchange(there, other).write(name), name).taken["review"] == 2
        assert deck.state("flour-0").card["stability"] == pytest.approx(
            there.state("flour-0").card["stability"]
        )
        Exchange(there, other).undo(taken.key)
        assert there.state("flour-0").new
    other.close()
