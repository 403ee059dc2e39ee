"""The practice out of the handbook and back in, as JSON and CSV: nothing lost, nothing twice, all undone."""

import contextlib
import csv
import io
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deck_book import AT, DAY, Clock, grade, make_book
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from handbook.database import Database, open_database
from handbook.database.imports import Imports
from handbook.database.tables import DayRow, PlanRow
from handbook.practice.cards import Deck
from handbook.practice.exchange import Exchange, NotTaken, limits, merging, sheets
from handbook.practice.memory import RATINGS
from handbook.settings import Settings

BOOK = make_book()
NASTY = "=SUM(A1) \"quoted\", two\nlines; and 'more'\t-1"


@contextmanager
def fresh(path: Path) -> Iterator[Database]:
    database = open_database(Settings(data=path))
    yield database
    database.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    with fresh(tmp_path_factory.mktemp("here")) as here, fresh(tmp_path_factory.mktemp("there")) as there:
        yield here, there


@pytest.fixture
def both(two: tuple[Database, Database]) -> tuple[tuple[Deck, Exchange], tuple[Deck, Exchange]]:
    for database in two:
        database.delete_all()
    clock = Clock()
    here, there = (Deck(database, BOOK, clock) for database in two)
    return (here, Exchange(here, two[0])), (there, Exchange(there, two[1]))


def clock_of(deck: Deck) -> Clock:
    clock = deck._clock
    assert isinstance(clock, Clock)
    return clock


def practised(deck: Deck) -> None:
    """Some weeks with one of everything."""
    clock = clock_of(deck)
    deck.answered("flour-0", NASTY, grade("flour-0", NASTY, b="no"), {"b": "yes"}, seconds=61.5)
    deck.answered("leaves-1", "x", rating="again")
    clock.forward(1)
    deck.answered("leaves-1", "y", rating="good")
    deck.undo()
    clock.forward(3)
    deck.answered("flour-0", "again", rating="hard", kind="diagnostic")
    deck.answered("cup-2", "", rating="easy")
    deck.suspend("cup-2")
    deck.save_draft("heat-1", "drill", "half a thou", 12)


def held(deck: Deck) -> dict[str, Any]:
    return {
        "cards": {name: {**row, "at": None} for name, row in deck.rows.cards().items()},
        "reviews": deck.reviews(),
        "corrections": deck.rows.corrections(),
        "drafts": {place: deck.rows.drafts(place) for place in ("drill", "diagnostic")},
    }


def tables(exchange: Exchange) -> dict[str, list[str]]:
    """What is exported, in an order of its own."""
    state = json.loads(exchange.write("practice.json"))
    return {
        name: sorted(json.dumps(row, sort_keys=True) for row in rows)
        for name, rows in state["tables"].items()
    }


def nothing(deck: Deck) -> bool:
    found = held(deck)
    return not (found["cards"] or found["reviews"] or found["corrections"] or found["drafts"]["drill"])


def test_json_brings_everything_to_an_empty_place_and_back_out(both: Any) -> None:
    (here, out), (there, into) = both
    practised(here)
    taken = into.take(out.write("practice.json"), "../../practice\x1b[2J.json")
    assert taken.name == "practice[2J.json"
    assert taken.taken == {"review": 5, "card": 3, "correction": 1, "answer_draft": 2}
    assert not taken.left_out
    assert held(there) == held(here)
    assert tables(into) == tables(out)
    again = into.take(out.write("practice.json"), "again")
    assert (again.key, again.taken) == ("", {})
    assert again.left_out["reviews that are here already"] == 5
    assert into.undo(taken.key).undone
    assert nothing(there)
    with pytest.raises(NotTaken, match="taken back already"):
        into.undo(taken.key)
    assert into.take(out.write("practice.json"), "once more").taken == taken.taken


def test_two_histories_merge_into_what_one_would_have_been(both: Any) -> None:
    (here, out), (there, into) = both
    clock = clock_of(here)
    alone = [("good", here), ("hard", there), ("again", here), ("good", there), ("easy", here)]
    for rating, deck in alone:
        deck.answered("water-0", "x", rating=rating)
        clock.forward(6)
    before = held(there)
    taken = into.take(out.write("practice.json"), "f")
    assert taken.taken == {"review": 3, "card": 1}
    merged = there.state("water-0")
    assert merged.lapses == 1
    assert [row["rating"] for row in reversed(there.reviews())] == [rating for rating, _ in alone]
    into.undo(taken.key)
    assert held(there) == before
    out.take(into.write("practice.json"), "f")
    assert here.state("water-0").card == merged.card


def test_the_merged_card_is_what_the_deck_reckons_itself(both: Any) -> None:
    (here, out), (there, into) = both
    clock = clock_of(here)
    for number, rating in enumerate(["good", "good", "again", "hard", "good"]):
        (here if number % 2 else there).answered("water-0", "x", rating=rating)
        clock.forward(4)
    into.take(out.write("reviews.csv"), "f")
    merged = there.state("water-0")
    there.rebuild(["water-0"], keep_dates=False)
    assert there.state("water-0") == merged


def test_undo_keeps_what_was_done_since(both: Any) -> None:
    (here, out), (there, into) = both
    practised(here)
    taken = into.take(out.write("practice.json"), "f")
    clock_of(there).forward(2)
    there.answered("flour-0", "mine", rating="good")
    there.save_draft("heat-1", "drill", "half a thought, typed on", 30)
    into.undo(taken.key)
    assert [row["answer"] for row in there.reviews()] == ["mine"]
    assert list(there.states()) == ["flour-0"]
    draft = there.draft("heat-1")
    assert draft is not None
    assert draft.text == "half a thought, typed on"
    alone = there.state("flour-0")
    there.rebuild(["flour-0"])
    assert there.state("flour-0").card["stability"] == alone.card["stability"]


def test_csv_brings_the_history_back(both: Any) -> None:
    (here, out), (there, into) = both
    practised(here)
    taken = into.take(out.write("reviews.csv"), "reviews.csv")
    assert taken.taken == {"review": 4, "card": 3}
    assert [row["answer"] for row in there.reviews()] == [row["answer"] for row in here.reviews()]
    for name, state in here.states().items():
        assert there.state(name).card["stability"] == pytest.approx(state.card["stability"])
        assert there.state(name).lapses == state.lapses
    assert not there.state("cup-2").suspended  # no column for it
    assert into.take(out.write("practice.json"), "f").left_out["reviews that are here already"] == 4
    into.undo(taken.key)
    assert not there.reviews()


def test_tables_for_reading(both: Any) -> None:
    (here, out), _ = both
    practised(here)
    rows = {
        name: list(csv.DictReader(io.StringIO(out.write(f"{name}.csv").decode("utf-8-sig"))))
        for name in sheets.TABLES
    }
    assert len(rows["cards"]) == len(BOOK.questions)
    cup = next(row for row in rows["cards"] if row["question"] == "cup-2")
    assert (cup["suspended"], cup["reviews"], cup["chapter"], cup["section"]) == (
        "yes",
        "1",
        "food/tea",
        "cup",
    )
    first = rows["reviews"][0]
    assert first["answer"] == "'" + NASTY
    assert (first["criteria_met"], first["criteria"], first["rating"]) == ("4", "4", "easy")
    criteria = {row["criterion"]: row for row in rows["criteria"]}
    assert (criteria["b"]["proposed"], criteria["b"]["decided"], criteria["b"]["quote"]) == ("no", "yes", "")
    assert criteria["a"]["says"] == "Says that a."


@examples(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("='+-@ \t\r\nab\",;\uff1d\uff0b\uff0d\uff20"), max_size=8))
def test_no_cell_is_a_formula_and_each_reads_back(text: str) -> None:
    cell = sheets._cell(text)
    assert not cell.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
    assert sheets._uncell(cell) == text


def test_a_csv_of_ones_own(both: Any) -> None:
    _, (there, into) = both
    text = "Question;AT;rating\nflour-0;2026-02-01T10:00:00+01:00;Good\nnone;2026-02-01T10:00:00Z;good\n"
    text += "flour-1;yesterday;good\nflour-1;2026-02-01T10:00:00Z;great\nflour-1;2031-02-01T10:00:00Z;good\n"
    text += "flour-1;1999-02-01T10:00:00Z;good\n"
    taken = into.take(text.encode(), "mine.csv")
    assert taken.taken == {"review": 1, "card": 1}
    assert len(taken.left_out) == 5
    assert sum(taken.left_out.values()) == 5
    assert there.reviews()[0]["kind"] == "import"


def test_imported_answers_count_as_asked_again(both: Any) -> None:
    (here, out), (there, into) = both
    for rating in ("good", "good", "again"):
        here.answered("flour-0", "x", rating=rating)
        clock_of(here).forward(3)
    into.take(out.write("reviews.csv"), "f")
    whole = next(row for row in there.retention() if (row.period, row.age) == ("all", "all"))
    assert (whole.known, whole.asked) == (1, 2)


def test_a_review_taken_back_here_stays_so(both: Any) -> None:
    (here, out), _ = both
    here.answered("flour-0", "x", rating="good")
    data, table = out.write("practice.json"), out.write("reviews.csv")
    here.undo()
    for each in (data, table):
        taken = out.take(each, "f")
        assert "review" not in taken.taken
        assert not here.reviews()


def test_a_plan_that_holds_stays(both: Any) -> None:
    (here, out), (there, into) = both
    values = dict[str, Any](
        format="handbook-plan", version=1, begun="2026-03-01", date=None, hours=5.0, level="lead"
    )
    values |= dict[str, Any](role="lead", track="", days=[0], solid=[], shaky=[], away=[])
    for deck, key in ((here, "a"), (there, "b")):
        with deck.rows._database.session() as session:
            session.add(PlanRow(key=key, number=1, values=values, why="", undone=False, at=AT))
            if key == "a":
                session.add(DayRow(day="2026-03-02", values={"items": []}, at=AT))
    taken = into.take(out.write("practice.json"), "f")
    assert taken.left_out == {"plans: one holds here, and stays": 1}
    assert taken.taken == {"day": 1}


def altered(data: bytes, table: str, **values: Any) -> bytes:
    state = json.loads(data)
    for row in state["tables"][table]:
        row.update(values)
    return json.dumps(state).encode()


LIES = [
    ("review", {"rating": "great"}, "unknown rating"),
    ("review", {"kind": "dream"}, "unknown kind"),
    ("review", {"at": "2031-01-01T00:00:00+00:00"}, "yet to come"),
    ("review", {"rating": "", "after": {}}, "neither a rating nor a state"),
    ("review", {"decided": [1]}, "another shape"),
    ("card", {"lapses": -3}, "state can't be read"),
    ("card", {"card": {"stability": 1e9}}, "state can't be read"),
    ("card", {"due": "9999-01-01T00:00:00+00:00"}, "state can't be read"),
    ("correction", {"verdict": "perhaps"}, "corrections that can't"),
]


@pytest.mark.parametrize(("table", "values", "why"), LIES)
def test_lies_in_a_document_are_left_out(both: Any, table: str, values: dict[str, Any], why: str) -> None:
    (here, out), (there, into) = both
    here.answered("flour-0", "text", grade("flour-0", "text", b="no"), {"b": "yes"})
    taken = into.take(altered(out.write("practice.json"), table, **values), "f")
    assert any(why in reason for reason in taken.left_out), taken
    assert table not in taken.taken or table == "card"  # the card follows from the review
    there.due(AT + 900 * DAY)
    there.retention()


def test_a_grade_of_another_shape_becomes_none(both: Any) -> None:
    (here, out), (there, into) = both
    here.answered("flour-0", "text", grade("flour-0", "text"))
    for wrong in ({"judgements": [{"criterion": 3}]}, {"judgements": "all"}, {"a": {"b": 1}}):
        taken = into.take(altered(out.write("practice.json"), "review", grade=wrong, before={"x": 1}), "f")
        row = there.reviews()[0]
        assert (row["grade"], row["before"]) == ({}, {})
        into.undo(taken.key)


BROKEN = [
    b"{}",
    b"[" * 100_000,
    b'{"format": "handbook-state", "version": 99, "tables": {}}',
    b'{"format": "handbook-state", "version": 1, "tables": []}',
    b'{"format": "handbook-state", "version": 1, "tables": {"card": [{"question": "x"}]}}',
    b'{"format": "handbook-state", "version": 1, "tables": {"card": 3}}',
    b'{"format": "handbook-study"}',
    b'{"n": ' + b"1" * 5000 + b"}",
    b"",
    b"\xff\xfe\x00",
    b"question,at\nflour-0,2026-01-01\n",
    b'question,at,rating\n"never closed',
    b"question,at,rating\n" + b"x" * 200_000,
    b"PK\x03\x04 and no more",
    b"MZ" + bytes(range(256)) * 10,
]


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_what_is_none_of_it_changes_nothing(both: Any, data: bytes) -> None:
    _, (there, into) = both
    with pytest.raises(NotTaken, match="Nothing was imported"):
        into.take(data, "f")
    assert nothing(there)
    assert not into.history()


@examples(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"{", b"question,at,rating\n"]))
def test_any_bytes_are_refused_or_taken_in_whole(opened: Exchange, data: bytes, head: bytes) -> None:
    with contextlib.suppress(NotTaken):
        assert not opened.take(head + data, "f").key
    assert not opened.history()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with fresh(tmp_path_factory.mktemp("any")) as database:
        yield Exchange(Deck(database, BOOK, Clock()), database)


def test_too_large_and_too_many(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (here, out), (there, into) = both
    for day in range(4):
        clock_of(here).at = AT + day * DAY
        here.answered("flour-0", "x", rating="good")
    data = out.write("reviews.csv")
    with pytest.raises(NotTaken, match="at most 50 MB"):
        into.take(b"x" * (limits.FILE + 1), "f")
    monkeypatch.setattr(merging, "REVIEWS_OF_ONE", 3)
    taken = into.take(data, "f")
    assert taken.taken["review"] == 3
    assert taken.left_out == {merging.TOO_MANY: 1}
    into.undo(taken.key)
    monkeypatch.setattr(merging, "REVIEWS", 2)
    with pytest.raises(NotTaken, match="at most 2 new"):
        into.take(data, "f")
    assert not there.reviews()


def test_an_answer_while_a_file_is_read_is_not_written_over(both: Any) -> None:
    (here, out), (there, into) = both
    here.answered("flour-0", "x", rating="good")
    data, plain_keep, calls = out.write("practice.json"), Imports.keep, []

    def keep(self: Imports, *given: Any, **about: Any) -> str:
        if not calls:
            calls.append(1)
            there.answered("flour-0", "meanwhile", rating="again")
        return plain_keep(self, *given, **about)

    Imports.keep = keep  # type: ignore[method-assign]
    try:
        clock_of(there).forward(1)
        into.take(data, "f")
    finally:
        Imports.keep = plain_keep  # type: ignore[method-assign]
    assert {row["answer"] for row in there.reviews()} == {"x", "meanwhile"}
    state = there.state("flour-0")
    there.rebuild(["flour-0"], keep_dates=False)
    assert there.state("flour-0") == state


@examples(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_any_history_comes_through_each_way_and_is_undone(two: Any, seed: int) -> None:
    dice = random.Random(seed)
    clock = Clock(AT + timedelta(minutes=dice.randrange(1440)))
    for database in two:
        database.delete_all()
    here, there = (Deck(database, BOOK, clock) for database in two)
    out, into = Exchange(here, two[0]), Exchange(there, two[1])
    names = list(BOOK.questions)[:5]
    for _ in range(dice.randrange(1, 16)):
        deck = dice.choice([here, here, there])
        deck.answered(dice.choice(names), NASTY[: dice.randrange(9)], rating=dice.choice(RATINGS))
        if dice.random() < 0.15:
            deck.undo()
        if dice.random() < 0.1:
            deck.suspend(dice.choice(names))
        clock.forward(dice.choice([0.01, 0.5, 1, 7, 40]))
    before = held(there)
    for name in ("practice.json", "reviews.csv"):
        taken = into.take(out.write(name), name)
        keys = {row["key"] for row in there.reviews()}
        assert {row["key"] for row in here.reviews()} <= keys
        assert into.take(out.write(name), name).key == ""
        if taken.key:
            into.undo(taken.key)
        assert held(there) == before


def test_moments_survive(both: Any) -> None:
    (here, out), (there, into) = both
    here.answered("flour-0", "x", rating="good")
    into.take(out.write("practice.json"), "f")
    assert isinstance(there.state("flour-0").due, datetime)
    assert there.state("flour-0").due == here.state("flour-0").due
