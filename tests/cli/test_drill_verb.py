"""The drill in a terminal, with a person at the keyboard and no grader; and what `cards` prints."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from app.small_book import write
from test_shapes import differences, documented

from handbook.app.cli.main import run
from handbook.book.load import open_book
from handbook.database import open_database
from handbook.practice.cards import Deck
from handbook.settings import load

ANSWER = "Proteins form a network.\nIt holds gas.\n.\n"


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HANDBOOK_BOOK", str(write(tmp_path)))
    monkeypatch.setenv("HANDBOOK_GRADER", "none")
    monkeypatch.setenv("COLUMNS", "110")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a verb with these lines at the keyboard; (exit code, what was shown)."""

    def typed(lines: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        code = run(list(arguments))
        return code, capsys.readouterr().out

    return typed


@pytest.fixture
def printed(typed: Any) -> Any:
    """The same with --json, its shape compared with the documented one."""

    def printed(*arguments: str) -> tuple[int, dict[str, Any]]:
        code, out = typed("", *arguments, "--json")
        values = json.loads(out)
        assert differences(documented()[values.pop("schema")], values) == []
        return code, values

    return printed


class Opened:
    """The deck that the verbs see, at any time."""

    def __enter__(self) -> Deck:
        settings = load()
        self._database = open_database(settings)
        return Deck(self._database, open_book(settings.book), lambda: datetime.now(UTC))

    def __exit__(self, *_: object) -> None:
        self._database.close()


def test_an_answer_is_judged_by_the_person_and_comes_again(typed: Any) -> None:
    decisions = "y\ny\nn\nn\n\n\n"  # network, gas; not time, rest; accept; the rating that follows
    code, out = typed(ANSWER + decisions, "drill", "--limit", "1")
    assert code == 0
    assert "Why is dough kneaded?" in out
    before, _, after = out.partition("Why is dough kneaded?")
    rubric, model = "Says that proteins form a network.", "Kneading builds"
    assert rubric not in before
    assert rubric in after
    assert after.index(rubric) < after.index(model)
    assert "Rating (hard)" in out  # three of five
    assert "Mentions rest." in out
    assert "/book/basics/bread#gluten" in out
    with Opened() as deck:
        [row] = deck.reviews()
        assert (row["rating"], row["answer"]) == ("hard", "Proteins form a network.\nIt holds gas.")
        assert len(deck.rows.corrections()) == 4
        assert deck.draft("why-knead") is None


def test_a_verdict_can_be_turned_and_the_rating_chosen(typed: Any) -> None:
    lines = ANSWER + "y\ny\ny\nmaybe\ny\n9\n4\n\nz\ne\n"
    code, out = typed(lines, "drill", "--limit", "1")
    assert code == 0
    assert "Expected y or n." in out
    assert "Expected a number from 1 to 4" in out
    assert "Expected a, h, g, e or Enter." in out
    with Opened() as deck:
        [row] = deck.reviews()
        assert row["decided"] == {"network": "yes", "gas": "yes", "time": "yes", "rest": "no"}
        assert (row["proposed"], row["rating"]) == ("good", "easy")


def test_not_knowing_is_an_answer_and_comes_once_more(typed: Any) -> None:
    code, out = typed(".\n\n" + ".\n\n", "drill", "--limit", "1")
    assert code == 0
    assert "once more" in out
    assert out.count("Kneading builds") == 2
    with Opened() as deck:
        assert [row["rating"] for row in deck.reviews()] == ["again", "again"]
        assert deck.due() == []


def test_what_was_typed_is_kept_when_the_line_breaks(typed: Any) -> None:
    code, out = typed("Half a thought\n", "drill", "--limit", "1")  # the input ends there
    with Opened() as deck:
        assert deck.reviews() == []
        assert deck.draft("why-knead").text == "Half a thought"
    code, out = typed("y\nand the rest.\n.\n" + "y\n" * 4 + "\n\n", "drill", "--limit", "1")
    assert code == 0
    assert "You had begun:\nHalf a thought" in out
    with Opened() as deck:
        assert deck.reviews()[0]["answer"] == "Half a thought\nand the rest."


def test_an_end_before_the_rating_counts_nothing(typed: Any) -> None:
    code, out = typed(ANSWER + "y\ny\ny\ny\n\n", "drill", "--limit", "1")
    assert code == 0
    assert out.endswith("Nothing was answered.\n")
    with Opened() as deck:
        assert deck.reviews() == []
        assert deck.draft("why-knead").text == "Proteins form a network.\nIt holds gas."


def test_skip_undo_and_quit(typed: Any) -> None:
    lines = ".\n\n" + "/undo\n/quit\n"
    code, out = typed(lines, "drill", "--limit", "2")
    assert code == 0
    assert "Taken back: why-knead (again)." in out
    assert "Nothing was answered." in out
    with Opened() as deck:
        assert deck.reviews() == []
    _, out = typed("/skip\n/quit\n", "drill", "--limit", "2")
    assert "2 of 2" in out


def test_what_would_be_asked(printed: Any, typed: Any) -> None:
    _, values = printed("drill")
    assert [row["question"] for row in values["new"]] == ["why-knead", "bake-design"]
    assert values["due"] == []
    with Opened() as deck:
        deck.answered("why-knead", "x", rating="again")
    _, values = printed("drill", "--due")
    assert [(row["question"], row["again"]) for row in values["due"]] == [("why-knead", True)]
    assert values["new"] == []
    _, values = printed("drill", "--chapter", "tea")
    assert (values["due"], values["new"]) == ([], [])
    assert run(["drill", "--chapter", "nowhere"]) == 2
    code, out = typed("", "drill", "--due", "--chapter", "tea")
    assert (code, out) == (0, "Nothing is due now. The next question is due tomorrow.\n")


def test_cards(printed: Any, typed: Any) -> None:
    assert typed("", "cards", "retention")[1].startswith("Nothing was asked a second time")
    assert typed("", "cards", "leeches")[1].startswith("None")
    assert printed("cards", "undo") == (1, {"undone": None})
    with Opened() as deck:
        start = datetime.now(UTC) - timedelta(days=40)
        for day in range(0, 40, 4):
            deck._clock = lambda day=day: start + timedelta(days=day)
            deck.answered("why-knead", "x", rating="good" if day % 8 else "again", seconds=60)
    _, values = printed("cards", "forecast", "--new", "1")
    assert (values["seconds"], values["answers"]) == (60, 10)
    assert len(values["days"]) == 31
    assert sum(day["reviews"] for day in values["days"]) > 1
    _, values = printed("cards", "retention")
    whole = next(row for row in values["rows"] if (row["period"], row["age"]) == ("all", "all"))
    assert (whole["known"], whole["asked"]) == (5, 9)
    assert "5 of 9" in typed("", "cards", "retention", "--period", "all")[1]
    _, values = printed("cards", "leeches")
    assert [(row["question"], row["lapses"]) for row in values["leeches"]] == [("why-knead", 4)]
    assert "/book/basics/bread#gluten" in typed("", "cards", "leeches")[1]
    code, values = printed("cards", "optimize")
    assert (code, values["used"]) == (1, False)
    assert "640" in values["why"]
    assert typed("", "cards", "optimize", "--undo") == (1, "There is no fit to undo.\n")
    code, values = printed("cards", "undo")
    assert (code, values["undone"]["question"]) == (0, "why-knead")
    assert "9.0 reviews" not in typed("", "cards", "forecast", "--until", "2020-01-01")[1]
