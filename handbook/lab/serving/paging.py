"""Paging by numbers: memory that is held and not used, by size of page and by reservation."""

from functools import cache

from handbook.engine.pages import Pages
from handbook.engine.work import Limits
from handbook.lab.serving.simulator import STEPS, Story, simulate
from handbook.lab.serving.streams import ANSWERS, PROMPTS, stream

LONGEST = PROMPTS.high + ANSWERS.high
JOBS = stream(600, seed=2)
MEMORY = 32 * LONGEST  # positions: room for 32 reservations
LIMITS = Limits(tokens=2048, running=512)


@cache
def paged(size: int) -> Story:
    """The stream, all there at the start, in a memory of pages of `size` positions."""
    return simulate(JOBS, LIMITS, Pages(MEMORY // size, size, share=False), STEPS)


def waste(size: int) -> float:
    """Positions held and empty over positions held, summed over all steps."""
    moments = paged(size).moments
    held = sum(m.held for m in moments) * size
    return 1 - sum(m.used for m in moments) / held


@cache
def reserved() -> Story:
    """The same stream and memory, where each sequence takes room for the longest at its start: one page as
    long as that."""
    return simulate(JOBS, LIMITS, Pages(MEMORY // LONGEST, LONGEST, share=False), STEPS)


def page_waste(small: bool = True) -> float:
    return waste(16)


def page_size_128_waste(small: bool = True) -> float:
    return waste(128)


def reservation_waste(small: bool = True) -> float:
    moments = reserved().moments
    return 1 - sum(m.used for m in moments) / (sum(m.held for m in moments) * LONGEST)


def paged_over_reserved_running(small: bool = True) -> float:
    """Sequences that run at once while others wait, on average, paged over reserved."""

    def running(story: Story) -> float:
        busy = [m.running for m in story.moments if m.waiting]
        return sum(busy) / len(busy)

    return running(paged(16)) / running(reserved())
