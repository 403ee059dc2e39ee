# Fault: keeps a uniform random sample.
# Rejected by: test_many_orders_of_arrival

import math
import random
from bisect import bisect_right


class Quantiles:
    def __init__(self, eps):
        if not 0.0 < eps < 1.0:
            raise ValueError("eps")
        self.eps, self.count, self.kept = eps, 0, []
        self.low, self.high = math.inf, -math.inf
        self.room = math.ceil(4 / eps)
        self.rng = random.Random(1)

    def add(self, value):
        if value != value:
            raise ValueError("NaN")
        self.count += 1
        self.low, self.high = min(self.low, value), max(self.high, value)
        if len(self.kept) < self.room:
            self.kept.append(value)
        elif (place := self.rng.randrange(self.count)) < self.room:
            self.kept[place] = value

    def merge(self, other):
        if other.eps != self.eps:
            raise ValueError("eps")
        self.kept = (self.kept + other.kept)[-self.room :]
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
