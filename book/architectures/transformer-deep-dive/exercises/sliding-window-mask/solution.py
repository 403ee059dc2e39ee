"""The solution is the handbook's own mask, with checks; a chunk widens the window by its length."""

import torch

from handbook.model import variants


def _check(window: int, sinks: int) -> None:
    if window < 1 or sinks < 0:
        raise ValueError(f"Expected a window of 1 or more and sinks of 0 or more, got {window} and {sinks}.")


def window_mask(
    T: int,
    S: int,
    window: int,  # positions that a query sees, its own included
    sinks: int = 0,  # first positions that stay in sight
    offset: int | None = None,  # position of the first query; None: S - T
) -> torch.Tensor:  # bool [T, S], True: may look
    """Raises ValueError for a window or sinks that cannot be, and for queries outside of the keys."""
    _check(window, sinks)
    offset = S - T if offset is None else offset
    if offset < 0 or offset + T > S:
        raise ValueError(f"Expected {T} queries among {S} keys, got them at {offset} to {offset + T - 1}.")
    return variants.sink_mask(T, S, offset, window=window, sinks=sinks)


def held_positions(tokens: int, window: int, sinks: int = 0, chunk: int = 1) -> int:
    """The first of the chunk looks back window - 1, the last stands chunk - 1 further on."""
    _check(window, sinks)
    if not 1 <= chunk <= tokens:
        raise ValueError(f"Expected a chunk of 1 to {tokens} tokens, got {chunk}.")
    return variants.held_positions(tokens, window + chunk - 1, sinks)
