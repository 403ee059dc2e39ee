"""`handbook grade` without a model: the person judges; and what it says of files that are none."""

import io
import json
from pathlib import Path

import pytest
from test_shapes import assert_shape

from handbook.app.cli.main import run

ID = "prompt-to-second-token"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path))
    monkeypatch.setenv("HANDBOOK_GRADER", "none")


def test_an_answer_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("Keys and values of the prompt are kept.", encoding="utf-8")
    assert run(["grade", ID, str(file)]) == 0
    told = capsys.readouterr().out
    assert "unclear  Says that keys and values of the prompt are kept" in told
    assert "6 for you to judge" in told
    assert run(["grade", ID, str(file), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert_shape(values)
    assert (values["score"], values["low"], values["high"]) == (None, 0.0, 1.0)
    assert "answer" not in values


def test_nothing_on_standard_input_is_not_met(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Empty:
        buffer = io.BytesIO(b"  \n")

    monkeypatch.setattr("sys.stdin", Empty())
    assert run(["grade", ID]) == 1
    assert "The answer is empty." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("id", "data", "says"),
    [
        ("prompt-to-second-tokn", b"x", "Did you mean prompt-to-second-token"),
        ("zzzz", b"x", "`handbook drill` shows questions"),
        (ID, None, "can't be read"),
        (ID, b"\xff\xfe\x00", "not UTF-8"),
        (ID, b"x" * 1_000_001, "more than 1,000,000 bytes"),
    ],
    ids=["near", "far", "missing", "bytes", "large"],
)
def test_what_can_not_be_graded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, id: str, data: bytes | None, says: str
) -> None:
    file = tmp_path / "answer.txt"
    if data is not None:
        file.write_bytes(data)
    assert run(["grade", id, str(file)]) == 3
    assert says in capsys.readouterr().err.replace("\n", " ")


def test_what_a_terminal_would_obey_is_not_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("Keys \x1b[31m stay \x07 here and values too.", encoding="utf-8")
    run(["grade", ID, str(file)])
    assert "\x1b" not in capsys.readouterr().out
