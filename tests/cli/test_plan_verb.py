"""`handbook plan` and `handbook diagnostic`, as somebody types them."""

import io
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_shapes import assert_shape

from handbook.app.cli.main import run


def coming(days: int) -> str:
    """So many days from today, on the day that the test runs: the file may have been read before midnight."""
    return (date.today() + timedelta(days=days)).isoformat()


def start() -> tuple[str, ...]:
    return ("plan", "start", "--date", coming(30), "--hours", "7")


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HANDBOOK_GRADER", "none")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run([*arguments, "--json"])
    values = json.loads(capsys.readouterr().out)
    assert_shape(values)
    return code, values


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(list(arguments))
    return code, capsys.readouterr().out


def test_before_there_is_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("today", "show"):
        code, values = printed(capsys, "plan", verb)
        assert code == 1
        assert not values.get("plan")
        code, text = said(capsys, "plan", verb)
        assert (code, "no plan yet" in text) == (1, True)
    assert run(["plan", "move-date", coming(30)]) == 3
    assert "There is no plan yet" in capsys.readouterr().err
    assert printed(capsys, "plan", "undo") == (
        1,
        {"schema": "handbook.plan.undo/1", "undone": None, "plan": None},
    )


def test_start_today_done_and_undo(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, *start(), "--role", "platform")
    assert code == 0
    assert values["plan"]["role"] == "platform"
    assert len(values["days"]) == 31
    assert values["left_out"]
    _, today = printed(capsys, "plan", "today")
    assert today["session"]["items"] == values["days"][0]["items"]
    key = today["session"]["items"][0]["key"]
    code, text = said(capsys, "plan", "today", "--done", key)
    assert code == 0
    assert text.count("[x]") == 1
    assert key in text
    code, values = printed(capsys, "plan", "undo")
    assert (code, values["undone"], values["plan"]) == (0, "began", None)


def test_show_names_what_is_left_out_and_never_a_bare_percentage(capsys: pytest.CaptureFixture[str]) -> None:
    run([*start(), "--days", "mon,sat"])
    _, text = said(capsys, "plan", "show")
    assert "left out: " in text
    assert "Not everything fits" in text
    assert "nothing known" in text
    assert "%" not in text
    assert len(re.findall(r"^  (Mon|Sat) ", text, re.M)) >= 6
    assert not re.findall(r"^  (Tue|Wed|Thu|Fri|Sun) ", text, re.M)


def test_changes_say_what_they_mean(capsys: pytest.CaptureFixture[str]) -> None:
    run(list(start()))
    capsys.readouterr()
    later = coming(60)
    code, values = printed(capsys, "plan", "move-date", later)
    assert (code, values["plan"]["date"]) == (0, later)
    assert any(note.startswith("Fits now: ") for note in values["notes"])
    _, values = printed(capsys, "plan", "move-date", "none")
    assert values["plan"]["date"] is None
    _, values = printed(capsys, "plan", "change", "--hours", "2", "--days", "tue,thu")
    assert (values["plan"]["hours"], values["plan"]["days"]) == (2, [1, 3])
    _, values = printed(capsys, "plan", "missed", later)
    assert values["plan"]["away"] == [[later, later]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("plan", "start", "--hours", "7", "--date", "2020-01-01"), 3, "in the past"),
        (("plan", "start", "--hours", "99"), 3, "hours a week"),
        (("plan", "start", "--hours", "nan"), 3, "hours a week"),
        (("plan", "start", "--hours", "7", "--track", "x"), 3, "track"),
        (("plan", "start", "--hours", "7", "--days", "noday"), 2, "Expected days like"),
        (("plan", "start", "--hours", "7", "--role", "king"), 2, "king"),
        (("plan", "move-date", "soon"), 2, "Expected a date like"),
        (("plan", "missed", "2020-13-01"), 2, "2020-13-01"),
        (("diagnostic", "take", "--budget", "1"), 2, "1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_wrong_use(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert run(list(arguments)) == code
    assert words in capsys.readouterr().err


def test_export_and_import(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(list(start()))
    file = tmp_path / "plan.json"
    assert run(["plan", "export", str(file)]) == 0
    assert run(["plan", "export", str(file)]) == 2, "it is not replaced unasked"
    assert run(["plan", "undo"]) == 0
    capsys.readouterr()
    _, values = printed(capsys, "plan", "import", str(file))
    assert values["plan"]["date"] == coming(30)
    for text in (
        "{",
        "[1]",
        '{"format": "handbook-study", "version": 1, "plan": {"hours": 1}}',
        "[" * 100_000,
    ):
        file.write_text(text, encoding="utf-8")
        assert run(["plan", "import", str(file)]) == 3
    file.write_text(" " * (2**21 + 1), encoding="utf-8")
    assert run(["plan", "import", str(file)]) == 3
    assert "larger than" in capsys.readouterr().err


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))


def test_a_diagnostic_is_typed_paused_and_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, values = printed(capsys, "diagnostic", "result")
    assert (code, values["open"], values["result"]) == (1, False, None)
    typed(monkeypatch, "It shards the", "cache.", ".", "3", "half an answ")  # and the input ends: a pause
    code, text = said(capsys, "diagnostic")
    assert code == 0
    assert "A model answer: " in text
    assert text.rstrip().endswith("goes on from here.")
    code, values = printed(capsys, "diagnostic", "result")
    assert (code, values["open"]) == (1, True)
    typed(monkeypatch, "/skip", ".", "/undo", "/end")
    code, text = said(capsys, "diagnostic")
    assert code == 0
    assert text.startswith("It goes on after 1 answers.")
    assert "half an answ" in text, "what was typed is still there"
    assert "1 questions answered" in text
    assert "That says nothing against you" in text
    code, values = printed(capsys, "diagnostic", "result")
    assert code == 0
    assert (values["result"]["asked"], values["result"]["skipped"]) == (1, 1)
    assert said(capsys, "diagnostic", "drop")[0] == 1
