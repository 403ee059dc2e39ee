"""Stage 8, rerank by late interaction: each word of the question looks for its nearest in the passage.

One vector a passage has to stand for all that it says; here each token keeps its own. A passage's score is
the sum, over the question's tokens, of the highest cosine to any of its tokens (MaxSim). Khattab and Zaharia
2020 (SIGIR), "ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over BERT"
(arXiv:2004.12832), section 3.3. Our encoder was trained to make one vector of the mean of these and not for
MaxSim, and nothing is added to a question ([MASK], section 3.2), so this is the mechanism, not that model.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.rag.columns import body
from handbook.rag.nouns import Found

Vectors = NDArray[np.float32]

KEPT = 500  # passages whose token vectors are remembered; about 100 MB of 250 tokens in 384 dimensions


class Tokens(Protocol):
    """What makes token vectors (LocalEmbedder)."""

    def token_vectors(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]: ...


def max_sim(question: Vectors, passage: Vectors) -> float:
    """The definition: [Q, D] and [T, D] of unit vectors -> the sum over Q of the highest cosine."""
    total = 0.0
    for asked in question:
        total += max((float(asked @ token) for token in passage), default=0.0)
    return total


def max_sims(question: Vectors, passages: Sequence[Vectors]) -> NDArray[np.float64]:
    """`max_sim` of a question, [Q, D], to each of N passages, [T_i, D], by one product with all their tokens.
    One without tokens has 0."""
    scores = np.zeros(len(passages))
    full = [place for place, passage in enumerate(passages) if len(passage)]
    if full:
        cosines = np.concatenate([passages[place] for place in full]) @ question.T  # [sum of T, Q]
        starts = np.cumsum([0, *(len(passages[place]) for place in full[:-1])])
        scores[full] = np.maximum.reduceat(cosines, starts, axis=0).sum(axis=1, dtype=np.float64)
    return scores


class LateInteraction:
    """Orders hits by MaxSim. Reads each passage whole, which costs as much as embedding it, unless it was
    read before. Threads may share one.

    Args:
        embedder: gives token vectors.
        kept: passages that are remembered, in half precision; the longest unused goes first.
    """

    def __init__(self, embedder: Tokens, kept: int = KEPT) -> None:
        self._embedder = embedder
        self._kept = kept
        self._known: OrderedDict[str, NDArray[np.float16]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, question: str, found: Sequence[Found]) -> list[Found]:
        """The hits, best first; score and rerank are the MaxSim, by the question's tokens: -1 to 1."""
        asked = self.tokens(question)
        sims = max_sims(asked, [self._remembered(body(one.row)) for one in found]) / max(1, len(asked))
        scored = [replace(one, score=s, rerank=s) for one, s in zip(found, sims.tolist(), strict=True)]
        return sorted(scored, key=lambda one: -one.score)

    def tokens(self, text: str) -> Vectors:
        """Unit vectors of a text's own tokens, [T, D]; [CLS] and [SEP] are left out."""
        places, vectors = self._embedder.token_vectors(text)
        own = vectors[places[:, 1] > places[:, 0]]
        unit: Vectors = own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
        return unit

    def _remembered(self, text: str) -> Vectors:
        with self._lock:
            known = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
        if known is None:
            known = self.tokens(text).astype(np.float16)
            with self._lock:
                self._known[text] = known
                while len(self._known) > self._kept:
                    self._known.popitem(last=False)
        return known.astype(np.float32)
