# Fault: keeps the whole stream.
# Rejected by: test_error_of_ordered_streams

import math
from bisect import bisect_right


class Quantiles:
    def __init__(self, eps):
        if not 0.0 < eps < 1.0:
            raise ValueError("eps")
        self.eps, self.count, self.kept = eps, 0, []
        self.low, self.high = math.inf, -math.inf
        self.room = math.ceil(4 / eps)

    def add(self, value):
        if value != value:
            raise ValueError("NaN")
        self.count += 1
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.kept.append(value)

    def merge(self, other):
        if other.eps != self.eps:
            raise ValueError("eps")
        self.kept = self.kept + other.kept
        self.count += other.count
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def rank(self, value):
        if value < self.low or value >= self.high:
            return self.count if value >= self.high else 0
        return bisect_right(sorted(self.kept), value) * self.count / len(self.kept)

    def quantile(self, q):
        if not 0.0 <= q <= 1.0 or not self.count:
            raise ValueError("q")
        if q in (0.0, 1.0):
            return self.high if q else self.low
        return sorted(self.kept)[min(int(q * len(self.kept)), len(self.kept) - 1)]

    def held(self):
        return len(self.kept)
