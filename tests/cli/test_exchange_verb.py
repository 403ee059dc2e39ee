"""`handbook cards export` and `import`, and the shapes of their JSON."""

import json
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


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HANDBOOK_BOOK", str(write(tmp_path)))
    database = open_database(load())
    Deck(database, open_book(load().book)).answered("why-knead", "Gluten.", rating="hard")
    database.close()


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["cards", *arguments, "--json"])
    values = json.loads(capsys.readouterr().out)
    assert differences(documented()[values.pop("schema")], values) == []
    return code, values


def test_out_and_in_and_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("a.json", "a.csv", "a.apkg"):
        code, values = printed(capsys, "export", str(tmp_path / name))
        assert code == 0
        assert values["bytes"] == (tmp_path / name).stat().st_size
    code, values = printed(capsys, "import", str(tmp_path / "a.json"))
    assert (code, values["imports"][0]["key"]) == (1, "")
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "other"))
    for name in ("a.json", "a.csv", "a.apkg"):
        code, values = printed(capsys, "import", str(tmp_path / name))
        assert code == 0
        assert values["imports"][0]["taken"] == {"review": 1, "card": 1}
        code, values = printed(capsys, "import", "--undo", "last")
        assert (code, values["imports"][0]["undone"]) == (0, True)
    assert printed(capsys, "import", "--undo", "last") == (1, {"imports": []})
    assert len(printed(capsys, "import", "--list")[1]["imports"]) == 3


def test_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "question,at,rating\nbake-design,2026-01-05T10:00:00Z,good\nx,2026-01-05T10:00:00Z,good\n"
    )
    assert run(["cards", "import", str(file)]) == 0
    said = capsys.readouterr().out
    assert "taken in: 1 answer, 1 card that changed. To undo it: --undo " in said
    assert "Left out: reviews of questions that this book does not have: 1" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "deck.pdf"),
        ("export", "deck.apkg", "--table", "cards"),
        ("import",),
        ("import", "--list", "--undo", "last"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    assert run(["cards", *arguments]) == 2


def test_nothing_is_replaced_unasked_and_nothing_half_written(tmp_path: Path) -> None:
    file = tmp_path / "cards.csv"
    assert run(["cards", "export", str(file), "--table", "cards"]) == 0
    before = file.read_bytes()
    assert run(["cards", "export", str(file)]) == 2
    assert file.read_bytes() == before
    assert run(["cards", "export", str(file), "--force"]) == 0
    assert file.read_bytes() != before
    assert run(["cards", "export", str(tmp_path / "no" / "such.json")]) == 3
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_is_none_exits_with_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.apkg").write_bytes(b"PK\x03\x04")
    assert run(["cards", "import", str(tmp_path / "x.apkg")]) == 3
    assert "Nothing was imported." in capsys.readouterr().err
