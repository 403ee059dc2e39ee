"""Batching by numbers, in steps: what a static batch leaves idle, what refilling at every step saves."""

from handbook.engine.pages import Pages
from handbook.engine.work import Limits
from handbook.lab.serving.simulator import STEPS, Story, simulate, simulate_static, to_the_longest, waves
from handbook.lab.serving.streams import stream

SLOTS = 16
JOBS = stream(256, seed=1)
ROOM = Limits(tokens=4096, running=SLOTS)


def plenty(size: int = 16) -> Pages:
    """More pages than the slots can ever fill."""
    return Pages(SLOTS * 1280 // size + SLOTS, size, share=False)


def static_idle_share(small: bool = True) -> float:
    """Slot-steps after a sequence's own end, until the longest of its batch ends, over all."""
    taken = sum(job.output for wave in waves(JOBS, SLOTS) for job in to_the_longest(wave))
    return 1 - sum(job.output for job in JOBS) / taken


def both_ways() -> tuple[Story, Story]:
    """The same requests, all there at the start: in static batches, and continuously. The clock counts
    steps."""
    static = simulate_static(JOBS, SLOTS, ROOM, plenty(), STEPS)
    return static, simulate(JOBS, ROOM, plenty(), STEPS)


def continuous_over_static_steps(small: bool = True) -> float:
    static, continuous = both_ways()
    return static.counts.steps / continuous.counts.steps
