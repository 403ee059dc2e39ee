"""`handbook ingest` and `handbook corpora`: a folder becomes a corpus, is looked at, changed and deleted."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.app.cli.ingest import follow
from handbook.app.cli.main import run
from handbook.database import open_database
from handbook.rag.jobs import Ingestion, Progress
from handbook.settings import load
from tests.cli.test_shapes import assert_shape, printed
from tests.openai_server import serving
from tests.rag.fakes import HashEmbedder
from tests.rag.notes import TEA, folder, here, opened


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A data folder of its own, and an embedder that needs no weights."""
    with serving() as server:
        monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("HANDBOOK_EMBED_URL", server.url)
        monkeypatch.setenv("HANDBOOK_EMBEDDER", "plain")
        yield


def test_a_folder_becomes_a_corpus_and_lives_until_it_is_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = folder(tmp_path / "My Notes")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    code, values = printed(capsys, "ingest", str(notes), "--dry-run", "--json")
    assert_shape(values)
    assert (code, values["corpus"], values["new"]) == (0, "my-notes", 3)
    code, values = printed(capsys, "corpora", "--json")
    assert_shape(values)
    assert values["corpora"] == [], "a dry run changes nothing"

    report = tmp_path / "report.txt"
    code, values = printed(capsys, "ingest", str(notes), "--report", str(report), "--json")
    assert_shape(values)
    assert (code, values["state"], values["counts"]["documents"]) == (0, "done", 3)
    (fault,) = values["documents"]
    assert fault["source"] == str(notes / "broken.pdf")
    assert fault["fault"] in report.read_text()

    assert run(["ingest", str(notes)]) == 0
    shown = capsys.readouterr().out
    assert "3 the same" in shown
    assert "broken.pdf" not in shown, "it was told of when it was read"
    code, values = printed(capsys, "corpora", "show", "my-notes", "--json")
    assert_shape(values)
    assert values["corpus"]["chunks"] == 2
    assert values["corpus"]["ingestion"]["state"] == "done"
    assert len(values["versions"]) >= 1
    version = values["versions"][0]["number"]

    (notes / "tea.md").write_text(TEA.replace("seventy", "eighty"))
    code, values = printed(capsys, "corpora", "update", "my-notes", "--json")
    assert_shape(values)
    assert values["counts"]["changed"] == 1
    code, values = printed(capsys, "corpora", "rollback", "my-notes", str(version), "--json")
    assert_shape(values)
    assert values["versions"][0]["live"]
    code, values = printed(capsys, "corpora", "update", "my-notes", "--retry", "--json")
    assert (values["counts"]["changed"], len(values["documents"])) == (2, 1), "tea again, and the broken one"
    assert run(["corpora", "remove", "my-notes", str(notes / "bread.md")]) == 0
    assert "Removed 1 documents" in capsys.readouterr().out
    assert run(["corpora", "rename", "my-notes", "kitchen"]) == 0
    capsys.readouterr()
    assert run(["corpora"]) == 0
    assert capsys.readouterr().out.startswith("kitchen ")
    assert run(["corpora", "delete", "kitchen", "--yes"]) == 0
    assert run(["corpora"]) == 0
    assert "no corpus yet" in capsys.readouterr().out


def test_what_is_said_of_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = folder(tmp_path / "notes")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    assert run(["ingest", str(notes), "--corpus", "kitchen", "--title", "My kitchen", "--limit", "50"]) == 0
    shown = capsys.readouterr()
    assert "kitchen: 3 new, 1 could not be read, 2 chunks" in shown.out
    assert "can't be read: The PDF is broken" in shown.out
    assert shown.out.count("broken.pdf") == 1
    database = open_database(load())
    database.signal("helped", "How hot?", "kitchen")
    database.close()
    assert run(["corpora", "show", "kitchen"]) == 0
    shown = capsys.readouterr()
    for part in (
        "My kitchen (kitchen)",
        "to 50 tokens",
        f"folder {notes}",
        "broken.pdf",
        "1 answers that helped",
    ):
        assert part in shown.out
    assert "tea.md" not in shown.out
    assert run(["corpora", "show", "kitchen", "--all"]) == 0
    assert "tea.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ingest"], 2, "Missing"),
        (["ingest", "no-such-folder"], 3, "can't be read"),
        (["ingest", "ftp://example.org/x"], 3, "no page of the web"),
        (["ingest", ".", "--corpus", "Book!"], 3, "no name for a corpus"),
        (["ingest", ".", "--corpus", "book"], 3, "means something else"),
        (["corpora", "show", "none"], 3, "no corpus 'none'"),
        (["corpora", "update", "none"], 3, "no corpus 'none'"),
        (["corpora", "resume", "none"], 3, "no corpus 'none'"),
        (["corpora", "delete", "none", "--yes"], 3, "no corpus 'none'"),
        (["corpora", "--json", "show", "none"], 2, "after show"),
    ],
)
def test_wrong_use_has_its_remedy(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_a_file_s_name_gives_the_terminal_no_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = folder(tmp_path / "notes")
    (notes / "a\x1b]0;owned\x07\nfdp.\u202e.pdf").write_bytes(b"none")
    (notes / "b\x1b]0;owned\x07.txt").write_text("Oolong rests between green and black.")
    report = tmp_path / "report.txt"
    assert run(["ingest", str(notes), "--dry-run"]) == 0
    assert run(["ingest", str(notes), "--report", str(report)]) == 0
    assert run(["corpora", "show", "notes", "--all"]) == 0
    assert run(["corpora", "remove", "notes", "\x1b]0;owned\x07"]) != 0
    run(["ask", "Where does oolong rest?", "--corpus", "notes", "--trace"])
    told = capsys.readouterr()
    said = told.out + told.err + report.read_text()
    assert "b\ufffd]0;owned\ufffd.txt" in said
    assert "\n    can't be read: This is named as pdf" in said
    assert not any(odd in said for odd in ("\x1b", "\x07", "\u202e", "owned\n"))


def test_a_corpus_is_cut_in_one_way_and_its_name_is_for_one_thing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, other = folder(tmp_path / "notes"), folder(tmp_path / "other" / "notes")
    assert run(["ingest", str(notes)]) == 0
    assert run(["ingest", str(notes), "--method", "fixed"]) == 2
    assert "cut by markdown" in capsys.readouterr().err
    assert run(["ingest", str(other)]) == 2
    assert "--corpus notes" in capsys.readouterr().err
    assert run(["corpora", "resume", "notes"]) == 3
    assert run(["corpora", "stop", "notes"]) == 1


def test_nothing_is_left_of_a_corpus_that_could_not_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "picture.xyz").write_bytes(b"no document")
    assert run(["ingest", str(notes)]) == 1, "there is nothing in it to search"
    shown = capsys.readouterr().out
    assert "1 of other kinds" in shown
    monkeypatch.setenv("HANDBOOK_EMBEDDER", "unknown")
    assert run(["ingest", str(folder(tmp_path / "more"))]) == 3
    assert "does not exist" in capsys.readouterr().err
    capsys.readouterr()
    _, values = printed(capsys, "corpora", "list", "--json")
    assert [about["name"] for about in values["corpora"]] == ["notes"]


class Held(HashEmbedder):
    """Embeds nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert self.go.wait(60)
        return super().embed(texts)


class Interrupted(Ingestion):
    """Ctrl-C comes as soon as it is waited for, while the first batch is embedded."""

    pressed = False
    embedder: Held

    def stop(self, id: str) -> None:
        super().stop(id)
        self.embedder.go.set()

    def wait(
        self, id: str, watch: Callable[[Progress], object] | None = None, timeout: float | None = None
    ) -> Progress:
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return super().wait(id, watch, timeout)


def test_interrupted_it_stops_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = folder(tmp_path / "notes")
    nothing: Any = None
    embedder = Held()
    with opened(tmp_path / "data", embedder) as corpora, Interrupted(corpora, prepare=here) as ingestion:
        ingestion.embedder = embedder
        corpora.create("notes")
        id = ingestion.start("notes", [str(notes)])
        assert follow(corpora, ingestion, id, nothing, False) == 130
        assert "handbook corpora resume notes" in capsys.readouterr().err
        assert ingestion.progress(id).state == "stopped"
