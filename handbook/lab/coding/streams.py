"""Samples and sketches of a stream: what the near-misses of reservoir sampling do.

Book: machine-learning/coding-for-ml-engineers
"""

import random
from collections.abc import Callable

Sampler = Callable[[int, int, random.Random], list[int]]


def reservoir(count: int, size: int, chance: random.Random) -> list[int]:
    """Algorithm R (Vitter 1985): the n-th item is kept with chance size / n."""
    kept: list[int] = []
    for item in range(count):
        if item < size:
            kept.append(item)
        elif (place := chance.randrange(item + 1)) < size:
            kept[place] = item
    return kept


def off_by_one(count: int, size: int, chance: random.Random) -> list[int]:
    """The same with randrange(item): each later item is a little too likely."""
    kept: list[int] = []
    for item in range(count):
        if item < size:
            kept.append(item)
        elif (place := chance.randrange(item)) < size:
            kept[place] = item
    return kept


def coin(count: int, size: int, chance: random.Random) -> list[int]:
    """A coin decides whether an item replaces a kept one: the end of the stream wins."""
    kept = list(range(size))
    for item in range(size, count):
        if chance.random() < 0.5:
            kept[chance.randrange(size)] = item
    return kept


def first_tenth(sampler: Sampler, runs: int, seed: int = 0) -> float:
    """Share of the sample that comes from the first tenth of 100 items: a tenth, if all are as likely."""
    chance = random.Random(seed)
    taken = [item for _ in range(runs) for item in sampler(100, 10, chance)]
    return sum(item < 10 for item in taken) / len(taken)


def reservoir_share(small: bool = True) -> list[float]:
    return [first_tenth(reservoir, 500 if small else 4000, seed) for seed in range(5)]


def coin_share(small: bool = True) -> list[float]:
    return [first_tenth(coin, 500 if small else 4000, seed) for seed in range(5)]
