"""Attempts, drafts and states of exercises, on both databases."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from handbook.database import Database, open_database
from handbook.database.practice import Practice, storable
from handbook.errors import DatabaseError
from handbook.settings import Settings

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
RIGHT = {"name": "a", "state": "passed", "hidden": False}
WRONG = {"name": "b", "state": "failed", "hidden": True, "message": "expected 1, got 2"}


@pytest.fixture
def practice(database: Database) -> Practice:
    return Practice(database)


def test_attempts_are_counted_and_come_newest_first(practice: Practice) -> None:
    practice.save_attempt("rope", "x = 1", [RIGHT, WRONG], solved=False, hints=2)
    assert practice.solved() == set()
    last = practice.save_attempt("rope", "x = 2", [RIGHT, RIGHT], solved=True, wall=0.5, memory=3 << 30)
    assert practice.solved() == {"rope"}
    newest, oldest = practice.attempts("rope")
    assert (newest["passed"], newest["total"], newest["code"]) == (2, 2, "x = 2")
    assert newest["memory"] == 3 << 30
    assert (oldest["passed"], oldest["total"], oldest["hints"]) == (1, 2, 2)
    assert practice.attempt(last) == newest
    assert practice.attempts("other") == []
    assert practice.newest() == {"rope": (2, 2)}
    practice.save_attempt("rope", "x = ", [WRONG], solved=False, report={"broken": "Line 1"})
    assert practice.failed_since("rope", oldest["at"]) == 1
    assert practice.failed_since("rope", newest["at"] + timedelta(seconds=1)) == 0


def test_all_shown_tests_alone_solve_nothing(practice: Practice) -> None:
    practice.save_attempt("rope", "x", [RIGHT], solved=False)
    assert practice.solved() == set()


def test_what_the_judge_heard_is_kept_whatever_it_holds(practice: Practice) -> None:
    said = {"output": "a\0b\ud800", "worst": float("inf"), "big": 10**400, "deep": None, "far": 2**60}
    inner: dict[str, object] = {}
    said["deep"] = inner
    for _ in range(40):
        inner["deep"] = inner = {}
    practice.save_attempt("rope", "x", [{**WRONG, "message": "\0"}], solved=False, report=said)
    kept = practice.attempts("rope")[0]
    assert kept["report"]["output"] == "a\N{REPLACEMENT CHARACTER}b?"
    assert kept["report"]["worst"] == "inf"
    assert kept["report"]["far"] == str(2**60)
    assert storable("x" * 10**6) == "x" * 20_000


def test_a_draft_is_kept_and_what_another_window_typed_is_not_lost(practice: Practice) -> None:
    assert practice.draft("rope") is None
    first = practice.save_draft("rope", "one")
    second = practice.save_draft("rope", "one two", base=first)
    assert practice.draft("rope")["before"] == ""  # typing on is no other text
    practice.save_draft("rope", "from another window", base=first)
    draft = practice.draft("rope")
    assert (draft["code"], draft["before"]) == ("from another window", "one two")
    assert draft["at"] > second
    assert practice.undo_draft("rope")
    assert practice.draft("rope")["code"] == "one two"
    assert practice.draft("rope")["before"] == "from another window"
    assert not practice.undo_draft("other")


def test_a_restored_attempt_can_be_undone(practice: Practice) -> None:
    at = practice.save_draft("rope", "half an idea")
    practice.save_draft("rope", "the attempt", base=at, replace=True)
    practice.undo_draft("rope")
    assert practice.draft("rope")["code"] == "half an idea"


def test_saving_the_same_text_changes_nothing(practice: Practice) -> None:
    at = practice.save_draft("rope", "one")
    assert practice.save_draft("rope", "one", base=None) == at
    assert practice.draft("rope")["before"] == ""


def test_a_state_begins_a_round_and_its_hints_only_grow(practice: Practice) -> None:
    assert practice.state("rope") is None
    practice.change_state("rope", hints=2)
    state = practice.change_state("rope", hints=1)  # sent earlier, came later
    assert state["hints"] == 2
    assert state["begun"] <= datetime.now(UTC)
    practice.change_state("rope", solved=AT, due=AT + timedelta(days=2), card={"stability": 2.3})
    again = practice.change_state("rope", begun=AT, hints=0, solved=None)
    assert (again["hints"], again["solved"], again["due"]) == (0, None, AT + timedelta(days=2))
    assert practice.states() == {"rope": again}


def test_all_of_it_travels(practice: Practice, database: Database, tmp_path: Path) -> None:
    practice.save_attempt("rope", "x", [RIGHT], solved=True, report={"wall": 0.2}, memory=3 << 30)
    practice.save_draft("rope", "y")
    practice.change_state("rope", hints=1, solved=AT, due=AT, card={"stability": 2.3, "step": None})
    practice.change_state("other", hints=0)
    state = json.loads(json.dumps(database.export()))
    other = open_database(Settings(data=tmp_path / "other"))
    assert other.import_(state) == 4
    assert other.import_(state) == 0
    assert other.export()["tables"] == database.export()["tables"]
    assert Practice(other).state("rope")["due"] == AT
    assert Practice(other).state("other")["due"] is None
    other.delete_all()
    assert Practice(other).states() == {}
    other.close()


def test_an_export_from_before_the_judge_is_taken(database: Database) -> None:
    old = {"exercise": "rope", "code": "x", "passed": 2, "total": 2, "results": [], "at": AT.isoformat()}
    tables = {"attempt": [old, {**old, "exercise": "half", "passed": 1}]}
    assert database.import_({"format": "handbook-state", "version": 1, "tables": tables}) == 2
    assert Practice(database).solved() == {"rope"}
    assert Practice(database).attempts("rope")[0]["report"] == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("due", "soon"), ("due", "2026-01-01T00:00:00"), ("due", 7), ("begun", None), ("hints", True)],
)
def test_a_faulty_state_is_refused(database: Database, key: str, value: object) -> None:
    row = {"exercise": "rope", "hints": 0, "begun": AT.isoformat(), "solved": None, "gave_up": None}
    row |= {"due": None, "card": {}, "at": AT.isoformat()}
    for values, good in ((row, True), ({**row, "exercise": "other", key: value}, False)):
        state = {"format": "handbook-state", "version": 1, "tables": {"exercise_state": [values]}}
        if good:
            assert database.import_(state) == 1
        else:
            with pytest.raises(DatabaseError, match=f"row 1: {key}"):
                database.import_(state)


def test_a_database_from_before_the_judge_keeps_its_attempts(settings: Settings) -> None:
    from alembic import command
    from alembic.config import Config

    from handbook.database.migrate import SCRIPTS

    url = settings.database.replace("postgresql://", "postgresql+psycopg://")
    settings.data.mkdir(exist_ok=True)
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    add = (
        "INSERT INTO attempt (exercise, code, passed, total, results, at) "
        "VALUES ('{0}', 'x', {1}, 2, '[]', '2026-01-0{2} 00:00:00')"
    )
    with engine.begin() as connection:
        for values in (("rope", 1, 1), ("rope", 2, 2), ("rope", 2, 3), ("half", 1, 1)):
            connection.execute(text(add.format(*values)))
    engine.dispose()
    opened = open_database(settings)
    practice = Practice(opened)
    assert practice.solved() == {"rope"}
    assert [row["solved"] for row in practice.attempts("rope")] == [True, True, False]
    assert list(practice.states()) == ["rope"]
    assert practice.state("rope")["solved"] == practice.attempts("rope")[1]["at"]
    assert practice.state("rope")["due"] is None
    opened.close()
