# Fault: cells by the largest inner product.
# Rejected by: test_worked_rounds

import numpy as np


def squared(vectors, point):
    return -(vectors * point).sum(axis=1)


def assign(vectors, centres):
    table = np.empty((len(vectors), len(centres)), dtype=np.float32)
    for cell, centre in enumerate(centres):
        table[:, cell] = squared(vectors, centre)
    return table.argmin(axis=1), table.min(axis=1)


def kmeans(vectors, centres, rounds):
    centres = centres.copy()
    cells, far = assign(vectors, centres)
    for _ in range(rounds):
        spare = list(np.argsort(-far, kind="stable"))
        for cell in range(len(centres)):
            own = vectors[cells == cell]
            if len(own):
                centres[cell] = own.mean(axis=0)
            else:
                centres[cell] = vectors[spare.pop(0)]
        before = cells
        cells, far = assign(vectors, centres)
        if (cells == before).all():
            break
    return centres, cells


class IVF:
    def __init__(self, vectors, centres):
        self.vectors, self.centres = vectors, centres
        cells, _ = assign(vectors, centres)
        self.lists = [np.flatnonzero(cells == cell) for cell in range(len(centres))]

    def search(self, query, k, probes):
        if probes < 1:
            raise ValueError("probes")
        probed = np.argsort(squared(self.centres, query), kind="stable")[:probes]
        ids = np.sort(np.concatenate([self.lists[cell] for cell in probed]))
        order = np.argsort(squared(self.vectors[ids], query), kind="stable")[:k]
        return [int(id) for id in ids[order]], len(self.centres) + len(ids)
