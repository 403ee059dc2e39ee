"""An ingestion that is followed, stopped and resumed in the app. In a file of its own: a process ingests into
one data folder at a time."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

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
        assert self.go.wait(30)
        return super().embed(texts)


def test_an_ingestion_is_followed_stopped_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):  # more than one batch of documents
        (folder / f"{number:03}.md").write_text(f"# Note {number}\n\nThe note of day {number} is short.\n")
    embedder = Held()
    settings = Settings(data=tmp_path / "data", book=write(tmp_path / "book"))
    app = create_app(settings, chat=ScriptedChat([]), embedder=embedder, background=False)
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        room = Room(client, folder)
        room.post("/corpora", path=str(folder))
        assert embedder.asked.wait(60)
        html = room.read("/corpora/many")
        assert 'hx-get="/corpora/many/progress"' in html
        assert 'data-state="running"' in html
        assert 'id="ingestion-stop"' in html
        assert "There is" not in room.refused("/corpora/many/delete", confirm="many")
        assert "It stops" in text_of(room.read(room.post("/corpora/many/stop")))
        embedder.go.set()
        assert room.wait("many").startswith("Stopped")
        html = room.read("/corpora/many")
        assert 'id="ingestion-resume"' in html
        assert "Go on with it" in text_of(room.read("/corpora"))
        had = room.shelf.corpora.about("many").documents
        assert had < 150
        room.post("/corpora/many/resume")
        assert room.wait("many").startswith("Done")
        assert room.shelf.corpora.about("many").documents == 150
