"""The simulator against the engine: its formula fitted to steps that were measured, then held against the
seconds of another stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from handbook.engine.pages import Pages
from handbook.engine.work import Limits
from handbook.lab import kit
from handbook.lab.serving.machine import LETTERS, Session, Step, subject
from handbook.lab.serving.simulator import Cost, Story, simulate
from handbook.lab.serving.streams import Job, Lengths, stream

LIMITS = Limits(tokens=64, running=8)
PAGES = 512
PROMPTS, ANSWERS = Lengths(16, 48, 192, 0.8), Lengths(8, 20, 96, 0.8)


def fitted(steps: Sequence[Step]) -> Cost:
    """Least squares for seconds = a + b tokens + c positions, none of them negative."""
    seconds = np.array([step.seconds for step in steps])
    sizes = np.array([[1.0, step.tokens, step.positions] for step in steps])
    kept = [0, 1, 2]
    while True:
        found = np.linalg.lstsq(sizes[:, kept], seconds, rcond=None)[0]
        if min(found) >= 0:
            break
        kept.pop(int(found.argmin()))
    whole = np.zeros(3)
    whole[kept] = found
    return Cost(*map(float, whole))


@dataclass(frozen=True)
class Judged:
    """learnt: steps that the cost was fitted to. told: the other stream as the simulator has it; seconds: of
    the same stream in the engine, and its tokens."""

    learnt: list[Step]
    cost: Cost
    told: Story
    seconds: float
    tokens: int

    @property
    def rates(self) -> tuple[float, float]:
        """Tokens given out per second: simulated, measured."""
        return self.told.rate, self.tokens / self.seconds


def streams(small: bool) -> tuple[list[Job], list[Job]]:
    """Of the same kind: one to learn from, one to judge by."""
    count = 24 if small else 16
    first, second = (stream(count, 0.0, seed, PROMPTS, ANSWERS, vocabulary=LETTERS) for seed in (21, 22))
    return first, second


@cache
def judged(small: bool) -> Judged:
    """Two engines take turns, step by step, so that a slow moment of the machine meets both."""
    learn, judge = streams(small)
    loaded = subject(small)
    with kit.quiet():
        Session(loaded, learn[:1], LIMITS, PAGES).run()
        sessions = [Session(loaded, jobs, LIMITS, PAGES) for jobs in (learn, judge)]
        while any(session.engine.busy for session in sessions):
            for session in sessions:
                if session.engine.busy:
                    session.step()
    first, second = sessions
    cost = fitted(first.steps)
    told = simulate(judge, LIMITS, Pages(PAGES, 16, share=False), cost)
    return Judged(first.steps, cost, told, second.now, sum(map(len, second.times)))


def simulator_error(small: bool = True) -> float:
    simulated, measured = judged(small).rates
    return abs(simulated / measured - 1)
