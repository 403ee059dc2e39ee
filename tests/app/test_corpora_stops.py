"""An ingestion that is followed, stopped and resumed in the app. In a file of its own: a process ingests into
one data folder at a time."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.conftest import BASE
from app.small_book import WordEmbedder, write
from app.test_corpora_room import Room, text_of
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.settings import Settings


class Held(WordEmbedder):
    """Waits in the middle of its work until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = Event(), Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.set()
        assert self.go.wait(120)
        return super().embed(texts)


class Other(WordEmbedder):
    name = "other words"


@contextmanager
def opened(folder: Path, embedder: WordEmbedder) -> Iterator[Room]:
    """The app over a folder, as after a restart."""
    book = folder / "book"
    settings = Settings(data=folder / "data", book=book if book.exists() else write(book))
    app = create_app(settings, chat=ScriptedChat([]), embedder=embedder, background=False)
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield Room(client, folder)


def notes(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        said = f"The note of day {number} is short, and says what was cooked.\n"
        (folder / f"{number:03}.md").write_text(f"# Note {number}\n\n{said}")
    return folder


def test_an_ingestion_is_followed_stopped_and_goes_on(tmp_path: Path) -> None:
    many = notes(tmp_path / "many", 150)  # more than one batch of documents
    embedder = Held()
    with opened(tmp_path, embedder) as room:
        room.post("/corpora", path=str(many))
        assert embedder.asked.wait(120)
        html = room.read("/corpora/many")
        assert 'hx-get="/corpora/many/progress"' in html
        assert "Reading and embedding" in text_of(html)
        assert 'id="ingestion-stop"' in html
        assert "is being ingested" in room.refused("/corpora/many/delete", confirm="many")
        assert "It stops" in text_of(room.read(room.post("/corpora/many/stop")))
        embedder.go.set()
        assert room.wait("many").startswith("Stopped")
        html = room.read("/corpora/many")
        assert 'id="ingestion-resume"' in html
        assert "Go on with it" in text_of(room.read("/corpora"))
        assert room.shelf.corpora.about("many").documents < 150
        room.post("/corpora/many/resume")
        assert room.wait("many").startswith("Done")
        assert room.shelf.corpora.about("many").documents == 150


def let_go_while_it_closes(room: Room, embedder: Held) -> None:
    (running,) = room.shelf.ingestion._mine.values()
    end = time.monotonic() + 60
    while not running.run.report.closing and time.monotonic() < end:
        time.sleep(0.01)
    embedder.go.set()


def test_what_the_handbook_s_end_cut_off_goes_on_after_its_start(tmp_path: Path) -> None:
    many, embedder = notes(tmp_path / "many", 100), Held()
    with opened(tmp_path, embedder) as room:
        room.post("/corpora", path=str(many))
        assert embedder.asked.wait(120)
        Thread(target=let_go_while_it_closes, args=(room, embedder)).start()
    with opened(tmp_path, WordEmbedder()) as room:
        assert "Was cut off" in text_of(room.read("/corpora/many"))
        room.post("/corpora/many/resume")
        assert room.wait("many").startswith("Done")
        assert room.shelf.corpora.about("many").documents == 100


def test_another_embedding_model_is_told_and_embeds_anew(tmp_path: Path) -> None:
    few = notes(tmp_path / "few", 3)
    with opened(tmp_path, WordEmbedder()) as room:
        room.post("/corpora", path=str(few))
        room.wait("few")
    asked = "/ask?q=What+does+the+note+of+day+2+say+was+cooked%3F&corpus=few"
    with opened(tmp_path, Other()) as room:
        assert "It can't be asked now." in text_of(room.read("/corpora"))
        assert "was made with the embedding model words" in text_of(room.read("/corpora/few"))
        assert "was made with the embedding model words" in text_of(room.read(asked))
        room.post("/corpora/few/update", anew="1")
        assert "3 new" in room.wait("few")
        assert "From few" in text_of(room.read(asked))


def test_a_model_server_is_told_of_where_documents_are_added(tmp_path: Path) -> None:
    told = {}
    for name, url in (("here", None), ("there", "http://127.0.0.1:9/v1")):
        settings = Settings(data=tmp_path / name, book=write(tmp_path / f"{name}-book"), embed_url=url)
        app = create_app(settings, chat=ScriptedChat([]), embedder=WordEmbedder(), background=False)
        with TestClient(app, base_url=BASE) as client:
            told[name] = text_of(client.get("/corpora").text)
    assert "stay on it" in told["here"]
    assert "stay on it" not in told["there"]
    assert "goes to the model server that you set" in told["there"]
