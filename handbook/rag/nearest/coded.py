"""Small vectors in cells: what a large index is made of.

A cell's vectors are coded by what is left of them after the cell's centre is taken away, because that is
small and alike in all cells. Estimates from the codes choose which few full vectors are read. Jégou, Douze
and Schmid 2011, section IV, with product codes (IVFADC); Gao and Long 2024, section 4, with RaBitQ. LanceDB's
IVF_PQ and IVF_RQ are of this form.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from typing import Protocol

import numpy as np

from handbook.rag.nearest import product, rabitq
from handbook.rag.nearest.exact import Ids, Neighbours, Vectors, smallest, squared_distances
from handbook.rag.nearest.ivf import SAMPLE, grouped, learned
from handbook.rag.nearest.kmeans import assign

READ = 32  # full vectors read at a time where a bound decides how many
Runs = list[tuple[int, int]]  # places of codes: start and end of each probed cell


class Codec(Protocol):
    """A way to code what is left of vectors.

    turned: vectors as the codec wants them, no distance changed. store: keeps codes of vectors [N, D], each
    relative to its centre, [N, D]. estimate: squared distances from a query to the codes in `runs`, each run
    with its centre [P, D]; and for each a bound that the true distance is probably not below.
    """

    def turned(self, vectors: Vectors) -> Vectors: ...

    def store(self, vectors: Vectors, centres: Vectors) -> None: ...

    def estimate(self, query: Vectors, centres: Vectors, runs: Runs) -> tuple[Vectors, Vectors]: ...

    @property
    def bytes(self) -> int: ...


class Products:
    """Product quantization with `parts` bytes a vector. It knows no bound, and gives its estimate for one.

    With x the vector that a centre c and codes y stand for, |q - x|² = |q|² - 2 q·c - 2 q·y + |x|². The last
    is kept with the codes, and q·y comes from one table for all cells.
    """

    def __init__(self, parts: int, centres: int = product.CENTRES, seed: int = 0) -> None:
        self.parts, self.centres, self.seed = parts, centres, seed

    def turned(self, vectors: Vectors) -> Vectors:
        return vectors

    def store(self, vectors: Vectors, centres: Vectors) -> None:
        residuals = vectors - centres
        draw = np.random.default_rng(self.seed)
        size = min(len(residuals), SAMPLE * self.centres)
        sample = residuals[np.sort(draw.choice(len(residuals), size, replace=False))]
        self.books = product.learn(sample, self.parts, self.centres, rounds=10, seed=self.seed)
        self.codes = product.encode(residuals, self.books)
        self.norms: Vectors = np.square(centres + product.decode(self.codes, self.books)).sum(axis=1)

    def estimate(self, query: Vectors, centres: Vectors, runs: Runs) -> tuple[Vectors, Vectors]:
        table = product.products(query, self.books)
        found = [
            self.norms[start:end] - 2 * (product.look_up(table, self.codes[start:end]) + along)
            for (start, end), along in zip(runs, centres @ query, strict=True)
        ]
        estimates = np.concatenate(found) + query @ query
        return estimates, estimates

    @property
    def bytes(self) -> int:
        return self.codes.nbytes + self.norms.nbytes + self.books.nbytes


class Signs:
    """RaBitQ: a bit a dimension and two numbers a vector. Its bound makes tuning `refine` needless."""

    def __init__(self, dimension: int, epsilon: float = rabitq.EPSILON, seed: int = 0) -> None:
        self.epsilon = epsilon
        self.rotation = rabitq.rotation(dimension, seed)
        self._draw = np.random.default_rng(seed)

    def turned(self, vectors: Vectors) -> Vectors:
        return vectors @ self.rotation

    def store(self, vectors: Vectors, centres: Vectors) -> None:
        self.codes = rabitq.encode(vectors - centres)

    def estimate(self, query: Vectors, centres: Vectors, runs: Runs) -> tuple[Vectors, Vectors]:
        found, low = [], []
        for (start, end), centre in zip(runs, centres, strict=True):
            some = self.codes.some(start, end)
            asked = rabitq.rounded(query - centre, self._draw)
            cosines = rabitq.cosines(asked, some)
            wide = rabitq.margins(some, len(query), self.epsilon)
            found.append(rabitq.distances(cosines, some, asked.norm))
            low.append(rabitq.distances(cosines + wide, some, asked.norm))
        return np.concatenate(found), np.concatenate(low)

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in (*self.codes, self.rotation))


class Coded:
    """Cells of codes; full vectors aside, to be read for a few (in a large index they lie on disk).

    Args:
        vectors: [N, D].
        codec: how to code them; it is filled here.
        cells: the square root of N by default.
    """

    def __init__(self, vectors: Vectors, codec: Codec, cells: int | None = None, seed: int = 0) -> None:
        cells = round(len(vectors) ** 0.5) if cells is None else cells
        turned = codec.turned(vectors)
        self.codec = codec
        self.centres = learned(turned, cells, seed)
        which, _ = assign(turned, self.centres)
        self.ids, self.starts = grouped(which, cells)
        codec.store(turned[self.ids], self.centres[which[self.ids]])
        self.vectors = vectors

    def search(self, query: Vectors, k: int, probes: int = 1, refine: int | None = None) -> Neighbours:
        """The k nearest by true distance among the refine x k best estimates of the probed cells.

        Without `refine` the bound decides: vectors are read until the next one's bound is beyond the k-th
        distance found. That is for RaBitQ; where the bound is only an estimate, near ones are missed.
        Raises ValueError where probes or refine is below 1.
        """
        if probes < 1 or (refine is not None and refine < 1):
            raise ValueError(f"expected at least 1 probe and refine of 1, got {probes} and {refine}")
        turned = self.codec.turned(query[None])[0]
        cells = smallest(squared_distances(turned, self.centres), probes)
        runs = [(int(self.starts[cell]), int(self.starts[cell + 1])) for cell in cells]
        ids = np.concatenate([self.ids[start:end] for start, end in runs])
        estimates, bounds = self.codec.estimate(turned, self.centres[cells], runs)
        if refine is not None:
            read = ids[smallest(estimates, refine * k)]
        else:
            read = self._read_by_bound(query, ids, bounds, k)
        distances = squared_distances(query, self.vectors[read])
        best = smallest(distances, k)
        return Neighbours(read[best], distances[best], len(self.centres) + len(read))

    def _read_by_bound(self, query: Vectors, ids: Ids, bounds: Vectors, k: int) -> Ids:
        """Ids of what has to be read: those with the lowest bounds first, until none left can be nearer."""
        order = np.argsort(bounds, kind="stable")
        nearest = np.empty(0, np.float32)
        for start in range(0, len(order), READ):
            if len(nearest) == k and bounds[order[start]] > nearest[-1]:
                return ids[order[:start]]
            block = squared_distances(query, self.vectors[ids[order[start : start + READ]]])
            nearest = np.sort(np.concatenate([nearest, block]))[:k]
        return ids[order]

    @property
    def bytes(self) -> int:
        """Memory of centres, lists and codes: what has to be at hand; the full vectors are not."""
        return self.codec.bytes + sum(array.nbytes for array in (self.centres, self.ids, self.starts))
