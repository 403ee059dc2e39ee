"""Lloyd 1982, "Least Squares Quantization in PCM"; Jégou, Douze and Schmid 2011, "Product Quantization for
Nearest Neighbor Search", section IV.A, for the inverted file with several probes.

The handbook's own are `handbook.rag.nearest.kmeans.kmeans`, which also chooses where to start, and
`handbook.rag.nearest.ivf.IVF`; a test compares them.
"""

import numpy as np


def distances(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:  # [N, D], [K, D] -> [N, K]
    """By differences, a centre at a time: exact wherever the origin is, and never [N, K, D]."""
    return np.stack([np.square(vectors - centre).sum(axis=1) for centre in centres], axis=1)


def kmeans(
    vectors: np.ndarray,  # [N, D], float32
    centres: np.ndarray,  # [K, D], float32, where it starts
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:  # [K, D], float32, and [N], int64
    """Centres and cells that belong together."""
    apart = distances(vectors, centres)
    cells = apart.argmin(axis=1)
    for _ in range(rounds):
        farthest = iter(np.argsort(-apart.min(axis=1), kind="stable"))
        members = [vectors[cells == cell] for cell in range(len(centres))]
        moved = [own.mean(axis=0) if len(own) else vectors[next(farthest)] for own in members]
        centres, before = np.stack(moved), cells
        apart = distances(vectors, centres)
        cells = apart.argmin(axis=1)
        if np.array_equal(cells, before):
            break
    return centres, cells


class IVF:
    """The ids of each cell, and the centres to choose cells by."""

    def __init__(self, vectors: np.ndarray, centres: np.ndarray) -> None:
        cells = distances(vectors, centres).argmin(axis=1)
        self.vectors, self.centres = vectors, centres
        self.lists = [np.flatnonzero(cells == cell) for cell in range(len(centres))]

    def search(self, query: np.ndarray, k: int, probes: int) -> tuple[list[int], int]:  # ids, compared
        """Raises ValueError where there is nowhere to look."""
        if probes < 1:
            raise ValueError(f"expected at least 1 probe, got {probes}")
        probed = np.argsort(np.square(self.centres - query).sum(axis=1), kind="stable")[:probes]
        ids = np.sort(
            np.concatenate([self.lists[cell] for cell in probed])
        )  # in order, for equally near ones
        best = np.argsort(np.square(self.vectors[ids] - query).sum(axis=1), kind="stable")[:k]
        return ids[best].tolist(), len(self.centres) + len(ids)
