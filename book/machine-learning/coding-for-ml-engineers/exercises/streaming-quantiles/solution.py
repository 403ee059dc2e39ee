"""Quantiles of a stream with a guaranteed rank error: buffers of doubling weight (Manku et al. 1998)."""

import math
from bisect import bisect_right


class Quantiles:
    """levels[h] holds values that stand for 2**h each.

    Halving a sorted buffer of level h (the upper of each two, which then counts twice) makes ranks too small
    by at most 2**h. It takes room values of weight 2**h, and there are more than h levels by then, so room is
    at least 4 (h + 2) / eps: level h costs at most eps * count / (4 (h + 2)) in all, and all levels together
    less than eps * count as long as there are fewer than 80.
    """

    def __init__(self, eps: float) -> None:
        """Raises ValueError unless 0 < eps < 1."""
        if not 0.0 < eps < 1.0:
            raise ValueError(f"Expected eps between 0 and 1, got {eps}.")
        self.eps, self.count, self.low = eps, 0, math.inf
        self.levels: list[list[float]] = [[]]

    def _compact(self) -> None:
        for height, buffer in enumerate(self.levels):
            if len(buffer) < 4 * math.ceil((len(self.levels) + 1) / self.eps):
                continue
            if height + 1 == len(self.levels):
                self.levels.append([])
            buffer.sort()
            self.levels[height] = [buffer.pop()] if len(buffer) % 2 else []
            self.levels[height + 1].extend(buffer[1::2])

    def add(self, value: float) -> None:
        """Amortised O(log(levels / eps) + levels). Raises ValueError for NaN."""
        if value != value:
            raise ValueError("Expected a number, got NaN.")
        self.levels[0].append(value)
        self.count, self.low = self.count + 1, min(self.low, value)
        self._compact()

    def merge(self, other: "Quantiles") -> None:
        """O(held). Raises ValueError for another eps."""
        if other.eps != self.eps:
            raise ValueError(f"Expected a sketch with eps = {self.eps}, got {other.eps}.")
        theirs = [list(buffer) for buffer in other.levels]
        self.levels.extend([] for _ in theirs[len(self.levels) :])
        for height, more in enumerate(theirs):
            self.levels[height].extend(more)
        self.count, self.low = self.count + other.count, min(self.low, other.low)
        self._compact()

    def rank(self, value: float) -> float:
        """O(held log held). Never too large."""
        return sum(bisect_right(sorted(buffer), value) << height for height, buffer in enumerate(self.levels))

    def quantile(self, q: float) -> float:
        """O(held log held). Raises ValueError for q outside of 0 to 1, and when nothing was added."""
        if not 0.0 <= q <= 1.0 or not self.count:
            raise ValueError(f"Expected q in 0 to 1 and some values, got {q} of {self.count}.")
        held = sorted((value, height) for height, buffer in enumerate(self.levels) for value in buffer)
        running, at = 0, -1
        while running < q * self.count:
            at += 1
            running += 1 << held[at][1]
        return held[at][0] if q > 0 else self.low

    def held(self) -> int:
        return sum(map(len, self.levels))
