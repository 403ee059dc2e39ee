# Fault: lets an item of weight w in with probability k w / W and replaces any kept item.
# Rejected by: test_successive_draws_by_weight

import math


class Reservoir:
    def __init__(self, k, rng):
        if k < 1:
            raise ValueError("k")
        self.k, self.rng, self.seen, self.mass, self.kept = k, rng, 0, 0.0, []

    def add(self, item, weight=1.0):
        if not 0.0 <= weight < math.inf:
            raise ValueError("weight")
        self.seen += 1
        if weight == 0:
            return
        self.mass += weight
        u = self.rng.random() * self.mass / weight / self.k  # uniform, so it also says whom to replace
        if len(self.kept) < self.k:
            self.kept.append((self.seen, item))
        elif u < 1:
            del self.kept[int(u * self.k)]
            self.kept.append((self.seen, item))

    def extend(self, items):
        for item in items:
            self.add(item)

    def merge(self, other):
        if other.k < self.k:
            raise ValueError("k")
        for number, item in other.kept:
            self.kept.append((self.seen + number, item))
        self.kept = self.kept[: self.k]
        self.seen += other.seen

    def sample(self):
        return [item for _, item in self.kept]
