"""Malkov and Yashunin 2018, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical
Navigable Small World Graphs", algorithm 2.

The handbook's own is `handbook.rag.nearest.hnsw.search_layer`, which compares all new neighbours in one call;
a test holds the two together. A candidate as far as the worst result is opened: with a width of 1 it is that
result.
"""

import heapq
from collections.abc import Iterable

import numpy as np


def search_layer(
    query: np.ndarray,  # [D], float32
    entries: Iterable[int],
    width: int,
    links: dict[int, list[int]],
    vectors: np.ndarray,  # [N, D], float32
) -> tuple[list[tuple[float, int]], int]:  # (distance, id), nearest first; vectors compared
    seen: set[int] = set()
    candidates: list[tuple[float, int]] = []  # a heap, nearest on top
    results: list[tuple[float, int]] = []  # a heap of (-distance, id), farthest on top

    def meet(id: int) -> None:
        if id in seen:
            return
        seen.add(id)
        distance = float(np.square(vectors[id] - query).sum())
        if len(results) < width or distance < -results[0][0]:
            heapq.heappush(candidates, (distance, id))
            heapq.heappush(results, (-distance, id))
            if len(results) > width:
                heapq.heappop(results)

    for id in entries:
        meet(id)
    while candidates:
        distance, id = heapq.heappop(candidates)
        if len(results) == width and distance > -results[0][0]:
            break  # what it leads to would hardly be nearer
        for other in links[id]:
            meet(other)
    return sorted((-negative, id) for negative, id in results), len(seen)
