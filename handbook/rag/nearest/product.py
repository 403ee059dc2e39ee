"""Product quantization: a vector as a few bytes.

Cut each vector into M parts and give each part the number of the nearest of K centres learned for it: K to
the power of M different vectors can be written, from M books of K centres. Jégou, Douze and Schmid 2011,
"Product Quantization for Nearest Neighbor Search", sections II.B (the code) and III.A (distances).

A query stays as it is and only the vectors are coded ("asymmetric"): its distance to a coded vector is a sum
of M numbers looked up in a table of M x K that is made once a query.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbook.rag.nearest.exact import Neighbours, Vectors, smallest, squared_distances
from handbook.rag.nearest.kmeans import assign, kmeans

Codes = NDArray[np.uint8]
CENTRES = 256  # what a byte can name


def parts(vectors: Vectors, count: int) -> Vectors:  # [N, D] -> [M, N, D / M]
    """The vectors cut into `count` equal parts. Raises ValueError where D is not a multiple of it."""
    length, dimension = vectors.shape
    if count < 1 or dimension % count:
        raise ValueError(f"expected a number of parts that divides {dimension} dimensions, got {count}")
    return vectors.reshape(length, count, dimension // count).transpose(1, 0, 2)


def learn(
    vectors: Vectors, count: int, centres: int = CENTRES, rounds: int = 15, seed: int = 0
) -> Vectors:  # [N, D] -> [M, K, D / M]
    """The books: for each part, k-means over that part of the vectors.

    Raises ValueError where there are fewer vectors than centres, or more centres than a byte can name.
    """
    if centres > CENTRES:
        raise ValueError(f"expected at most {CENTRES} centres, what a byte can name, got {centres}")
    cut = (np.ascontiguousarray(part) for part in parts(vectors, count))
    return np.stack([kmeans(part, centres, rounds, seed + place).centres for place, part in enumerate(cut)])


def encode(vectors: Vectors, books: Vectors) -> Codes:  # [N, D], [M, K, D / M] -> [N, M]
    """For each part the number of its nearest centre."""
    cut = parts(vectors, len(books))
    codes = [assign(np.ascontiguousarray(part), book)[0] for part, book in zip(cut, books, strict=True)]
    return np.stack(codes, axis=1).astype(np.uint8)


def decode(codes: Codes, books: Vectors) -> Vectors:  # [N, M] -> [N, D]
    """The vectors that the codes stand for: the named centres side by side."""
    count = len(books)
    return books[np.arange(count), codes].reshape(len(codes), count * books.shape[2])


def table(query: Vectors, books: Vectors) -> Vectors:  # [D] -> [M, K]
    """Squared distance from each part of the query to each centre of that part's book."""
    cut = query.reshape(len(books), 1, -1)
    found: Vectors = np.square(books - cut).sum(axis=2)
    return found


def products(query: Vectors, books: Vectors) -> Vectors:  # [D] -> [M, K]
    """Inner product of each part of the query with each centre of that part's book: `look_up` turns it into
    inner products with coded vectors as it turns `table` into distances."""
    cut = query.reshape(len(books), -1, 1)
    found: Vectors = (books @ cut)[:, :, 0]
    return found


def distances_plain(query: Vectors, codes: Codes, books: Vectors) -> Vectors:  # [D], [N, M] -> [N]
    """Squared distance from the query to each coded vector, by decoding it."""
    return squared_distances(query, decode(codes, books))


def look_up(table: Vectors, codes: Codes) -> Vectors:  # [M, K], [N, M] -> [N]
    """The same from the query's table: M look-ups and additions a vector, whatever its dimension was."""
    count, centres = table.shape
    found: Vectors = table.ravel().take(codes + centres * np.arange(count)).sum(axis=1)
    return found


class PQ(NamedTuple):
    """Vectors as codes with the books to read them."""

    books: Vectors  # [M, K, D / M]
    codes: Codes  # [N, M]

    @classmethod
    def of(cls, vectors: Vectors, count: int, centres: int = CENTRES, seed: int = 0) -> "PQ":
        books = learn(vectors, count, centres, seed=seed)
        return cls(books, encode(vectors, books))

    def search(self, query: Vectors, k: int, vectors: Vectors | None = None, refine: int = 1) -> Neighbours:
        """The k nearest by estimated distance; or with `vectors`, the k nearest by true distance among the
        `refine` x k nearest by estimate."""
        estimates = look_up(table(query, self.books), self.codes)
        if vectors is None:
            ids = smallest(estimates, k)
            return Neighbours(ids, estimates[ids], 0)
        likely = smallest(estimates, refine * k)
        exact = squared_distances(query, vectors[likely])
        best = smallest(exact, k)
        return Neighbours(likely[best], exact[best], len(likely))

    @property
    def bytes(self) -> int:
        """Memory of codes and books."""
        return self.codes.nbytes + self.books.nbytes
