"""Capacity by numbers: queues near their limit, the load a server can take, servers with one job each."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from handbook.engine.pages import Pages
from handbook.engine.work import Limits
from handbook.lab.serving.simulator import GPU, Cost, Served, Story, share_below, simulate
from handbook.lab.serving.streams import ANSWERS, PROMPTS, Job, Lengths, stream

LIMITS = Limits(tokens=512, running=64)
PAGES = 4096  # of 16 positions
WHOLE = Limits(tokens=2048, running=64, chunked=False)


def mean_wait(load: float, customers: int, seed: int) -> float:
    """Mean wait before service, in mean services, of a queue with one server, arrivals and services at
    random (M/M/1): Lindley's recursion (Lindley 1952)."""
    random, wait, total = Random(seed), 0.0, 0.0
    for _ in range(customers):
        total += wait
        wait = max(0.0, wait + random.expovariate(1.0) - random.expovariate(load))
    return total / customers


def mm1_wait_90_over_70(small: bool = True) -> list[float]:
    """Formula: (0.9 / 0.1) / (0.7 / 0.3) = 3.86."""
    customers = 200_000 if small else 1_000_000
    return [mean_wait(0.9, customers, seed) / mean_wait(0.7, customers, seed) for seed in range(3)]


def serve(jobs: Sequence[Job], limits: Limits = LIMITS, cost: Cost = GPU, pages: int = PAGES) -> Story:
    return simulate(jobs, limits, Pages(pages, 16, share=False), cost)


class Point(NamedTuple):
    """A server under a load. rate: requests per second; first, pace, gap: seconds that 99% don't pass, of the
    wait for the first token, of the mean time per token after it, and between any two; tokens: given out per
    second; good: share of requests within the service level."""

    rate: float
    first: float
    pace: float
    gap: float
    tokens: float
    good: float


class Level(NamedTuple):
    """A service level: seconds to the first token, and per token after it."""

    first: float
    pace: float

    def met(self, served: Served) -> bool:
        return served.first <= self.first and served.pace <= self.pace


LEVEL = Level(1.0, 0.05)


def under(rate: float, story: Story, level: Level = LEVEL) -> Point:
    paces = [s.pace for s in story.served if len(s.times) > 1]
    good = sum(level.met(s) for s in story.served) / len(story.served)
    first, pace, gap = (share_below(values, 0.99) for values in (story.firsts(), paces, story.gaps()))
    return Point(rate, first, pace, gap, story.rate, good)


class Traffic(NamedTuple):
    """Lengths of prompts and of answers."""

    prompts: Lengths = PROMPTS
    answers: Lengths = ANSWERS

    def jobs(self, count: int, rate: float, seed: int) -> list[Job]:
        return stream(count, rate, seed, self.prompts, self.answers)


USUAL = Traffic()


@cache
def saturation(
    limits: Limits = LIMITS, cost: Cost = GPU, traffic: Traffic = USUAL, jobs: int = 2000
) -> float:
    """Requests per second that a server takes when all are there at the start."""
    return jobs / serve(traffic.jobs(jobs, 0.0, seed=5), limits, cost).seconds


def load_curve(shares: Sequence[float], jobs: int, cost: Cost = GPU, limits: Limits = LIMITS) -> list[Point]:
    """The server at each share of its saturation, the same requests arriving faster and faster."""
    most = saturation(limits=limits, cost=cost)
    return [under(share * most, serve(stream(jobs, share * most, seed=6), limits, cost)) for share in shares]


def ttft_90_over_50(small: bool = True) -> float:
    """99th percentile of the time to the first token, at 90% over at 50% of saturation."""
    half, near = load_curve((0.5, 0.9), 2000)
    return near.first / half.first


def apart(jobs: Sequence[Job], cost: Cost = GPU) -> list[float]:
    """Gaps between tokens where another server reads the prompts: the decoder gets each text with its prompt
    in its cache, when the first token is there."""
    alone = Limits(tokens=2048, running=1, chunked=False)
    read = simulate([job._replace(output=1) for job in jobs], alone, Pages(PAGES, 16, share=False), cost)
    handed = sorted(
        (job._replace(arrival=s.times[0], prompt=job.prompt[-1:], output=max(1, job.output - 1)), s.times[0])
        for job, s in zip(jobs, read.served, strict=True)
    )
    story = serve([job for job, _ in handed], WHOLE, cost)
    return [
        gap
        for s, (_, first) in zip(story.served, handed, strict=True)
        for gap in (s.times[0] - first, *s.gaps)
    ]


def disaggregation_gap(small: bool = True) -> float:
    """99th percentile of the time between tokens, one server for prompts and one for answers over two that do
    both and don't chunk, at 60% of what one takes."""
    rate = 0.6 * saturation(limits=WHOLE)
    jobs = stream(1000, rate, seed=7)
    return share_below(apart(jobs), 0.99) / share_below(serve(jobs, WHOLE).gaps(), 0.99)


class Needed(NamedTuple):
    """Servers, and how one of them does."""

    servers: int
    each: Point


def replicas(
    rate: float, level: Level, goal: float, cost: Cost = GPU, traffic: Traffic = USUAL, jobs: int = 600
) -> Needed | None:
    """Servers needed for `rate` requests a second, each taking an equal share at random, so that `goal` of
    the requests meet the level. None where even a request alone does not."""

    def one(each: float) -> Point:
        return under(each, serve(traffic.jobs(jobs, each, seed=8), LIMITS, cost), level)

    if one(1e-3).good < goal:
        return None
    number = max(1, int(rate / (1.1 * saturation(cost=cost, traffic=traffic, jobs=1000))))
    while (found := one(rate / number)).good < goal:
        number = max(number + 1, round(1.02 * number))
    return Needed(number, found)
