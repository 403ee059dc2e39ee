"""The drill's cards: what is asked, what an answer does, and that all of it can be taken back."""

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deck_book import AT, DAY, Clock, grade, make_book
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from handbook.database import Database, open_database
from handbook.database.tables import PlanRow
from handbook.errors import HandbookError
from handbook.practice.cards import Deck
from handbook.practice.memory import RATINGS, Memory
from handbook.practice.replay import LEECH
from handbook.settings import Settings

BOOK = make_book()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(Settings(data=tmp_path_factory.mktemp("deck")))
    yield database
    database.close()


@pytest.fixture
def database(opened: Database) -> Database:
    opened.delete_all()
    return opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deck(database: Database, clock: Clock) -> Deck:
    return Deck(database, BOOK, clock)


def interview(database: Database, day: datetime) -> None:
    values = {"date": day.date().isoformat()}
    with database.session() as session:
        session.add(PlanRow(key="p", number=1, values=values, why="", undone=False))


def asked(deck: Deck, **kw: Any) -> list[str]:
    return [one.question.id for one in deck.due(**kw)]


def test_an_answer_makes_a_card_that_comes_again(deck: Deck, clock: Clock) -> None:
    assert deck.state("flour-0").new
    assert deck.retrievability("flour-0") is None
    reviewed = deck.answered("flour-0", "Because.", rating="good", seconds=90)
    assert (reviewed.rating, reviewed.proposed, reviewed.leech) == ("good", "", False)
    assert reviewed.due == AT + reviewed.interval * DAY
    assert not deck.state("flour-0").new
    assert asked(deck) == []
    assert deck.retrievability("flour-0") == 1.0
    clock.at = reviewed.due
    assert asked(deck) == ["flour-0"]
    assert deck.due()[0].retrievability == pytest.approx(0.9, abs=0.03)
    row = deck.reviews("flour-0")[0]
    assert (row["answer"], row["seconds"], row["kind"], row["before"]) == ("Because.", 90, "drill", {})


def test_the_preview_keeps_its_word(deck: Deck, clock: Clock) -> None:
    for rating in RATINGS:
        promised = deck.preview("flour-0")
        assert sorted(promised.values()) == [promised[each] for each in RATINGS]
        assert deck.answered("flour-0", "x", rating=rating).due == promised[rating]
        clock.forward(3)


def test_most_likely_forgotten_comes_first(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="easy")
    deck.answered("water-0", "x", rating="hard")
    deck.answered("cup-0", "x", rating="good")
    clock.forward(30)
    dues = deck.due()
    assert [one.question.id for one in dues] == ["water-0", "cup-0", "flour-0"]
    assert [one.retrievability for one in dues] == sorted(one.retrievability for one in dues)
    assert asked(deck, limit=1) == ["water-0"]
    assert asked(deck, chapters=["tea"]) == asked(deck, chapters=["food/tea"]) == ["cup-0"]


def test_siblings_wait_for_another_day(deck: Deck, clock: Clock) -> None:
    for number in range(3):
        deck.answered(f"flour-{number}", "x", rating="good")
    deck.answered("cup-0", "x", rating="good")
    clock.forward(10)
    first = asked(deck)
    assert len([name for name in first if name.startswith("flour")]) == 1
    assert "cup-0" in first
    deck.answered(next(name for name in first if name.startswith("flour")), "x", rating="good")
    assert asked(deck) == ["cup-0"]
    assert not any(question.id.startswith(("flour", "cup")) for question in deck.new())
    clock.forward(1)
    assert len([name for name in asked(deck) if name.startswith("flour")]) == 1


def test_in_the_last_week_siblings_come_too(deck: Deck, clock: Clock, database: Database) -> None:
    interview(database, AT + 40 * DAY)
    for number in range(3):
        deck.answered(f"flour-{number}", "x", rating="hard")
    clock.at = AT + 32 * DAY
    assert len(asked(deck)) == 1
    clock.forward(1)
    assert len(asked(deck)) == 3


def test_again_comes_back_once_at_the_end_of_the_day(deck: Deck, clock: Clock) -> None:
    for name in ("flour-0", "water-0"):
        deck.answered(name, "x", rating="good")
    clock.forward(5)
    deck.answered("flour-0", "x", rating="again")
    assert asked(deck) == ["water-0", "flour-0"]
    assert [one.again for one in deck.due()] == [False, True]
    clock.forward(0.01)
    deck.answered("flour-0", "x", rating="again")
    assert asked(deck) == ["water-0"]
    clock.forward(1)
    assert set(asked(deck)) == {"water-0", "flour-0"}
    assert not any(one.again for one in deck.due())


def test_new_questions_come_one_of_a_section_the_easier_first(deck: Deck) -> None:
    assert [question.id for question in deck.new()] == ["flour-0", "water-0", "heat-0", "leaves-0", "cup-0"]
    assert [question.id for question in deck.new(1, sections=["tea#cup", "bread#heat"])] == ["cup-0"]
    assert deck.new(sections=["nowhere#x"]) == []
    assert [question.id for question in deck.new(chapters=["tea"])] == ["leaves-0", "cup-0"]
    deck.suspend("flour-0")
    assert deck.new(1)[0].id == "flour-3"  # a foundation question as well


def test_put_aside(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="again")
    clock.forward(1)
    deck.bury("flour-0")
    assert asked(deck) == []
    clock.forward(1)
    assert asked(deck) == ["flour-0"]
    deck.suspend("flour-0")
    assert asked(deck) == []
    assert deck.state("flour-0").suspended
    deck.unsuspend("flour-0")
    assert asked(deck) == ["flour-0"]
    deck.bury("flour-0")
    deck.unbury("flour-0")
    assert asked(deck) == ["flour-0"]


def test_what_is_forgotten_again_and_again_is_a_leech(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="again")
    assert deck.state("flour-0").lapses == 0  # it was not known before
    for number in range(1, LEECH + 1):
        clock.forward(3)
        answer = deck.answered("flour-0", "x", grade("flour-0", "x", b="no", c="no" if number > 2 else "yes"))
        assert answer.rating != "again"
        clock.forward(3)
        given_up = deck.answered("flour-0", "x", rating="again")
        deck.answered("flour-0", "x", rating="again")  # the same lapse
        assert given_up.lapses == number
        assert given_up.leech == (number == LEECH)
    leech = deck.leeches()[0]
    assert (leech.question.id, leech.lapses) == ("flour-0", LEECH)
    assert leech.url == "/book/food/bread#flour-text"
    assert leech.title == "Bread: Flour"
    assert leech.missed == (("Says that b.", 4), ("Says that c.", 2))
    last: list[float] = []
    while deck.state("flour-0").leech:
        last.append(deck.state("flour-0").card["stability"])
        clock.at = deck.answered("flour-0", "x", rating="easy").due
    assert max(last) < 21 <= deck.state("flour-0").card["stability"]
    assert deck.leeches() == []
    assert deck.state("flour-0").lapses == LEECH


def test_what_the_person_decides_counts_and_is_kept(deck: Deck) -> None:
    proposal = grade("flour-0", "An answer.", b="no", c="unclear")
    reviewed = deck.answered("flour-0", "An answer.", proposal, {"b": "yes", "c": "no", "a": "yes"})
    assert reviewed.rating == reviewed.proposed == "good"  # three of four
    kept = {row["criterion"]: row for row in deck.rows.corrections()}
    assert set(kept) == {"b", "c"}, "confirming what was proposed corrects nothing"
    assert (kept["b"]["proposed"], kept["b"]["verdict"]) == ("no", "yes")
    assert (kept["c"]["proposed"], kept["c"]["verdict"]) == ("unclear", "no")
    assert kept["b"]["grader"] == "stand-in"
    assert kept["b"]["review"] == reviewed.key
    assert deck.reviews("flour-0")[0]["decided"] == {"b": "yes", "c": "no", "a": "yes"}
    deck.undo()
    assert deck.rows.corrections() == []


def test_the_same_answer_sent_twice_is_one(deck: Deck) -> None:
    proposal = grade("flour-0", "x", b="no")
    once = deck.answered("flour-0", "x", proposal, {"b": "yes"}, key="k1")
    assert deck.answered("flour-0", "x", proposal, {"b": "yes"}, key="k1") == once
    assert len(deck.reviews()) == 1
    assert len(deck.rows.corrections()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": "no-such"},
        {"rating": "superb"},
        {"rating": None},
        {"kind": "import"},
        {"answer": "x" * 100_001},
        {"decided": {"z": "yes"}},
        {"decided": {"a": "perhaps"}},
    ],
)
def test_what_can_not_be_kept_is_said_and_nothing_is_written(deck: Deck, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"question": "flour-0", "answer": "x", "rating": "good", **wrong}
    with pytest.raises(HandbookError):
        deck.answered(given.pop("question"), given.pop("answer"), **given)
    assert deck.reviews() == []
    assert deck.rows.cards() == {}


def test_any_text_is_kept_and_its_quotes_stay_in_place(deck: Deck) -> None:
    said = "before\0\ud800 after"
    deck.answered("flour-0", said, rating="good", seconds=float("inf"))
    row = deck.reviews()[0]
    assert row["answer"].index("after") == said.index("after")
    assert row["seconds"] == 0.0


def test_drafts(deck: Deck, clock: Clock) -> None:
    assert deck.draft("flour-0") is None
    deck.save_draft("flour-0", "drill", "half", 12)
    deck.save_draft("flour-0", "diagnostic", "other")
    deck.save_draft("flour-0", "drill", "half of it", 20)
    assert deck.draft("flour-0").text == "half of it"
    with pytest.raises(HandbookError, match="at most"):
        deck.save_draft("flour-0", "drill", "x" * 200_000)
    with pytest.raises(HandbookError, match="draft"):
        deck.save_draft("flour-0", "elsewhere", "x")
    assert deck.draft("flour-0").text == "half of it"
    deck.answered("flour-0", "half of it, whole", rating="good")
    assert deck.draft("flour-0") is None
    assert deck.draft("flour-0", "diagnostic").text == "other"
    deck.undo()
    assert deck.draft("flour-0").text == "half of it, whole"  # nothing typed is lost
    deck.answered("flour-0", "again", rating="good")
    deck.save_draft("flour-0", "drill", "newer")
    deck.undo()
    assert deck.draft("flour-0").text == "newer"
    deck.forget_draft("flour-0")
    assert deck.draft("flour-0") is None


def test_a_draft_that_the_answer_does_not_hold_stays(deck: Deck) -> None:
    deck.save_draft("flour-0", "drill", "typed in a second window")
    deck.answered("flour-0", "typed in the first", rating="good")
    assert deck.draft("flour-0").text == "typed in a second window"


def test_undo_leaves_what_was_put_aside_meanwhile(deck: Deck) -> None:
    deck.answered("flour-0", "x", rating="good")
    deck.suspend("flour-0")
    deck.undo()
    state = deck.state("flour-0")
    assert state.new
    assert state.suspended


def test_undo_of_the_drill_leaves_the_diagnostic(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="good")
    clock.forward(1)
    deck.answered("flour-0", "y", rating="hard", kind="diagnostic")
    assert deck.last().answer == "x"
    assert deck.undo().answer == "x"
    assert deck.undo() is None
    alone, _ = Memory().answered({}, "hard", clock.at, deck._aim("flour-0", clock.at))
    assert deck.state("flour-0").card == alone
    assert deck.undo(None).answer == "y"
    assert deck.rows.cards() == {}


def test_a_card_that_is_none_is_reckoned_from_its_reviews(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="good")
    good = deck.state("flour-0")
    deck.rows.change_card("flour-0", card={"stability": -1})
    assert deck.state("flour-0").new
    assert asked(deck, at=AT + 30 * DAY) == []
    assert deck.rebuild() == 1
    assert deck.state("flour-0") == good
    deck.rows.change_card("flour-0", card={"stability": -1})
    assert deck.answered("flour-0", "x", rating="good").lapses == 0


def test_cards_of_questions_that_are_gone_are_kept_and_not_asked(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="again")
    deck.rows.put_cards({"gone": deck.rows.card("flour-0")})
    clock.forward(2)
    assert asked(deck) == ["flour-0"]
    assert "gone" in deck.rows.cards()
    assert "gone" not in deck.states()


HOSTILE: list[Any] = [[], [1], {"card": []}, {"card": {"x": 1}}, {"lapses": "many"}, {"due": 7}]


@pytest.mark.parametrize("odd", HOSTILE)
def test_reviews_of_a_stranger_s_file_break_nothing(deck: Deck, clock: Clock, odd: Any) -> None:
    deck.answered("flour-0", "x", rating="good")
    clock.forward(3)
    deck.answered("flour-0", "x", rating="hard")
    good, good_row = deck.state("flour-0"), deck.reviews()[0]["after"]
    for number, part in enumerate(("before", "after", "grade", "decided")):
        last = deck.reviews()[0]
        value = {**good_row, **odd} if part in ("before", "after") and isinstance(odd, dict) else odd
        row = {**last, "key": f"odd-{number}", "kind": "drill", part: value}
        deck.rows.add_reviews([{**row, "at": clock.forward(0.1)}])
    deck.rows.change_card("flour-0", leech=True)
    assert deck.leeches()[0].missed == ()
    assert deck.retention()[0].asked >= 0
    assert deck.rebuild(keep_dates=False) == 1
    assert deck.forecast(clock.at.date())
    for _ in range(4):
        assert deck.undo().key.startswith("odd")
    state = deck.state("flour-0")
    assert (state.card, state.due, state.lapses) == (good.card, good.due, good.lapses)


@pytest.mark.parametrize("card", [[1], {"x": 1}, {"stability": 1e400}])
def test_cards_of_a_stranger_s_file_break_nothing(deck: Deck, clock: Clock, card: Any) -> None:
    deck.rows.change_card("flour-0", card=card, lapses=7, due=clock.at)
    assert asked(deck) == []
    assert deck.states() == {}
    assert deck.preview("flour-0")["again"] == clock.at + DAY
    assert deck.forecast(clock.at.date())[0].reviews == 0
    assert deck.answered("flour-0", "x", rating="good").lapses == 7


def test_a_card_without_its_date_has_the_scheduler_s(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="good")
    deck.rows.change_card("flour-0", due=None)
    clock.forward(30)
    assert asked(deck) == ["flour-0"]


def test_a_failed_diagnostic_does_not_come_twice_on_its_day(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "", rating="again", kind="diagnostic")
    assert asked(deck) == []
    clock.forward(1)
    assert asked(deck) == ["flour-0"]


@pytest.mark.parametrize("key", ["", "x" * 41, "a b", "../x", "é"])
def test_keys_that_are_none(deck: Deck, key: str) -> None:
    with pytest.raises(HandbookError, match="key"):
        deck.answered("flour-0", "x", rating="good", key=key)


def test_two_windows(deck: Deck, database: Database, clock: Clock) -> None:
    """What another one wrote between reading and writing is not written over."""
    other = Deck(database, BOOK, clock)
    look = deck.rows.card
    called = []

    def meanwhile(name: str) -> Any:
        row = look(name)
        if not called:
            called.append(other.answered("flour-0", "first", rating="again"))
        return row

    deck.rows.card = meanwhile  # type: ignore[method-assign]
    deck.answered("flour-0", "second", rating="good")
    newest, oldest = deck.reviews()
    assert (oldest["answer"], newest["answer"]) == ("first", "second")
    assert newest["before"] == oldest["after"]


def test_a_clock_that_stands_still_keeps_the_order(deck: Deck) -> None:
    for number in range(4):
        deck.answered(f"flour-{number}", str(number), rating="good")
    assert [deck.undo().answer for _ in range(4)] == ["3", "2", "1", "0"]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("flour-0", "flour-1", "cup-0")),
        st.sampled_from((*RATINGS, "again", "again", "suspend", "bury")),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=14,
)


@examples(max_examples=25, deadline=None)
@given(ACTS, st.integers(5, 120))
def test_undo_restores_every_state_exactly_and_replay_agrees(
    opened: Database, acts: list[tuple[str, Any, int]], left: int
) -> None:
    opened.delete_all()
    clock = Clock()
    deck = Deck(opened, BOOK, clock)
    interview(opened, AT + left * DAY)
    before = []
    for name, act, days in acts:
        clock.forward(days)
        if act == "suspend":
            deck.suspend(name)
            deck.unsuspend(name)
        elif act == "bury":
            deck.unbury(name)
        else:
            before.append((name, deck.rows.cards()))
            deck.answered(name, "x", rating=act)
    whole = deck.rows.cards()
    deck.rebuild()
    for name, row in deck.rows.cards().items():
        assert {**row, "at": 0} == {**whole[name], "at": 0}
    deck.rows.put_cards(whole)
    travelled(deck, opened)
    for name, rows in reversed(before):
        assert deck.undo() is not None
        now = deck.rows.cards()
        timeless = [{one: {**row, "at": 0} for one, row in each.items()} for each in (now, rows)]
        assert timeless[0].get(name, blank(name)) == timeless[1].get(name, blank(name))
    assert deck.undo() is None
    assert deck.due(at=AT + timedelta(days=900)) == []


def blank(name: str) -> dict[str, Any]:
    from handbook.database.cards import BLANK

    return {**BLANK, "question": name, "at": 0}


def travelled(deck: Deck, database: Database) -> None:
    """Nothing is lost on the way out and in."""
    state = json.loads(json.dumps(database.export()))
    database.delete_all()
    database.import_(state)
    assert database.export() == state
    database.import_(state)
    assert database.export() == state


def test_nothing_is_asked_before_its_day_and_nothing_is_forgotten(deck: Deck, clock: Clock) -> None:
    """A month of days: each question comes when it is due or, for a sibling's sake, some days later."""
    late = []
    for _ in range(40):
        for one in deck.due():
            late.append((clock.at.date() - one.due.date()).days)
            deck.answered(one.question, "x", rating="good")
        for question in deck.new(2):
            deck.answered(question, "x", rating="good")
        clock.forward(1)
    assert len(deck.states()) == 20, "all were begun"
    assert min(late) == 0
    assert max(late) <= 4


def test_the_target_follows_the_plan(deck: Deck, database: Database, clock: Clock) -> None:
    assert deck.retention_target() == 0.9
    interview(database, AT + 100 * DAY)
    assert deck.interview() == (AT + 100 * DAY).date()
    assert deck.retention_target() == 0.85
    assert deck.retention_target(AT + 97 * DAY) == 0.95
    far = deck.answered("flour-0", "x", rating="easy")
    clock.at = AT + 80 * DAY
    near = deck.answered("cup-0", "x", rating="easy")
    assert near.interval < far.interval
    assert near.due < AT + 100 * DAY


def test_before_the_interview_all_is_known_and_no_day_is_a_pile(
    deck: Deck, database: Database, clock: Clock
) -> None:
    interview(database, AT + 60 * DAY)
    chance = random.Random(0)
    for name in BOOK.questions:
        deck.answered(name, "x", rating=chance.choice(["hard", "good", "easy"]))
    said = [load.reviews for load in deck.forecast((AT + 59 * DAY).date())]
    counts = []
    for _ in range(59):
        clock.forward(1)
        before = len(deck.reviews())
        for one in deck.due():
            knows = chance.random() < one.retrievability
            deck.answered(one.question, "x", rating="good" if knows else "again")
        counts.append(len(deck.reviews()) - before)
    assert max(counts[-14:]) <= 8  # of twenty
    assert max(said[-14:]) <= 8
    clock.forward(1)
    known = [deck.retrievability(name) or 0.0 for name in BOOK.questions]
    assert min(known) > 0.9
    assert sum(known) / len(known) > 0.95


def test_dates_that_were_given_stay_unless_they_are_reckoned_anew(deck: Deck, database: Database) -> None:
    given = deck.answered("flour-0", "x", rating="easy").due
    interview(database, AT + 4 * DAY)
    deck.rebuild()
    assert deck.state("flour-0").due == given
    deck.rebuild(keep_dates=False)
    assert deck.state("flour-0").due < AT + 4 * DAY < given
    deck.rebuild()
    assert deck.state("flour-0").due == given


def test_a_day_is_the_reader_s(deck: Deck, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine in the evening in Los Angeles and eight the next morning are the same day in Greenwich."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        clock.at = datetime(2026, 3, 3, 5, tzinfo=UTC)
        assert deck.answered("flour-0", "x", rating="again").interval == 1
        deck.answered("flour-0", "x", rating="again")
        deck.bury("cup-0")
        assert asked(deck) == []
        assert "cup-0" not in [question.id for question in deck.new()]
        clock.at = datetime(2026, 3, 3, 16, tzinfo=UTC)
        assert asked(deck) == ["flour-0"]
        assert "cup-0" in [question.id for question in deck.new()]
        deck.answered("flour-0", "x", rating="good")
        assert deck.retention()[0].asked == 1
    finally:
        monkeypatch.undo()
        time.tzset()


def test_plans_that_make_no_sense_set_no_date(deck: Deck, database: Database) -> None:
    with database.session() as session:
        session.add(PlanRow(key="p", number=3, values={"date": "soon"}, why="", undone=False))
    assert deck.interview() is None


def test_a_deck_of_a_real_file(tmp_path: Path) -> None:
    database = open_database(Settings(data=tmp_path))
    Deck(database, BOOK).answered("flour-0", "x", rating="good")
    database.close()
    database = open_database(Settings(data=tmp_path))
    assert not Deck(database, BOOK).state("flour-0").new
    database.close()
