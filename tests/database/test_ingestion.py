"""Ingestions remembered in PostgreSQL, where that is the database."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.database import Database
from handbook.errors import ModelUnavailable
from handbook.rag.corpora import Corpora
from handbook.rag.jobs import Ingestion
from handbook.settings import Settings
from tests.rag.fakes import HashEmbedder
from tests.rag.notes import folder, found, here


class Away(HashEmbedder):
    """Not there at the first asking."""

    asked = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += 1
        if self.asked == 1:
            raise ModelUnavailable("No answer.", "Start it.")
        return super().embed(texts)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_failed_ingestion_goes_on(database: Database, settings: Settings, tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    corpora = Corpora(settings, database, Away())
    with Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes")
        id = ingestion.start("notes", [str(notes)])
        assert ingestion.wait(id, timeout=200).state == "failed"
        ingestion.resume(id)
        done = ingestion.wait(id, timeout=200)
        assert (done.state, done.counts["documents"]) == ("done", 2)
        assert found(corpora, "notes", "gluten") == ["bread.md"]
        assert corpora.about("notes").characters > 100
    corpora.delete("notes")
    assert corpora.all() == []
    assert not (settings.data / "jobs.db").exists()
