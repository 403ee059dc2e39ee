"""When an exercise comes again."""

from datetime import UTC, datetime, timedelta

import pytest

from handbook.practice.due import LONGEST, counts, in_words, is_due, rating, repeated

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("gave_up", "hints", "failed", "expected"),
    [
        (True, 0, 0, "again"),
        (False, 1, 0, "hard"),
        (False, 3, 9, "hard"),
        (False, 0, 1, "good"),
        (False, 0, 0, "easy"),
    ],
)
def test_what_happened_is_the_rating(gave_up: bool, hints: int, failed: int, expected: str) -> None:
    assert rating(gave_up=gave_up, hints=hints, failed=failed) == expected


def test_the_better_it_went_the_later_it_comes() -> None:
    dues = [repeated({}, grade, AT)[1] for grade in ("again", "hard", "good", "easy")]
    assert dues == sorted(dues)
    assert dues[0] == AT + DAY  # tomorrow, not in ten minutes
    assert dues[2] > dues[1]
    assert dues[3] > dues[2]


def test_intervals_grow_and_shrink_after_giving_up() -> None:
    card, due = repeated({}, "good", AT)
    first = due - AT
    card, later = repeated(card, "good", due)
    assert later - due > 2 * first
    _, back = repeated(card, "again", later)
    assert back - later < later - due


def test_no_interval_is_longer_than_a_year() -> None:
    card: dict[str, object] = {}
    due = AT
    for _ in range(12):
        card, new = repeated(card, "easy", due)
        assert new - due <= LONGEST * DAY
        due = new
    assert due - AT > LONGEST * DAY


def test_the_same_history_gives_the_same_date() -> None:
    assert repeated({}, "good", AT) == repeated({}, "good", AT)


def test_a_second_end_on_the_same_day_is_no_repetition() -> None:
    assert counts({}, AT)
    card, _ = repeated({}, "again", AT)
    assert not counts(card, AT + timedelta(minutes=5))
    assert counts(card, AT + DAY)


@pytest.mark.parametrize("card", [{"state": 2}, {"card_id": "x", "state": 9}, {"due": "never"}])
def test_what_is_no_card_is_said(card: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"card|valid"):
        repeated(card, "good", AT)


def test_words() -> None:
    assert in_words(AT - DAY, AT) == "due now"
    assert in_words(AT + timedelta(seconds=1), AT) == "due now"
    assert in_words(AT + DAY, AT) == "due tomorrow"
    assert in_words(AT + 8 * DAY, AT) == "due in 8 days"
    assert not is_due(None, AT)
    assert is_due(AT - DAY, AT)
    assert not is_due(AT + DAY, AT)
