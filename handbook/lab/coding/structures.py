"""What a data structure or a pattern is worth: the same result by the obvious way and by the better one.

Book: machine-learning/coding-for-ml-engineers
"""

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from handbook.lab.kit import paired, seconds
from handbook.practice.growth import collect, growth
from handbook.practice.verdicts import Growth


def top_ten(small: bool = True) -> list[float]:
    """Seconds of sorted(values)[-10:] over those of heapq.nlargest(10, values), 200,000 floats."""
    chance = random.Random(0)
    values = [chance.random() for _ in range(200_000)]
    assert heapq.nlargest(10, values) == sorted(values)[:-11:-1]
    return paired(lambda: sorted(values)[:-11:-1], lambda: heapq.nlargest(10, values), 5 if small else 15)


def partition(small: bool = True) -> list[float]:
    """Seconds of np.argsort over np.argpartition for the ten largest of 200,000."""
    values = np.random.default_rng(0).random(200_000)
    return paired(
        lambda: np.argsort(values)[-10:], lambda: np.argpartition(values, -10)[-10:], 5 if small else 15, 3
    )


def queue(small: bool = True) -> list[float]:
    """Seconds to empty a list of 100,000 from its front over a deque's."""

    def drain_list() -> None:
        waiting = list(range(100_000))
        while waiting:
            waiting.pop(0)

    def drain_deque() -> None:
        waiting = deque(range(100_000))
        while waiting:
            waiting.popleft()

    return paired(drain_list, drain_deque, 3 if small else 7, warm=False)


def membership(small: bool = True) -> list[float]:
    """Seconds to look 1,000 ids up in a list of 10,000 over a set's, the set's making included."""
    ids, asked = list(range(10_000)), list(range(0, 20_000, 20))
    return paired(
        lambda: [a in ids for a in asked],
        lambda: (lambda known: [a in known for a in asked])(set(ids)),
        3 if small else 9,
    )


def pairs_by_loops(scores: Sequence[int], target: int) -> tuple[int, int] | None:
    """Two places whose scores add up to target: every pair is tried."""
    for i in range(len(scores)):
        for j in range(i + 1, len(scores)):
            if scores[i] + scores[j] == target:
                return i, j
    return None


def pairs_by_pointers(scores: Sequence[int], target: int) -> tuple[int, int] | None:
    """The same over sorted scores: the outer ends move inwards."""
    low, high = 0, len(scores) - 1
    while low < high:
        total = scores[low] + scores[high]
        if total == target:
            return low, high
        if total < target:
            low += 1
        else:
            high -= 1
    return None


def measured(search: Callable[[Sequence[int], int], object], expected: str, budget: float) -> Growth:
    """Growth of a search that finds nothing, so that it looks at all there is."""

    def step(n: int) -> float:
        scores = list(range(0, 2 * n, 2))
        begin = time.process_time()
        search(scores, -1 if search is pairs_by_loops else 2 * n - 1)
        return time.process_time() - begin

    return growth(*collect(step, budget=budget), expected)


def _exponent(found: Growth) -> float:
    return float("nan") if found.exponent is None else found.exponent


def loops_exponent(small: bool = True) -> float:
    """The exponent that the judge's own measurement finds for two nested loops."""
    return _exponent(measured(pairs_by_loops, "n^2", 1.0 if small else 4.0))


def pointers_exponent(small: bool = True) -> float:
    """The same for two pointers."""
    return _exponent(measured(pairs_by_pointers, "n", 1.0 if small else 4.0))


def maxima_anew(values: Sequence[int], width: int) -> list[int]:
    return [max(values[i : i + width]) for i in range(len(values) - width + 1)]


def maxima_by_deque(values: Sequence[int], width: int) -> list[int]:
    """The largest of each window: places wait in falling order of their values."""
    waiting: deque[int] = deque()
    found = []
    for place, value in enumerate(values):
        while waiting and values[waiting[-1]] <= value:
            waiting.pop()
        waiting.append(place)
        if waiting[0] <= place - width:
            waiting.popleft()
        if place >= width - 1:
            found.append(values[waiting[0]])
    return found


def window_of(width: int, pairs: int) -> list[float]:
    chance = random.Random(1)
    values = [chance.randrange(1000) for _ in range(20_000)]
    assert maxima_anew(values, width) == maxima_by_deque(values, width)
    return paired(lambda: maxima_anew(values, width), lambda: maxima_by_deque(values, width), pairs)


def window_500(small: bool = True) -> list[float]:
    """Seconds of max() over each window of 500 over the deque's, 20,000 values."""
    return window_of(500, 3 if small else 9)


def window_5(small: bool = True) -> list[float]:
    """The same for windows of 5, where the deque's bookkeeping is the larger part."""
    return window_of(5, 3 if small else 9)


def distances_by_loops(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = ((a[i] - b[j]) ** 2).sum()
    return out


def distances_by_broadcast(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(((a[:, None] - b[None]) ** 2).sum(-1))


def distances_by_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)[None])


def vectorised(small: bool = True) -> list[float]:
    """Seconds of the double loop over those of the product form: 200 by 200 vectors of 64."""
    a, b = (np.random.default_rng(s).normal(size=(200, 64)) for s in (0, 1))
    assert np.allclose(distances_by_loops(a, b), distances_by_product(a, b))
    return paired(lambda: distances_by_loops(a, b), lambda: distances_by_product(a, b), 3 if small else 9, 5)


def broadcast_bytes(small: bool = True) -> float:
    """Peak bytes of the broadcast form over those of the product form: 500 by 500 vectors of 64."""
    import tracemalloc

    a, b = (np.random.default_rng(s).normal(size=(500, 64)) for s in (0, 1))
    peaks = []
    for way in (distances_by_broadcast, distances_by_product):
        tracemalloc.start()
        way(a, b)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks[0] / peaks[1]


def negative_distances(small: bool = True) -> list[float]:
    """Share of the distances of vectors to themselves that the product form makes negative in float32,
    64 dimensions, values around 10."""
    shares = []
    for seed in range(5):
        a = np.random.default_rng(seed).normal(10, 1, (500, 64)).astype(np.float32)
        shares.append(float((np.diag(distances_by_product(a, a)) < 0).mean()))
    return shares


def recursion_calls(small: bool = True) -> float:
    """Calls that edit distance by plain recursion makes for two words of 8 letters that share none."""
    calls = 0

    def distance(i: int, j: int) -> int:
        nonlocal calls
        calls += 1
        if not i or not j:
            return i or j
        return 1 + min(distance(i - 1, j), distance(i, j - 1), distance(i - 1, j - 1))

    assert distance(8, 8) == 8
    return calls


def table_cells(small: bool = True) -> float:
    """Cells of the table that holds the same answers."""
    return 9 * 9


def two_threads(small: bool = True) -> list[float]:
    """Seconds of counting in Python twice, one after the other, over the same in two threads at once."""
    from threading import Thread

    def count() -> None:
        total = 0
        for n in range(300_000 if small else 1_000_000):
            total += n

    def together() -> None:
        threads = [Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def alone() -> None:
        count()
        count()

    together()
    return [seconds(alone) / seconds(together) for _ in range(5)]
