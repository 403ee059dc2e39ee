"""Stage 3, embed: each text once. Vectors are kept in LanceDB by the hash of their text, one table an
embedder.

Nothing else is needed to be incremental: a text that changed has another hash, one that moved has not.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handbook.rag.store import DAMAGE, Store, clear_disk_errors

if TYPE_CHECKING:
    from handbook.embed import Embedder

Vectors = NDArray[np.float32]
Progress = Callable[[int, int, str], None]
"""Called with texts embedded so far, in all, and a note."""
NOTE = "reading the book for the index"

BATCH = 256


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class VectorCache:
    """Vectors of texts, from the table or from the embedder, which is called for new texts only.

    Not thread-safe; `Corpus` calls it under its lock.
    """

    def __init__(self, store: Store, embedder: "Embedder") -> None:
        self._store = store
        self._embedder = embedder
        self._known: dict[str, Vectors] | None = None

    @property
    def table_name(self) -> str:
        """Says the embedder and its dimension: another embedder is another table, and the old one stays
        usable.
        """
        name = re.sub(r"[^a-z0-9]+", "-", self._embedder.name.lower()).strip("-")
        tag = text_hash(self._embedder.name)[:8]
        return f"vectors-{name[:60]}-{tag}-{self._embedder.dimension}"

    def missing(self, texts: Iterable[str]) -> list[str]:
        """The texts without a vector yet, each once."""
        known = self._load()
        return [text for text in dict.fromkeys(texts) if text_hash(text) not in known]

    def vectors(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:  # [N, D]
        """A vector for each text, in order; embeds and stores those that are missing, a batch at a time.

        A stop in between loses at most one batch. Raises what the embedder raises; DiskFull where they cannot
        be stored.
        """
        if self.missing(texts):
            with self._store.writing():
                self._known = None  # another process may have embedded them while we waited
                new = sorted(self.missing(texts), key=len)
                for start in range(0, len(new), BATCH):
                    if progress is not None:
                        progress(start, len(new), NOTE)
                    self._add(new[start : start + BATCH])
                if progress is not None and new:
                    progress(len(new), len(new), NOTE)
        known = self._load()
        if not texts:
            return np.zeros((0, self._embedder.dimension), np.float32)
        return np.stack([known[text_hash(text)] for text in texts])

    def _add(self, texts: Sequence[str]) -> None:
        import pyarrow as pa

        found = np.ascontiguousarray(self._embedder.embed(texts), dtype=np.float32)
        hashes = [text_hash(text) for text in texts]
        column = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), self._embedder.dimension)
        data = pa.table({"hash": hashes, "vector": column})
        with clear_disk_errors(self._store.uri):
            table = self._store.table(self.table_name)
            if table is None:
                self._store.drop(self.table_name)
                self._store.db.create_table(self.table_name, data)
            else:
                table.add(data)
        self._load().update(zip(hashes, found, strict=True))

    def _load(self) -> dict[str, Vectors]:
        if self._known is None:
            self._known = {}
            table = self._store.table(self.table_name)
            if table is not None:
                try:
                    data = table.to_arrow()
                    flat = data["vector"].combine_chunks().values.to_numpy(zero_copy_only=False)
                    matrix = flat.reshape(-1, self._embedder.dimension).astype(np.float32, copy=False)
                    self._known = dict(zip(data["hash"].to_pylist(), matrix, strict=True))
                except DAMAGE:
                    with self._store.writing():
                        self._store.drop(self.table_name)
        return self._known
