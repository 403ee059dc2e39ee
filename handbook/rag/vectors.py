"""Stage 3, embed, for corpora of any size: each text once, its vector kept in a file by the text's hash.

A chunk that did not change, that moved, or that another document has too is not embedded again, and of a
document that was being embedded when the process was killed only the last few hundred chunks are. The file is
a cache: it holds the newest vectors, and what it lost is computed again.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handbook.errors import DiskFull, HandbookError
from handbook.rag.embed import text_hash

if TYPE_CHECKING:
    from handbook.embed import Embedder

Vectors = NDArray[np.float32]

BATCH = 64  # texts that are embedded at once, and kept; a stop waits for them
ASKED = 500  # hashes of one question to the file
MOST = 400_000  # vectors; of 384 dimensions that is 0.6 GB
FULL = ("disk is full", "disk i/o error")


class VectorFile:
    """Vectors of texts, from a file or from the embedder, which is called for new texts only. Threads and
    processes may share the file.

    Args:
        folder: where the file of this embedder lies; made when there is something to keep.
        most: vectors that are kept; beyond it the oldest tenth goes.
    """

    def __init__(self, folder: Path, embedder: "Embedder", most: int = MOST) -> None:
        slug = re.sub(r"[^a-z0-9]+", "-", embedder.name.lower()).strip("-")[:60]
        self._path = folder / f"{slug}-{text_hash(embedder.name)[:8]}.db"
        self._embedder = embedder
        self._most = most

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None
    ) -> Vectors:  # [N, D]
        """A vector for each text, in order. Embeds those that are new a batch at a time, nearly equal lengths
        together, and keeps each batch at once.

        progress: is told how many texts have their vectors; what it raises ends the work. Raises what the
        embedder raises; DiskFull where there is no room to keep them.
        """
        keys = [bytes.fromhex(text_hash(text)) for text in texts]
        dimension = self._embedder.dimension
        rows = np.empty((len(texts), dimension), np.float32)
        with self._open() as file:
            found = self._kept(file, keys)
            new: dict[bytes, str] = {}
            for place, key in enumerate(keys):
                if key in found:
                    rows[place] = found[key]
                else:
                    new[key] = texts[place]
            waiting = sorted(new, key=lambda key: len(new[key]))
            progress(len(texts) - len(waiting))
            places = {key: place for place, key in reversed(list(enumerate(keys)))}
            for start in range(0, len(waiting), BATCH):
                some = waiting[start : start + BATCH]
                vectors = np.ascontiguousarray(self._embedder.embed([new[key] for key in some]), np.float32)
                self._keep(file, some, vectors)
                rows[[places[key] for key in some]] = vectors
                progress(len(texts) - len(waiting) + start + len(some))
            for place, key in enumerate(keys):  # the same text twice
                if key in new and places[key] != place:
                    rows[place] = rows[places[key]]
        return rows

    def _kept(self, file: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        size = 4 * self._embedder.dimension
        found = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), ASKED):
            some = wanted[start : start + ASKED]
            marks = ",".join("?" * len(some))
            for key, data in file.execute(f"SELECT hash, vector FROM vector WHERE hash IN ({marks})", some):
                if len(data) == size:
                    found[key] = np.frombuffer(data, np.float32)
        return found

    def _keep(self, file: sqlite3.Connection, keys: Sequence[bytes], vectors: Vectors) -> None:
        rows = ((key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True))
        with file:
            file.executemany("INSERT OR REPLACE INTO vector (hash, vector) VALUES (?, ?)", rows)
            last, first = file.execute("SELECT max(number), min(number) FROM vector").fetchone()
            if last - first >= self._most:
                file.execute("DELETE FROM vector WHERE number <= ?", (last - self._most * 9 // 10,))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._connected()
            with contextlib.closing(file):
                yield file
        except sqlite3.OperationalError as error:
            if any(word in str(error).lower() for word in FULL):
                raise DiskFull(
                    f"No room left to keep vectors in {self._path.parent}.",
                    "Free some space and go on; what was indexed before can still be searched.",
                ) from error
            raise
        except sqlite3.DatabaseError as error:
            self._throw_away()
            raise HandbookError(
                f"The vectors kept in {self._path} were damaged, and are thrown away.",
                "Go on: they are computed again.",
            ) from error

    def _throw_away(self) -> None:
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def _connected(self) -> sqlite3.Connection:
        """The file, begun anew where it is damaged."""
        for last in (False, True):
            file = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False)
            try:
                file.execute("PRAGMA journal_mode=WAL")
                file.execute("PRAGMA synchronous=NORMAL")
                with file:
                    file.execute(
                        "CREATE TABLE IF NOT EXISTS vector"
                        " (number INTEGER PRIMARY KEY, hash BLOB UNIQUE, vector BLOB)"
                    )
                return file
            except sqlite3.OperationalError:
                file.close()
                raise
            except sqlite3.DatabaseError:
                file.close()
                if last:
                    raise
                self._throw_away()
        raise AssertionError
