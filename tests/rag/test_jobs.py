"""Ingestions that are stopped, killed and gone on with: the real thing, with DBOS, in processes of their own
where one has to die.
"""

import ast
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from handbook.errors import CorpusError, ModelUnavailable
from handbook.rag import planning
from handbook.rag.ingesting import Reporter, Stopped
from handbook.rag.jobs import Ingestion, Progress
from tests.rag.fakes import HashEmbedder
from tests.rag.notes import folder, found, held, here, ingested, opened

ROOT = Path(__file__).parents[2]


class Gated(HashEmbedder):
    """Waits for a nod before each batch from number `free` on."""

    def __init__(self, free: int = 0, nod: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.calls = 0
        self._free = free
        self._nod = nod

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.calls >= self._free:
            self._nod()
        self.calls += 1
        return super().embed(texts)


def many(path: Path, count: int = 40) -> Path:
    """A folder that takes several batches."""
    return folder(
        path, **{f"n{n:02}": f"# Note {n}\n\nThis is about subject{n}. {'word ' * n}\n" for n in range(count)}
    )


def until(so: Callable[[], bool]) -> None:
    """Wait until it is so; half a minute, on a machine that is busy."""
    ends = time.monotonic() + 30
    while not so():
        assert time.monotonic() < ends
        time.sleep(0.05)


def connections() -> set[tuple[object, object]]:
    return {(one.laddr, one.raddr) for one in psutil.Process().net_connections()}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "BATCH_DOCUMENTS", 10)


def test_an_ingestion_tells_how_far_it_is_and_the_next_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*asked: object, **_: object) -> None:
        raise AssertionError(f"asked for the address of {asked}")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    before = connections()
    notes = many(tmp_path / "notes")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    embedder = HashEmbedder()
    told: list[Progress] = []
    with opened(tmp_path / "data", embedder) as corpora, Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes")
        with pytest.raises(CorpusError, match="no sources"):
            ingestion.start("notes")
        assert ingestion.latest("notes") is None
        id = ingestion.start("notes", [str(notes)])
        assert ingestion.running("notes") == id
        assert connections() <= before, "nothing is served, nobody is told"
        done = ingestion.wait(id, told.append, 60)
        assert (done.state, done.corpus, done.alive, done.resumable) == ("done", "notes", False, False)
        assert done.counts["documents"] == 41
        assert done.counts["chunks"] == corpora.about("notes").chunks == 40
        assert len(done.faults) == done.counts["unreadable"] == 1
        assert done.seconds > 0
        assert {one.state for one in told} <= {"running", "done"}
        assert ingestion.running("notes") is None
        assert ingestion.latest("notes") == done
        assert [path.name for path in corpora.jobs.iterdir()] == ["corpus-notes.lock"], "it tidied up"
        embedder.embedded.clear()
        again = ingestion.wait(ingestion.start("notes"), timeout=60)
        assert (again.state, again.counts["same"]) == ("done", 41)
        assert "documents" not in again.counts
        assert embedder.embedded == []
        with pytest.raises(CorpusError, match="is done"):
            ingestion.resume(id)
        with pytest.raises(CorpusError, match="no ingestion"):
            ingestion.progress("nonsense")


def test_stopped_it_goes_on_where_it_was(tmp_path: Path) -> None:
    notes = many(tmp_path / "notes")
    stop: list[Callable[[], None]] = []
    embedder = Gated(2, lambda: stop[0]())
    with opened(tmp_path / "data", embedder) as corpora, Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes")

        def stopping() -> None:
            ingestion.stop(ingestion.running("notes") or "")
            stop[0] = lambda: None

        stop.append(stopping)
        id = ingestion.start("notes", [str(notes)])
        stopped = ingestion.wait(id, timeout=60)
        assert (stopped.state, stopped.resumable) == ("stopped", True)
        stands = corpora.about("notes").documents
        assert stands in (20, 30), "it is heard within a batch or before the next"
        assert len(found(corpora, "notes", "note")) == stands
        embedder.embedded.clear()
        ingestion.resume(id)
        done = ingestion.wait(id, timeout=60)
        assert (done.state, done.counts["documents"]) == ("done", 40)
        assert done.seconds > stopped.seconds
        assert len(embedder.embedded) <= 40 - stands, "what was done is not done again"
        assert corpora.about("notes").chunks == 40


def test_a_stop_is_heard_before_the_next_batch_however_fast_they_are(tmp_path: Path) -> None:
    notes, wish = many(tmp_path / "notes"), [""]
    embedder = Gated(0, lambda: wish.__setitem__(0, "stop"))
    report = Reporter(lambda said: wish[0], often=1000)
    with opened(tmp_path / "data", embedder) as corpora:
        corpora.create("notes")
        with pytest.raises(Stopped):
            ingested(corpora, "notes", notes, report=report)
        assert corpora.about("notes").documents == len(found(corpora, "notes", "note")) == 10


def test_a_failure_is_told_and_can_be_gone_on_from(tmp_path: Path) -> None:
    notes = many(tmp_path / "notes", 20)

    def refuse() -> None:
        raise ModelUnavailable("The server sent no embeddings.", "Start it.")

    embedder = Gated(1, refuse)
    with opened(tmp_path / "data", embedder) as corpora, Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes")
        id = ingestion.start("notes", [str(notes)])
        failed = ingestion.wait(id, timeout=60)
        assert (failed.state, failed.note) == ("failed", "The server sent no embeddings. Start it.")
        assert corpora.about("notes").documents == 10, "the batch before stands"
        embedder._nod = lambda: None
        ingestion.resume(id)
        assert ingestion.wait(id, timeout=60).counts["documents"] == 20
        embedder._nod = refuse
        (notes / "new.md").write_text("Something new.")
        failed_too = ingestion.start("notes")
        assert ingestion.wait(failed_too, timeout=60).state == "failed"
        embedder._nod = lambda: None
        assert ingestion.wait(ingestion.start("notes"), timeout=60).state == "done"
        assert ingestion.progress(failed_too).state == "replaced"
        with pytest.raises(CorpusError, match="replaced"):
            ingestion.resume(failed_too)


def test_the_second_of_one_corpus_waits_and_finds_nothing_left(tmp_path: Path) -> None:
    notes = many(tmp_path / "notes", 20)
    with opened(tmp_path / "data") as corpora, Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes")
        with corpora.lock("notes"):  # as another process has it
            id = ingestion.start("notes", [str(notes)])
            until(lambda: ingestion.progress(id).state == "waiting")
            until(lambda: "Another ingestion" in ingestion.progress(id).note)
            other = ingestion.start("notes")
            ingestion.stop(other)
            assert ingestion.wait(other, timeout=30).state == "stopped"
        assert ingestion.wait(id, timeout=60).state == "done"
        assert corpora.about("notes").documents == 20


def test_what_runs_when_the_process_ends_is_interrupted(tmp_path: Path) -> None:
    notes = many(tmp_path / "notes", 30)
    embedder = Gated(1, lambda: until(lambda: all(one.run.report.closing for one in running)))
    with opened(tmp_path / "data", embedder) as corpora:
        corpora.create("notes")
        with Ingestion(corpora, prepare=here) as ingestion:
            running = ingestion._mine.values()
            id = ingestion.start("notes", [str(notes)])
            until(lambda: ingestion.progress(id).stage == "embed" and ingestion.progress(id).done >= 10)
        embedder._nod = lambda: None
        with Ingestion(corpora, prepare=here) as ingestion:
            corpora.create("other")
            ingestion.wait(ingestion.start("other", [str(folder(tmp_path / "other"))]), timeout=60)
            time.sleep(1.5)  # DBOS looks once a second
            assert ingestion.progress(id).state == "interrupted", "nobody goes on without being told to"
            ingestion.resume(id)
            assert ingestion.wait(id, timeout=60).counts["documents"] == 30


CHILD = """
import sys, time
from pathlib import Path
from handbook.rag import planning
planning.BATCH_DOCUMENTS = 10
from handbook.rag.ingesting import Reporter, Stopped
from handbook.rag.jobs import Ingestion
from tests.rag.test_jobs import Gated
from tests.rag.notes import here, opened

def slowly():
    print("embedding", flush=True)
    time.sleep(float(sys.argv[3]))

if __name__ == "__main__":
    with opened(Path(sys.argv[1]), Gated(2, slowly)) as corpora:
        if not corpora.all():
            corpora.create("notes")
        with Ingestion(corpora, workers=1) as ingestion:
            id = ingestion.start("notes", [sys.argv[2]])
            print(id, flush=True)
            print(ingestion.wait(id).state, flush=True)
"""


def child(*arguments: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-W", "error", "-c", CHILD, *map(str, arguments)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def test_killed_it_goes_on_from_its_last_batch_and_ends_as_if_undisturbed(tmp_path: Path) -> None:
    notes = many(tmp_path / "notes", 60)
    with opened(tmp_path / "calm") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
        expected = held(corpora, "notes")
    process = child(tmp_path / "data", notes, 60)
    assert process.stdout is not None
    embedder = HashEmbedder()
    with process.stdout, opened(tmp_path / "data", embedder) as corpora, Ingestion(corpora) as ingestion:
        id = process.stdout.readline().strip()
        assert process.stdout.readline() == "embedding\n", "two batches are done, it is at the third"
        assert ingestion.running("notes") == id
        with pytest.raises(CorpusError, match="being ingested"):
            corpora.delete("notes")
        second = ingestion.start("notes")
        until(lambda: ingestion.progress(second).state == "waiting")  # one process writes at a time
        ingestion.stop(second)
        assert ingestion.wait(second, timeout=30).state == "stopped"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        killed = ingestion.progress(id)
        assert (killed.state, killed.resumable) == ("interrupted", True)
        assert ingestion.running("notes") is None
        assert corpora.about("notes").documents == 20
        assert len(found(corpora, "notes", "note")) == 20
        ingestion.resume(id)
        done = ingestion.wait(id, timeout=60)
        assert (done.state, done.counts["documents"], done.counts["new"]) == ("done", 60, 60)
        assert len(embedder.embedded) == 40, "what the killed process had done was not done again"
        assert held(corpora, "notes") == expected


FULL = """
import resource, sys
from pathlib import Path
from handbook.rag.ingesting import Reporter, Stopped
from handbook.rag.jobs import Ingestion
from tests.rag.fakes import HashEmbedder
from tests.rag.notes import found, here, opened

# Rare ones first: of more hits than are listed, equal ones come in any order.
WORDS = "subject0 subject1 subject2 subject3 subject4 long"

def allow(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

if __name__ == "__main__":
    data, notes = map(Path, sys.argv[1:3])
    with opened(data, HashEmbedder("hash", 1024)) as corpora, Ingestion(corpora, prepare=here) as ingestion:
        corpora.create("notes", limit=20)
        small = ingestion.wait(ingestion.start("notes", [str(notes / "first")]))
        before = found(corpora, "notes", WORDS)
        allow(600_000)
        id = ingestion.start("notes", [str(notes / "more")])
        full = ingestion.wait(id)
        during = found(corpora, "notes", WORDS)
        allow(resource.RLIM_INFINITY)
        ingestion.resume(id)
        done = ingestion.wait(id)
        after = found(corpora, "notes", WORDS)
        print([small.state, full.state, full.note, before == during, done.state, len(after)].__repr__())
"""


def test_without_room_it_says_so_nothing_is_half_there_and_it_goes_on_later(tmp_path: Path) -> None:
    many(tmp_path / "notes" / "first", 5)
    folder(tmp_path / "notes" / "more", long=" ".join(f"Part {n} of a long note." for n in range(1500)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", FULL, str(tmp_path / "data"), str(tmp_path / "notes")]
    said = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)
    assert said.returncode == 0, said.stderr
    small, full, note, same, done, after = ast.literal_eval(said.stdout)
    assert (small, full, done) == ("done", "failed", "done")
    assert "No room left" in note
    assert same
    assert after == 6
