"""Cards, reviews, corrections, drafts and fitted parameters, on both databases."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from practice.deck_book import Clock, grade, make_book
from sqlalchemy import create_engine, text

from handbook.database import Database, open_database
from handbook.database.cards import BLANK, Cards, Changed, plain
from handbook.database.tables import DayRow, DiagnosticRow, PlanRow
from handbook.practice.cards import Deck
from handbook.settings import Settings

AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
CARD = {**BLANK, "card": {"stability": 2.3065, "step": None}, "due": AT + timedelta(days=2), "at": AT}


@pytest.fixture
def cards(database: Database) -> Cards:
    return Cards(database)


def review(key: str, before: dict[str, Any], days: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "key": key,
        "question": "why-rope",
        "at": AT + timedelta(days=days),
        "rating": "good",
        "proposed": "hard",
        "answer": "Because.",
        "grade": {"judgements": [{"criterion": "a", "met": 0.1}]},
        "decided": {"a": "yes"},
        "seconds": 61.5,
        "kind": "drill",
        "before": before,
        "after": plain(CARD),
        "undone": False,
        **values,
    }


def correction(of: str) -> dict[str, Any]:
    return {
        "review": of,
        "question": "why-rope",
        "criterion": "a",
        "answer": "Because.",
        "quote": "",
        "proposed": "no",
        "verdict": "yes",
        "confidence": 0.6,
        "grader": "local",
        "at": AT,
    }


def test_a_review_and_its_card_are_kept_together(cards: Cards) -> None:
    cards.save_draft("why-rope", "drill", "Becau", 3.0, AT)
    kept = cards.add_review(review("k", {}), CARD, [correction("k")], "drill")
    row = cards.card("why-rope")
    assert row == {**CARD, "question": "why-rope"}
    assert plain(row) == kept["after"]
    assert cards.review("k") == kept
    assert cards.reviews("why-rope") == [kept]
    assert cards.draft("why-rope", "drill") is None
    assert [each["verdict"] for each in cards.corrections()] == ["yes"]
    assert cards.corrections("other") == []


def test_a_card_that_changed_meanwhile_is_not_written_over(cards: Cards) -> None:
    cards.add_review(review("k", {}), CARD)
    with pytest.raises(Changed):
        cards.add_review(review("l", {}), {**CARD, "lapses": 9}, [correction("l")])
    assert cards.card("why-rope")["lapses"] == 0
    assert cards.corrections() == []
    again = cards.add_review(review("k", {}, answer="Sent again."), {**CARD, "lapses": 9})
    assert again["answer"] == "Because."
    assert cards.card("why-rope")["lapses"] == 0
    cards.add_review(review("m", plain(cards.card("why-rope"))), {**CARD, "lapses": 1})
    assert cards.card("why-rope")["lapses"] == 1


def test_undo_marks_restores_and_gives_the_answer_back(cards: Cards) -> None:
    cards.add_review(review("k", {}), CARD, [correction("k")])
    draft = {"place": "drill", "text": "Because.", "seconds": 61.5, "at": AT}
    cards.undo("k", plain(CARD), None, draft)
    assert cards.card("why-rope") is None
    assert cards.reviews() == cards.facts() == []
    assert cards.review("k")["undone"]
    assert cards.corrections() == []
    assert [row["text"] for row in cards.drafts("drill")] == ["Because."]
    cards.change_card("why-rope", suspended=True)
    cards.undo("k", {}, None)  # once is enough
    assert cards.card("why-rope")["suspended"]


def test_undo_does_not_write_over_another_window_s_answer(cards: Cards) -> None:
    cards.add_review(review("k", {}), CARD)
    cards.add_review(review("l", plain(CARD), days=1), {**CARD, "lapses": 1})
    with pytest.raises(Changed):
        cards.undo("k", plain(CARD), None)
    assert not cards.review("k")["undone"]
    assert cards.card("why-rope")["lapses"] == 1


def test_reviews_by_question_time_and_kind(cards: Cards) -> None:
    cards.add_review(review("a", {}), CARD)
    there = plain(cards.card("why-rope"))
    cards.add_review(review("b", there, days=1, kind="diagnostic"), CARD)
    cards.add_review(review("c", {}, days=2, question="other"), CARD)
    assert [row["key"] for row in cards.reviews()] == ["c", "b", "a"]
    assert [row["key"] for row in cards.facts()] == ["a", "b", "c"]
    assert [row["key"] for row in cards.reviews(limit=1)] == ["c"]
    assert [row["key"] for row in cards.reviews("why-rope", kinds=["drill"])] == ["a"]
    assert [row["key"] for row in cards.facts(since=AT + timedelta(days=1))] == ["b", "c"]
    assert "answer" not in cards.facts()[0]


def test_reviews_from_elsewhere_come_once_and_can_go(cards: Cards) -> None:
    brought = [review(f"import-{n}", {}, days=n, kind="import") for n in range(900)]
    assert cards.add_reviews(brought) == 900
    assert cards.add_reviews([*brought, review("one-more", {}, kind="import")]) == 1
    assert cards.card("why-rope") is None
    assert cards.withdraw([row["key"] for row in brought]) == {"why-rope"}
    assert [row["key"] for row in cards.reviews()] == ["one-more"]


def test_put_and_change(cards: Cards) -> None:
    cards.put_cards({"one": CARD, "two": {**CARD, "leech": True}})
    assert set(cards.cards()) == {"one", "two"}
    cards.put_cards({"one": None, "two": {**CARD, "leech": False}, "three": None})
    assert set(cards.cards()) == {"two"}
    assert not cards.cards()["two"]["leech"]
    assert cards.change_card("new", buried="2026-01-01")["card"] == {}


def test_the_plan_that_holds(cards: Cards, database: Database) -> None:
    assert cards.plan() == {}
    with database.session() as session:
        for number, undone in ((1, False), (2, False), (3, True)):
            values = {"date": f"2026-0{number}-01"}
            session.add(PlanRow(key=str(number), number=number, values=values, why="", undone=undone))
    assert cards.plan() == {"date": "2026-02-01"}


def test_the_parameters_that_hold(cards: Cards) -> None:
    assert cards.fitted() is None
    cards.add_fitted({"parameters": [1.0]}, AT)
    cards.add_fitted({"parameters": [2.0]}, AT + timedelta(days=1))
    held = cards.fitted()
    assert held["values"] == {"parameters": [2.0]}
    cards.undo_fitted(held["key"])
    assert cards.fitted()["values"] == {"parameters": [1.0]}


def test_all_of_it_travels(cards: Cards, database: Database, tmp_path: Path) -> None:
    cards.add_review(review("k", {}), CARD, [correction("k")])
    cards.save_draft("why-rope", "diagnostic", "half", 2.0, AT)
    cards.add_fitted({"parameters": [1.0]}, AT)
    with database.session() as session:
        session.add(PlanRow(key="p", number=1, values={"date": "2026-02-01"}, why="begun", undone=False))
        session.add(DiagnosticRow(key="d", state={"asked": []}, ended=None))
        session.add(DayRow(day="2026-01-01", values={"items": [1]}))
    state = json.loads(json.dumps(database.export()))
    other = open_database(Settings(data=tmp_path / "other"))
    assert other.import_(state) == 8
    assert other.import_(state) == 0
    assert other.export() == database.export()
    assert Cards(other).card("why-rope") == cards.card("why-rope")
    other.delete_all()
    assert Cards(other).cards() == {}
    other.close()


def test_a_deck_over_it(database: Database) -> None:
    """Answers, corrections, days and undo as the drill uses them."""
    book, clock = make_book(), Clock()
    deck = Deck(database, book, clock)
    deck.save_draft("flour-0", "drill", "half")
    proposal = grade("flour-0", "An answer, é 值.", b="no", c="unclear")
    once = deck.answered("flour-0", "An answer, é 值.", proposal, {"c": "no"}, key="page-1")
    assert deck.answered("flour-0", "An answer, é 值.", proposal, {"c": "no"}, key="page-1") == once
    assert once.rating == "hard"
    clock.at = once.due
    assert [one.question.id for one in deck.due()] == ["flour-0"]
    deck.answered("flour-0", "x", rating="again")
    assert [one.again for one in deck.due()] == [True]
    before = deck.state("flour-0")
    deck.rebuild()
    assert deck.state("flour-0") == before
    assert [row.asked for row in deck.retention()][-1] == 1
    assert deck.undo().answer == "x"
    assert deck.undo().answer == "An answer, é 值."
    assert deck.rows.cards() == {}
    assert deck.rows.corrections() == []


def test_a_database_from_before_the_cards_is_brought_on(settings: Settings) -> None:
    """Back to the revision before, with something in it, and forward again."""
    from alembic import command
    from alembic.config import Config

    from handbook.database.migrate import SCRIPTS

    opened = open_database(settings)
    opened.mark_read("chapter", "section")
    opened.close()
    engine = create_engine(settings.database.replace("postgresql://", "postgresql+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0003"
    engine.dispose()
    opened = open_database(settings)
    assert opened.read() == {"chapter": {"section"}}
    assert Cards(opened).cards() == {}
    opened.close()
