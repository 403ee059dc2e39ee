"""Where arrays beat clever structures, and where they don't.

Book: machine-learning/coding-for-ml-engineers
"""

import heapq
import random
import tracemalloc
from collections import Counter

import numpy as np

from handbook.lab.coding.structures import maxima_by_deque
from handbook.lab.kit import paired


def counting(small: bool = True) -> list[float]:
    """Seconds of Counter over a list of a million token ids over those of np.bincount over the array."""
    ids = np.random.default_rng(0).zipf(1.3, 1_000_000) % 50_000
    as_list = ids.tolist()
    counts, counter = np.bincount(ids, minlength=50_000), Counter(as_list)
    assert all(counts[token] == number for token, number in counter.items())
    return paired(lambda: Counter(as_list), lambda: np.bincount(ids, minlength=50_000), 3 if small else 9, 3)


def top_tenth(small: bool = True) -> list[float]:
    """Seconds of heapq.nlargest over sorting all, for 20,000 of 200,000 floats."""
    chance = random.Random(0)
    values = [chance.random() for _ in range(200_000)]
    return paired(
        lambda: heapq.nlargest(20_000, values), lambda: sorted(values)[:-20_001:-1], 3 if small else 9
    )


def maxima_by_views(values: np.ndarray, width: int) -> np.ndarray:
    """The largest of each window over strided views: every window is read whole. [N] -> [N - width + 1]"""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, width).max(axis=1))


def _views(width: int) -> tuple[list[int], np.ndarray]:
    values = np.random.default_rng(0).integers(0, 1000, 100_000)
    assert maxima_by_views(values, width).tolist() == maxima_by_deque(values.tolist(), width)
    return values.tolist(), values


def views_for_8(small: bool = True) -> list[float]:
    """Seconds of the monotonic deque over those of the views, 100,000 values, windows of 8."""
    as_list, values = _views(8)
    return paired(
        lambda: maxima_by_deque(as_list, 8), lambda: maxima_by_views(values, 8), 3 if small else 9, 3
    )


def views_for_1000(small: bool = True) -> list[float]:
    """The same for windows of 1,000."""
    as_list, values = _views(1000)
    return paired(
        lambda: maxima_by_deque(as_list, 1000), lambda: maxima_by_views(values, 1000), 3 if small else 9
    )


def deque_for_10000(small: bool = True) -> list[float]:
    """The other way round for windows of 10,000."""
    as_list, values = _views(10_000)
    return paired(
        lambda: maxima_by_views(values, 10_000), lambda: maxima_by_deque(as_list, 10_000), 3 if small else 9
    )


def broadcast_over_loop(small: bool = True) -> list[float]:
    """Seconds of one broadcast [200, 5000, 64] over a loop of 200 rows [5000, 64], float32."""
    queries, rows = (
        np.random.default_rng(s).normal(size=(n, 64)).astype(np.float32) for s, n in ((0, 200), (1, 5000))
    )

    def at_once() -> np.ndarray:
        return np.asarray(((queries[:, None] - rows[None]) ** 2).sum(-1))

    def one_by_one() -> np.ndarray:
        return np.stack([((query - rows) ** 2).sum(-1) for query in queries])

    assert np.allclose(at_once(), one_by_one(), rtol=1e-4)
    return paired(at_once, one_by_one, 3 if small else 9)


def dict_bytes(small: bool = True) -> float:
    """Bytes for each entry of a dict from int to int, its integers counted (a million; small: 100,000)."""
    count = 100_000 if small else 1_000_000
    tracemalloc.start()
    table = {key: key + count for key in range(1000, count + 1000)}
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(table)


def lost_rows(small: bool = True) -> list[float]:
    """Share of 1,024 gradient rows that `table[places] += rows` loses because their token comes again later:
    tokens by Zipf's law over a vocabulary of 32,000. One value a draw."""
    weights = 1 / np.arange(1, 32_001)
    found = []
    for seed in range(5 if small else 20):
        places = np.random.default_rng(seed).choice(32_000, 1024, p=weights / weights.sum())
        table = np.zeros(32_000)
        table[places] += 1.0
        found.append(1 - float(table.sum()) / len(places))
    return found


def batched_product(small: bool = True) -> list[float]:
    """Seconds of 32 products of a [1024, 1024] matrix with one vector each over one with all 32, float32."""
    chance = np.random.default_rng(0)
    matrix, rows = (chance.normal(size=(n, 1024)).astype(np.float32) for n in (1024, 32))

    def one_by_one() -> list[np.ndarray]:
        return [matrix @ row for row in rows]

    def together() -> np.ndarray:
        return np.asarray(matrix @ rows.T)

    assert np.allclose(np.stack(one_by_one(), 1), together(), atol=1e-2)
    return paired(one_by_one, together, 5 if small else 15, 3)
