"""What the scheduler believes, beside the package itself; and what repetition aims at."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fsrs import Card, Scheduler
from fsrs import Rating as Grade
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.practice.aim import (
    FAR,
    LONGEST,
    NEAR,
    USUAL,
    Aim,
    aim,
    days_left,
    longest,
    retention_target,
)
from handbook.practice.memory import RATINGS, Memory, interval, later, sound

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORIES = st.lists(st.tuples(st.sampled_from(RATINGS), st.integers(0, 60)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.sampled_from([0.8, 0.85, 0.9, 0.95]))
def test_at_the_same_hour_it_is_what_the_package_says(
    history: list[tuple[Any, int]], retention: float
) -> None:
    theirs = Scheduler(
        desired_retention=retention, learning_steps=(), relearning_steps=(), enable_fuzzing=False
    )
    memory, goal, at = Memory(), Aim(retention, 36_500), AT
    card: dict[str, Any] = {}
    other = Card(card_id=1)
    for rating, days in history:
        at += days * DAY
        card, due = memory.answered(card, rating, at, goal)
        other, _ = theirs.review_card(other, Grade[rating.capitalize()], at)
        assert card == other.to_dict()
        assert due == other.due
        then = at + 9 * DAY
        assert memory.retrievability(card, then) == theirs.get_card_retrievability(other, then)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(0, 200), st.integers(0, 23))
def test_a_better_rating_never_comes_earlier(history: list[tuple[Any, int]], left: int, hour: int) -> None:
    memory, at, card = Memory(), AT + timedelta(hours=hour), {}
    for rating, days in history:
        at += days * DAY
        goal = aim((at + left * DAY).date(), at, "q")
        dues = [memory.answered(card, each, at, goal)[1] for each in RATINGS]
        assert dues == sorted(dues)
        assert dues[0] >= at + DAY
        assert dues[-1] <= at + goal.longest * DAY
        card, _ = memory.answered(card, rating, at, goal)
        assert sound(card)
        assert sound(dict(card))


def test_a_night_between_is_a_day_however_short() -> None:
    """Ten in the evening to eight in the morning are ten hours, and a day."""
    memory, evening, morning = Memory(), AT.replace(hour=22), AT.replace(hour=8) + DAY
    card, _ = memory.answered({}, "good", evening, Aim())
    whole, _ = memory.answered({}, "good", AT, Aim())
    assert memory.retrievability(card, morning) == memory.retrievability(whole, AT + DAY)
    slept, _ = memory.answered(card, "good", morning, Aim())
    straight, _ = memory.answered(whole, "good", AT + DAY, Aim())
    assert (slept["stability"], slept["difficulty"]) == (straight["stability"], straight["difficulty"])
    assert slept["last_review"] == morning.isoformat()


def test_a_clock_that_went_back_breaks_nothing() -> None:
    memory = Memory()
    card, _ = memory.answered({}, "good", AT, Aim())
    card, due = memory.answered(card, "good", AT - 3 * DAY, Aim())
    assert due > AT - 3 * DAY
    assert memory.retrievability(card, AT - 9 * DAY) == 1.0


def test_words_of_the_unknown() -> None:
    assert Memory().retrievability({}, AT) is None
    assert interval({}) is None
    card, due = Memory().answered({}, "easy", AT, Aim())
    assert interval(card) == (due - AT).days


def _broken() -> Iterator[dict[str, Any]]:
    good, _ = Memory().answered({}, "good", AT, Aim())
    assert sound(good)
    for name, value in itertools.product(good, [None, "x", float("nan"), -1, 10**400, [], "2026-01-01"]):
        if name not in ("step", "card_id") or isinstance(value, list):
            yield {**good, name: value}
    yield {"state": 2}
    yield {**good, "due": "9999-12-31T00:00:00+00:00"}
    yield {**good, "state": 1, "step": None}
    yield {**good, "state": 2.0}


def test_what_is_no_card_is_told_from_one() -> None:
    for card in _broken():
        assert not sound(card), card
        with pytest.raises(ValueError, match="card"):
            Memory().answered(card, "good", AT, Aim())


@pytest.mark.parametrize("state", [1, 3])
def test_a_card_from_elsewhere_that_was_being_learned_goes_on(state: int) -> None:
    good, _ = Memory().answered({}, "good", AT, Aim())
    card, due = Memory().answered({**good, "state": state, "step": 0}, "good", AT + 2 * DAY, Aim())
    assert card["state"] == 2
    assert due > AT + 3 * DAY


def test_the_aim_rises_towards_the_date() -> None:
    assert retention_target(None) == USUAL
    assert retention_target(200) == retention_target(90) == FAR
    assert retention_target(7) == retention_target(0) == NEAR
    targets = [retention_target(days) for days in range(120)]
    assert targets == sorted(targets, reverse=True)


def test_nothing_is_put_off_beyond_the_date_unseen_and_last_days_are_spread() -> None:
    assert longest(None, "q") == LONGEST
    for number in range(50):
        name = f"question-{number}"
        [back] = {days - longest(days, name) for days in range(15, LONGEST)}
        assert 1 <= back <= 14  # days before the date, the same from wherever it is seen
        assert longest(back + 1, name) == 1
        assert longest(back, name) == longest(0, name) == LONGEST
    many = [60 - longest(60, f"question-{n}") for n in range(1400)]
    assert all(60 < many.count(back) < 140 for back in range(1, 15))


def test_after_the_date_it_is_as_without_one() -> None:
    assert days_left(date(2026, 3, 1), AT) is None
    assert days_left(date(2026, 3, 2), AT) == 0
    assert aim(date(2026, 3, 1), AT, "q") == aim(None, AT, "q") == Aim()


def test_days_are_those_of_the_calendar_over_a_change_of_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        before = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30, the night before the clocks go forward
        assert later(before, 1).astimezone().date() == date(2026, 3, 29)
        assert later(before, 1) - before == timedelta(hours=23)
    finally:
        monkeypatch.undo()
        time.tzset()
