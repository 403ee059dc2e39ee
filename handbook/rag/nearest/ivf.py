"""An inverted file: vectors in cells around k-means centres; a search looks into the few nearest cells.

Sivic and Zisserman 2003, "Video Google", brought the inverted file from words to vectors; Jégou, Douze and
Schmid 2011, "Product Quantization for Nearest Neighbor Search", section IV.A, is the form used since: probe
more than one cell, because a query near a border has neighbours behind it.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import numpy as np

from handbook.rag.nearest.exact import Ids, Neighbours, Vectors, smallest, squared_distances
from handbook.rag.nearest.kmeans import assign, kmeans

SAMPLE = 64  # vectors a cell that k-means learns from; more hardly moves the centres


def grouped(cells: Ids, count: int) -> tuple[Ids, Ids]:  # [N] -> [N], [count + 1]
    """The inverted lists: (order, starts), where order[starts[c]:starts[c + 1]] are the ids in cell c."""
    order = np.argsort(cells, kind="stable").astype(np.int64)
    sizes = np.bincount(cells, minlength=count)
    return order, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def learned(vectors: Vectors, cells: int, seed: int = 0) -> Vectors:  # [N, D] -> [cells, D]
    """Centres by k-means over a sample of the vectors."""
    draw = np.random.default_rng(seed)
    if len(vectors) > SAMPLE * cells:
        vectors = vectors[np.sort(draw.choice(len(vectors), SAMPLE * cells, replace=False))]
    return kmeans(vectors, cells, rounds=10, seed=seed).centres


class IVF:
    """Vectors laid down cell by cell.

    Args:
        vectors: [N, D].
        cells: how many; by default the square root of N, where looking at the centres costs about as much as
            looking into one cell.

    Raises ValueError where cells is not between 1 and N.
    """

    def __init__(self, vectors: Vectors, cells: int | None = None, seed: int = 0) -> None:
        cells = round(len(vectors) ** 0.5) if cells is None else cells
        self.centres = learned(vectors, cells, seed)
        self.ids, self.starts = grouped(assign(vectors, self.centres)[0], cells)
        self.vectors = vectors[self.ids]  # in the order of the cells, so that a cell is one slice

    def search(self, query: Vectors, k: int, probes: int = 1) -> Neighbours:
        """The k nearest among the vectors of the `probes` nearest cells. With all cells it is exact.

        Fewer than k come back where those cells hold fewer. Raises ValueError where probes is below 1.
        """
        if probes < 1:
            raise ValueError(f"expected at least 1 probe, got {probes}")
        probed = smallest(squared_distances(query, self.centres), probes)
        places = np.concatenate([np.arange(self.starts[cell], self.starts[cell + 1]) for cell in probed])
        distances = squared_distances(query, self.vectors[places])
        best = smallest(distances, k)
        return Neighbours(self.ids[places[best]], distances[best], len(self.centres) + len(places))

    @property
    def bytes(self) -> int:
        """Memory of the index, vectors included."""
        return sum(array.nbytes for array in (self.centres, self.ids, self.starts, self.vectors))
