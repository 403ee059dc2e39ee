"""A walk through a graph of neighbours towards a query."""

from collections.abc import Iterable

import numpy as np


def search_layer(
    query: np.ndarray,  # [D], float32
    entries: Iterable[int],
    width: int,
    links: dict[int, list[int]],
    vectors: np.ndarray,  # [N, D], float32
) -> tuple[list[tuple[float, int]], int]:  # (distance, id), nearest first; vectors compared
    raise NotImplementedError("from the nearest candidate to its neighbours, until it is too far")
