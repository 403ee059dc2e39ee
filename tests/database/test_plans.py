"""Plans, diagnostics and days, on both databases."""

from datetime import UTC, date, datetime, timedelta

import pytest

from handbook.database import Database, open_database
from handbook.database.plans import Plans
from handbook.database.practice import Practice
from handbook.settings import Settings

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def plans(database: Database) -> Plans:
    return Plans(database)


def test_plans_are_only_added_and_undone_in_order(plans: Plans) -> None:
    assert plans.current() is None
    assert plans.undo() is None
    for number in (1, 2, 3):
        assert plans.add({"hours": number}, f"change {number}", AT)["number"] == number
    assert plans.current()["values"] == {"hours": 3}  # type: ignore[index]
    assert plans.undo()["why"] == "change 3"  # type: ignore[index]
    assert plans.current()["values"] == {"hours": 2}  # type: ignore[index]
    assert plans.add({"hours": 4}, "another", AT)["number"] == 4, "numbers are never used again"
    assert plans.undo()["number"] == 4  # type: ignore[index]
    assert plans.current()["number"] == 2  # type: ignore[index]
    assert [(row["number"], row["undone"]) for row in plans.history()] == [
        (4, True),
        (3, True),
        (2, False),
        (1, False),
    ]


def test_a_diagnostic_is_kept_as_far_as_it_is(plans: Plans) -> None:
    assert plans.open_diagnostic() is None
    key = plans.begin_diagnostic({"answers": []})
    assert plans.open_diagnostic()["key"] == key  # type: ignore[index]
    assert plans.save_diagnostic(key, {"answers": [1]}, answers=0)
    assert not plans.save_diagnostic(key, {"answers": [9]}, answers=0), "a second window was quicker"
    assert plans.open_diagnostic()["state"] == {"answers": [1]}  # type: ignore[index]
    assert plans.last_diagnostic() is None
    assert plans.save_diagnostic(key, {"answers": [1]}, ended=AT)
    assert plans.open_diagnostic() is None
    assert plans.last_diagnostic()["ended"] == AT  # type: ignore[index]
    assert not plans.save_diagnostic("none", {})
    plans.forget_diagnostic(key)
    assert plans.diagnostics() == []


def test_a_day_is_kept_and_dealt_anew(plans: Plans) -> None:
    day = date(2026, 11, 23)
    assert plans.day(day) is None
    plans.save_day(day, {"items": [1]})
    plans.save_day(day, {"items": [2], "share": float("inf")})
    assert plans.day(day)["values"] == {"items": [2], "share": "inf"}  # type: ignore[index]
    plans.save_day(day + timedelta(days=1), {})
    assert [row["day"] for row in plans.days(day)] == ["2026-11-23", "2026-11-24"]
    plans.forget_day(day)
    assert plans.day(day) is None


def test_what_was_done_and_when(plans: Plans, database: Database) -> None:
    database.mark_read("transformer-deep-dive", "rope")
    practice = Practice(database)
    for _ in range(2):
        practice.save_attempt("rope", "x", [], solved=False)
    assert set(plans.read_at()) == {"transformer-deep-dive#rope"}
    tried = plans.tried_at()
    assert tried == {"rope": practice.attempts("rope")[0]["at"]}
    assert tried["rope"].tzinfo is not None


def test_all_of_it_travels(plans: Plans, database: Database, settings: Settings) -> None:
    plans.add({"hours": 3}, "began", AT)
    plans.begin_diagnostic({"answers": []})
    plans.save_day(date(2026, 11, 23), {"items": []})
    state = database.export()
    before = (plans.current(), plans.open_diagnostic(), plans.day(date(2026, 11, 23)))
    database.delete_all()
    assert plans.current() is None
    again = open_database(settings)
    try:
        assert again.import_(state) == 3
        assert again.import_(state) == 0
    finally:
        again.close()
    assert (plans.current(), plans.open_diagnostic(), plans.day(date(2026, 11, 23))) == before
