"""Streams of requests: when each comes, how long its prompt and its answer are. From seeds, without torch.

Lengths are log-normal between bounds, as those of real traffic are: most are short, a few are very long, and
the few hold much of the work (BurstGPT, Wang et al. 2024, arXiv:2401.17644, figures 6 and 7).
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple


class Job(NamedTuple):
    """arrival: seconds. prompt: token ids. output: tokens that it says before it ends."""

    arrival: float
    prompt: Sequence[int]
    output: int
    tenant: str = ""


class Lengths(NamedTuple):
    """Log-normal around `middle`, the median, with `spread` of the logarithm, cut at both ends."""

    low: int
    middle: int
    high: int
    spread: float

    def draw(self, random: Random) -> int:
        return min(self.high, max(self.low, round(random.lognormvariate(0.0, self.spread) * self.middle)))


PROMPTS = Lengths(32, 160, 1024, 0.9)
ANSWERS = Lengths(16, 48, 256, 0.8)
FRESH = 1 << 20  # ids from here on stand for tokens that no other prompt has


def stream(
    count: int,
    rate: float = 0.0,
    seed: int = 0,
    prompts: Lengths = PROMPTS,
    answers: Lengths = ANSWERS,
    shared: int = 0,
    vocabulary: int = 0,
) -> list[Job]:
    """`count` requests that come at random, `rate` a second on average; 0: all are there at the start.

    shared: tokens at each prompt's start that are the same in all, beside its own length. vocabulary: ids are
    random below it, for a model that reads them; 0: every prompt has ids of its own.
    """
    random, now, fresh = Random(seed), 0.0, FRESH
    ids = Random(seed + 1)
    begin = [ids.randrange(vocabulary) for _ in range(shared)] if vocabulary else list(range(shared))
    jobs = []
    for _ in range(count):
        now += random.expovariate(rate) if rate else 0.0
        size, output = prompts.draw(random), answers.draw(random)
        own = [ids.randrange(vocabulary) for _ in range(size)] if vocabulary else range(fresh, fresh + size)
        fresh += size
        jobs.append(Job(now, (*begin, *own), output))
    return jobs
