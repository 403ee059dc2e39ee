"""Stage 3, embed: smaller forms of the vectors, and what looks through them.

    fewer dimensions   the first ones alone (`handbook.embed.truncated`): Kusupati et al. 2022, "Matryoshka
                       Representation Learning" (arXiv:2205.13147), section 3. A model that was not trained
                       for it loses more.
    Int8               a byte a dimension, on a scale that each vector has for itself
    Binary             a bit a dimension, its sign. Hamming distance picks candidates, and the question's own
                       numbers against their signs order these: Yamada, Asai and Hajishirzi 2021, "Efficient
                       Passage Retrieval with Hashing" (arXiv:2106.00882), section 3.

None of them learns anything from the vectors, so one that comes later is encoded like the first. LanceDB's
IVF_RQ, which the index uses, rotates before it takes signs and refines with whole vectors
(handbook/rag/nearest/rabitq.py); these are for a store that has to be small, and to see what a bit is worth.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ids = NDArray[np.intp]

BLOCK = 1 << 16  # vectors that are unpacked at a time
RESCORED = 4  # candidates for each one that is wanted


class Form(Protocol):
    """Vectors in a smaller form."""

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        ...

    def __len__(self) -> int: ...

    def scores(self, query: Vectors, places: Ids | None = None) -> Vectors:
        """[D], of length 1 -> how near each is, or each of some, [N]; more is nearer."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """The vectors as they are, [N, D]."""

    vectors: Vectors

    @property
    def nbytes(self) -> int:
        return self.vectors.nbytes

    def __len__(self) -> int:
        return len(self.vectors)

    def scores(self, query: Vectors, places: Ids | None = None) -> Vectors:
        """Cosines."""
        found: Vectors = (self.vectors if places is None else self.vectors[places]) @ query
        return found


@dataclass(frozen=True, slots=True)
class Int8:
    """codes: int8 [N, D]. scales: float32 [N]; a vector is its codes times its scale."""

    codes: NDArray[np.int8]
    scales: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> "Int8":
        """[N, D] -> the nearest codes, -127 to 127. An entry is off by half a scale at most."""
        scales = np.abs(vectors).max(axis=1, initial=0.0) / 127
        divisors = np.where(scales > 0, scales, 1)[:, None]
        return cls(np.rint(vectors / divisors).astype(np.int8), scales.astype(np.float32))

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes

    def __len__(self) -> int:
        return len(self.codes)

    def vectors(self) -> Vectors:  # [N, D]
        return self.codes * self.scales[:, None]

    def scores(self, query: Vectors, places: Ids | None = None) -> Vectors:
        """Cosines, nearly: the query stays whole."""
        codes, scales = (
            (self.codes, self.scales) if places is None else (self.codes[places], self.scales[places])
        )
        products: Vectors = _by_block(codes, lambda some: some.astype(np.float32) @ query)
        return products * scales


@dataclass(frozen=True, slots=True)
class Binary:
    """bits: uint8 [N, D / 8], rounded up, a 1 where an entry is above 0. dimension: D."""

    bits: NDArray[np.uint8]
    dimension: int

    @classmethod
    def of(cls, vectors: Vectors) -> "Binary":
        return cls(np.packbits(vectors > 0, axis=1), vectors.shape[1])

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes

    def __len__(self) -> int:
        return len(self.bits)

    def distances(self, query: Vectors) -> NDArray[np.int64]:
        """[D] -> in how many signs each differs from the query, [N]."""
        asked = np.packbits(query > 0)
        return _by_block(self.bits, lambda some: np.bitwise_count(some ^ asked).sum(axis=1, dtype=np.int64))

    def scores(self, query: Vectors, places: Ids | None = None) -> Vectors:
        """Cosine of the query's own numbers to the signs: finer than the distance of signs to signs."""
        bits = self.bits if places is None else self.bits[places]

        def products(some: NDArray[np.uint8]) -> Vectors:
            signs = np.unpackbits(some, axis=1, count=self.dimension).astype(np.float32) * 2 - 1
            found: Vectors = signs @ query
            return found

        found: Vectors = _by_block(bits, products)
        return found / np.float32(max(1, self.dimension) ** 0.5)


def nearest(query: Vectors, form: Form, k: int) -> Ids:
    """Places of the k nearest, the nearest first."""
    return _highest(form.scores(query), k)


def rescored(query: Vectors, signs: Binary, k: int, form: Form | None = None, rescore: int = RESCORED) -> Ids:
    """Places of the k nearest: `rescore` * k candidates by Hamming distance, ordered by a finer form.

    form: of the same vectors, where the candidates are looked up; the signs themselves without one. Only the
    signs are read as a whole, so a form may lie where reading is slow.
    """
    places = _highest(-signs.distances(query), k * rescore)
    return places[_highest((form or signs).scores(query, places), k)]


def _highest(scores: NDArray[Any], k: int) -> Ids:
    """Places of the k highest, highest first, ties by place."""
    order: Ids = np.argsort(-scores, kind="stable")
    return order[:k]


def _by_block(rows: NDArray[Any], compute: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """[N, ...] -> [N]: a block at a time, so that what is unpacked stays small."""
    return np.concatenate(
        [compute(rows[start : start + BLOCK]) for start in range(0, max(1, len(rows)), BLOCK)]
    )
