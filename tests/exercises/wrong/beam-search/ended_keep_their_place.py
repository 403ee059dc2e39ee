# Fault: an ended sequence takes one of the places of the beam.
# Rejected by: test_worked_example

import heapq
from collections.abc import Callable

import numpy as np

Tokens = tuple[int, ...]


def beam_search(
    step: Callable[[Tokens], np.ndarray],  # -> [V], log probabilities
    end: int,
    width: int,
    limit: int,
    alpha: float = 0.0,
) -> list[tuple[Tokens, float]]:
    """The best finished sequences, best first. Raises ValueError for a width or a limit below 1."""
    if width < 1 or limit < 1:
        raise ValueError(f"Expected a width and a limit of 1 or more, got {width} and {limit}.")
    live: list[tuple[float, Tokens]] = [(0.0, ())]  # the sum with its sign turned: smaller is better
    finished: list[tuple[float, Tokens]] = []
    for _ in range(limit):
        going: list[tuple[float, Tokens]] = []
        for cost, tokens in live:
            logs = step(tokens)
            for token in np.flatnonzero(logs > -np.inf).tolist():
                ended = finished if token == end else going
                ended.append((cost - float(logs[token]), (*tokens, token)))
        live = heapq.nsmallest(width - sum(tokens[-1] == end for _, tokens in finished), going)
    scored = [(cost / len(tokens) ** alpha, tokens) for cost, tokens in finished + live]
    return [(tokens, -cost) for cost, tokens in heapq.nsmallest(width, scored)]
