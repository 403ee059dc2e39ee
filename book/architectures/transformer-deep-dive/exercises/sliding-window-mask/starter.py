"""Mask of causal attention with a sliding window and sinks, and the cache that it needs."""

import torch


def window_mask(
    T: int,
    S: int,
    window: int,  # positions that a query sees, its own included
    sinks: int = 0,  # first positions that stay in sight
    offset: int | None = None,  # position of the first query; None: S - T
) -> torch.Tensor:  # bool [T, S], True: may look
    raise NotImplementedError("who may look where")


def held_positions(tokens: int, window: int, sinks: int = 0, chunk: int = 1) -> int:
    raise NotImplementedError("positions that the last `chunk` of `tokens` see between them")
