"""Vectors of short texts that are needed again: sentences of passages that questions keep bringing up.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from handbook.embed import Embedder

KEPT = 8192  # vectors; of 384 numbers each, 12 MB
LONGEST = 2000  # characters that are embedded of a text; the encoder reads fewer


class Remembered:
    """An embedder that keeps what it embedded last. Threads may share one."""

    def __init__(self, embedder: "Embedder", kept: int = KEPT) -> None:
        self._embedder = embedder
        self._room = kept
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        self.embedded = 0  # texts that were not at hand

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N] texts -> [N, D] unit vectors; what is new is embedded in one go."""
        cut = [text[:LONGEST] for text in texts]
        with self._lock:
            found = {text: self._kept[text] for text in cut if text in self._kept}
        new = [text for text in dict.fromkeys(cut) if text not in found]
        if new:
            found |= dict(zip(new, self._embedder.embed(new), strict=True))
        with self._lock:
            self.embedded += len(new)
            for text in dict.fromkeys(cut):
                self._kept[text] = found[text]
                self._kept.move_to_end(text)
            while len(self._kept) > self._room:
                self._kept.popitem(last=False)
        if not cut:
            return np.empty((0, self._embedder.dimension), np.float32)
        return np.stack([found[text] for text in cut])
