"""True retention, the forecast and the fit, on histories whose answer is known."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from deck_book import AT, DAY, Clock, make_book
from fsrs.scheduler import DEFAULT_PARAMETERS

from handbook.database import Database, open_database
from handbook.database.cards import BLANK
from handbook.errors import HandbookError
from handbook.practice import fitting
from handbook.practice.aim import Aim
from handbook.practice.cards import Deck
from handbook.practice.history import Retained, retention, wilson
from handbook.practice.memory import Memory
from handbook.practice.workload import USUAL, Pace, pace
from handbook.settings import Settings

BOOK = make_book()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(Settings(data=tmp_path_factory.mktemp("back")))
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deck(opened: Database, clock: Clock) -> Deck:
    opened.delete_all()
    return Deck(opened, BOOK, clock)


def rows(table: list[Retained], period: str, age: str) -> list[Retained]:
    return [row for row in table if (row.period, row.age) == (period, age)]


def test_only_the_first_review_of_a_day_counts_and_not_a_question_s_first(deck: Deck, clock: Clock) -> None:
    assert deck.retention() == []
    deck.answered("flour-0", "x", rating="again")  # never known: says nothing of memory
    assert deck.retention() == []
    clock.forward(2)
    deck.answered("flour-0", "x", rating="again")
    deck.answered("flour-0", "x", rating="easy")  # just read
    clock.forward(7)
    deck.answered("flour-0", "x", rating="hard")
    table = deck.retention()
    [whole] = rows(table, "all", "all")
    assert (whole.known, whole.asked, whole.start) == (1, 2, date(2026, 3, 4))
    weeks = rows(table, "week", "young")
    assert [(row.start, row.known, row.asked) for row in weeks] == [
        (date(2026, 3, 9), 1, 1),
        (date(2026, 3, 2), 0, 1),
    ]
    assert weeks[0].expected < 1
    [month] = rows(table, "month", "mature")
    assert (month.asked, month.low, month.expected) == (0, None, None)


def test_an_interval_of_three_weeks_is_mature(deck: Deck, clock: Clock) -> None:
    first = deck.answered("flour-0", "x", rating="easy")
    clock.at = first.due
    second = deck.answered("flour-0", "x", rating="easy")
    assert first.interval < 21 < second.interval
    clock.at = second.due
    deck.answered("flour-0", "x", rating="again")
    table = deck.retention()
    assert [(row.known, row.asked) for row in rows(table, "all", "young")] == [(1, 1)]
    assert [(row.known, row.asked) for row in rows(table, "all", "mature")] == [(0, 1)]


def test_what_was_undone_is_not_in_the_table(deck: Deck, clock: Clock) -> None:
    deck.answered("flour-0", "x", rating="good")
    clock.forward(3)
    deck.answered("flour-0", "x", rating="good")
    deck.undo()
    assert deck.retention() == []


def test_the_interval_of_a_share() -> None:
    low, high = wilson(80, 100)
    assert low == pytest.approx(0.7112, abs=1e-4)  # Wilson's interval, by hand
    assert high == pytest.approx(0.8666, abs=1e-4)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0
    for wrong in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="expected"):
            wilson(*wrong)


def learner(count: int, parameters: Any = None, seed: int = 0) -> list[dict[str, Any]]:
    """Reviews of somebody whose memory follows these parameters, at gaps of days drawn by chance."""
    chance, memory = random.Random(seed), Memory(parameters)
    state: dict[str, dict[str, Any]] = {}
    due = {f"q{n}": AT + chance.randrange(15) * DAY for n in range(90)}
    found: list[dict[str, Any]] = []
    at = AT
    while len(found) < count:
        for name in sorted(name for name in due if due[name] <= at):
            known = memory.retrievability(state.get(name, {}), at)
            knows = chance.random() < (0.7 if known is None else known)
            rating = chance.choices(["hard", "good", "easy"], [2, 6, 2])[0] if knows else "again"
            before = {**BLANK, "card": state[name], "at": at.isoformat()} if name in state else {}
            found.append({"question": name, "at": at, "rating": rating, "before": before, "after": {}})
            state[name], _ = memory.answered(state.get(name, {}), rating, at, Aim())
            due[name] = at + (1 + int(chance.expovariate(0.2))) * DAY
        at += DAY
    return found


def test_the_table_finds_the_learner_as_the_scheduler_expects() -> None:
    [whole] = rows(retention(learner(1500), Memory()), "all", "all")
    assert whole.low < whole.expected < whole.high
    forgetful = (*(value / 5 for value in DEFAULT_PARAMETERS[:4]), *DEFAULT_PARAMETERS[4:])
    [whole] = rows(retention(learner(1500, forgetful), Memory(forgetful)), "all", "all")
    assert whole.low < whole.expected < whole.high


def test_pace(deck: Deck, clock: Clock) -> None:
    assert deck.pace() == Pace(USUAL, 0)
    for number in range(60):
        clock.forward(0.1)
        seconds = (900.0 if number < 10 else (60.0, 80.0, 100.0)[number % 3], 90_000.0)
        deck.answered("flour-0", "x", rating="good", seconds=seconds[number % 30 == 7])
    assert deck.pace() == Pace(80.0, 50)  # the last fifty that are no pause
    assert pace([60.0] * 9) == Pace(USUAL, 0)


def test_the_forecast_names_every_day_and_what_is_overdue_comes_today(deck: Deck, clock: Clock) -> None:
    today = AT.date()
    assert [load.reviews for load in deck.forecast(today + 3 * DAY)] == [0.0] * 4
    assert deck.forecast(today - DAY) == []
    deck.answered("flour-0", "x", rating="good")
    deck.answered("cup-0", "x", rating="good")
    deck.suspend("cup-0")
    clock.forward(10)
    loads = deck.forecast(clock.at.date() + timedelta(days=60))
    assert [load.day for load in loads] == [clock.at.date() + timedelta(days=n) for n in range(61)]
    assert 1 < loads[0].reviews < 1.5
    assert loads[0].minutes == pytest.approx(loads[0].reviews * 3, abs=0.1)
    assert 2 < sum(load.reviews for load in loads) < 8
    with pytest.raises(HandbookError, match="400"):
        deck.forecast(today + timedelta(days=500))


def test_new_questions_make_more_to_do(deck: Deck) -> None:
    until = AT.date() + timedelta(days=30)
    without = sum(load.reviews for load in deck.forecast(until))
    some = deck.forecast(until, new_a_day=2)
    assert without == 0
    assert [load.reviews >= 2 for load in some[:10]] == [True] * 10  # twenty questions, two a day
    assert sum(load.reviews for load in some) > 40


@pytest.mark.parametrize("chance", [0, 1])
def test_the_forecast_comes_true(deck: Deck, clock: Clock, chance: int) -> None:
    """A learner as the scheduler expects one: what thirty days bring is near what was said."""
    draw = random.Random(chance)
    for name in list(BOOK.questions):
        deck.answered(name, "x", rating=draw.choice(["hard", "good", "good", "easy"]))
    clock.forward(1)
    end = clock.at.date() + timedelta(days=29)
    said = sum(load.reviews for load in deck.forecast(end))
    came = 0
    while clock.at.date() <= end:
        dealt = deck.due()
        while dealt:
            one = dealt[0]
            knows = one.again or draw.random() < one.retrievability
            deck.answered(one.question, "x", rating="good" if knows else "again")
            came += 1
            dealt = deck.due()
        clock.forward(1)
    assert came == pytest.approx(said, rel=0.25)


def test_too_few_reviews_are_said_and_change_nothing(deck: Deck) -> None:
    deck.answered("flour-0", "x", rating="good")
    with pytest.raises(fitting.TooFew, match=r"640 reviews .* There are 0"):
        fitting.fit(deck)
    assert not fitting.back(deck)
    assert deck.rows.fitted() is None


def test_a_fit_is_kept_only_if_it_predicts_better_and_can_be_taken_back(deck: Deck, clock: Clock) -> None:
    usual = DEFAULT_PARAMETERS
    found = fitting.fitted(learner(780, (*usual[:20], 0.6)), Memory())  # who forgets by another curve
    assert found.learned >= 512
    assert found.checked >= 100
    assert found.better
    assert found.before - found.after > 0.01
    assert list(found.parameters[:4]) == sorted(found.parameters[:4])
    deck.answered("flour-0", "x", rating="good")
    clock.forward(3)
    deck.answered("flour-0", "x", rating="good")
    before = deck.state("flour-0")
    assert fitting.use(deck, found) == 1
    after = deck.state("flour-0")
    assert after.card["stability"] != before.card["stability"]
    assert after.due == before.due
    with pytest.raises(HandbookError, match="no better"):
        fitting.use(deck, fitting.Fit(usual, 512, 128, 0.3, 0.31))
    deck.undo()  # the card that the fit reckoned anew is not what the review left
    assert deck.state("flour-0").card["stability"] == pytest.approx(found.parameters[2])
    deck.answered("flour-0", "x", rating="good")
    assert fitting.back(deck)
    assert deck.state("flour-0").card["stability"] == before.card["stability"]
    assert not fitting.back(deck)


def test_parameters_of_a_stranger_are_not_used(deck: Deck) -> None:
    for values in ({}, {"parameters": [1.0]}, {"parameters": "x"}, {"parameters": [None] * 21}):
        deck.rows.add_fitted(values, AT)
        assert deck.preview("flour-0") == Deck(deck.rows._database, BOOK, deck.now).preview("flour-0")
        assert deck.memory().retrievability({}, AT) is None
