"""The handbook's own, with priorities, drafts, swapping and shared pages, is `handbook.engine.scheduler`.

Why it is this way: decodes go first because each is somebody who watches the next word come, and costs one
token. The latest arrival makes room because a fixed order cannot go round in circles: whoever is earliest
always gets on. Nobody is let in while others are pushed out, else the newcomer is the next victim.
"""

from dataclasses import dataclass


@dataclass
class Sequence:
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


def step(state: State) -> tuple[list[tuple[int, int]], list[int]]:
    """Work as (id, count), and the ids that were preempted."""
    left = state.budget
    work: list[tuple[int, int]] = []
    preempted: list[int] = []

    def give(sequence: Sequence) -> None:
        nonlocal left
        count = min(sequence.tokens - sequence.computed, left)
        if count:
            sequence.computed += count
            left -= count
            work.append((sequence.id, count))

    prompts = [s for s in state.running if s.tokens - s.computed > 1]  # before decodes are given theirs
    for sequence in [s for s in state.running if s.tokens - s.computed == 1]:
        if sequence.id in preempted:
            break  # by one before it; so is all that came later
        if sequence.computed == sequence.pages * state.size:
            if not state.free:
                preempted.append(preempt(state))
                if preempted[-1] == sequence.id:
                    break  # it was the last itself
            state.free -= 1
            sequence.pages += 1
        give(sequence)
    for sequence in prompts:
        if sequence.id not in preempted:
            give(sequence)
    while not preempted and left and state.waiting:
        sequence = state.waiting[0]
        need = -(-sequence.tokens // state.size)
        if need > state.free - (state.spare if state.running else 0):
            break  # who is behind waits too: a large request would wait for ever
        state.free -= need
        sequence.pages = need
        state.running.append(state.waiting.pop(0))
        give(sequence)
    return work, preempted


def preempt(state: State) -> int:
    """The latest arrival gives its pages back and waits in front. Returns its id."""
    victim = state.running.pop()
    state.free += victim.pages
    victim.pages = victim.computed = 0
    state.waiting.insert(0, victim)
    return victim.id
