"""Streams through the real engine, timed: static batches beside continuous ones, a shared prefix read once
beside read every time, a long prompt in pieces beside whole.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from handbook.engine.work import Limits
from handbook.lab import kit
from handbook.lab.serving.machine import LETTERS, Session, in_turns, run, subject
from handbook.lab.serving.simulator import to_the_longest, waves
from handbook.lab.serving.streams import Job, Lengths, stream
from handbook.model.load import Loaded

SHORT, LONG_TAIL = Lengths(16, 24, 48, 0.5), Lengths(8, 20, 128, 0.9)
PREFIX = 512


def tailed(small: bool) -> list[Job]:
    """Short prompts, answers of a few tokens to 128."""
    count, seed = (16, 4) if small else (24, 6)
    return stream(count, seed=seed, prompts=SHORT, answers=LONG_TAIL, vocabulary=LETTERS)


def static(loaded: Loaded, jobs: Sequence[Job], slots: int) -> float:
    """Seconds of serving jobs in static batches."""
    limits = Limits(running=slots)
    return sum(run(loaded, to_the_longest(wave), limits=limits).now for wave in waves(jobs, slots))


def continuous_over_static(small: bool = True) -> list[float]:
    loaded, jobs, slots = subject(small), tailed(small), 4 if small else 8
    limits = Limits(running=slots)
    run(loaded, jobs[:1])
    return in_turns(
        lambda: static(loaded, jobs, slots), lambda: run(loaded, jobs, limits=limits).now, 3 if small else 2
    )


def prefixed(count: int) -> list[Job]:
    """Requests with the same first 512 tokens, 16 to 48 of their own, and 8 tokens of answer."""
    short = Lengths(8, 8, 8, 0.0)
    return stream(count, seed=4, prompts=SHORT, answers=short, shared=PREFIX, vocabulary=LETTERS)


def prefix_throughput(small: bool = True) -> list[float]:
    """All there at the start, four at a time."""
    loaded, jobs, limits = subject(small), prefixed(8), Limits(running=4)
    run(loaded, jobs[:1])
    return in_turns(
        lambda: run(loaded, jobs, limits=limits, share=False).now,
        lambda: run(loaded, jobs, limits=limits, share=True).now,
        3 if small else 2,
    )


def prefix_ttft(small: bool = True) -> list[float]:
    loaded, (first, second) = subject(small), prefixed(2)

    def cached() -> float:
        session = Session(loaded, [first], share=True).run()
        asked = session.now
        session.ask(second)
        return session.run().times[1][0] - asked

    def anew() -> float:
        return run(loaded, [second]).times[0][0]

    return in_turns(cached, anew, 5 if small else 3)


class Interrupted:
    """A text that is being said when a prompt of 1,000 tokens comes.

    gap: the longest time between two of its tokens while the prompt is read; first: the prompt's own time to
    its first token.
    """

    def __init__(self, loaded: Loaded, limits: Limits) -> None:
        text, prompt = (
            stream(1, seed=seed, prompts=Lengths(n, n, n, 0), answers=Lengths(m, m, m, 0), vocabulary=LETTERS)
            for seed, n, m in ((5, 32, 80), (6, 1000, 1))
        )
        session = Session(loaded, text, limits, pages=96)
        for _ in range(4):
            session.step()
        asked = session.now
        session.ask(prompt[0])
        while not session.times[1]:
            session.step()
        came = [t for t in session.times[0] if t >= asked]
        self.gap = max(b - a for a, b in pairwise(came))
        self.first = session.times[1][0] - asked


CHUNKED, WHOLE = Limits(tokens=128, running=8), Limits(tokens=2048, running=8, chunked=False)


@cache
def interrupted(small: bool) -> list[tuple[Interrupted, Interrupted]]:
    """In pieces of 127 tokens, and whole: in turns."""
    loaded, pairs = subject(small), 7 if small else 3
    with kit.quiet():
        return [(Interrupted(loaded, CHUNKED), Interrupted(loaded, WHOLE)) for _ in range(pairs)]


def chunked_gap(small: bool = True) -> list[float]:
    return [pieces.gap / whole.gap for pieces, whole in interrupted(small)]


def chunked_ttft_cost(small: bool = True) -> list[float]:
    return [pieces.first / whole.first for pieces, whole in interrupted(small)]
