"""One step of continuous batching."""

from dataclasses import dataclass


@dataclass
class Sequence:
    """What `step` is given; it need not build any."""

    id: int
    tokens: int  # that it has: prompt and drawn ones
    computed: int = 0  # of these, in the cache
    pages: int = 0  # that it holds


@dataclass
class State:
    waiting: list[Sequence]  # who is next in front
    running: list[Sequence]  # in order of arrival
    free: int  # pages
    size: int  # positions of a page
    budget: int  # tokens of a step
    spare: int = 0  # pages that admission leaves free while others run


def step(state: State) -> tuple[list[tuple[int, int]], list[int]]:  # (id, count) of the work, preempted ids
    raise NotImplementedError("decodes, then prompts that were begun, then admission")
