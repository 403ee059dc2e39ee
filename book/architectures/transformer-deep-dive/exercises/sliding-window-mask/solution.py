"""The handbook has the same in `handbook.model.variants`: `sink_mask` and `held_positions`."""

import torch


def _check(window: int, sinks: int) -> None:
    if window < 1 or sinks < 0:
        raise ValueError(f"Expected window >= 1 and sinks >= 0, got {window} and {sinks}.")


def window_mask(
    T: int,
    S: int,
    window: int,  # positions that a query sees, its own included
    sinks: int = 0,  # first positions that stay in sight
    offset: int | None = None,  # position of the first query; None: S - T
) -> torch.Tensor:  # bool [T, S], True: may look
    """Causal, and near or kept. Raises ValueError where the sizes cannot be."""
    _check(window, sinks)
    offset = S - T if offset is None else offset
    if offset < 0 or offset + T > S:
        raise ValueError(f"Expected {T} queries among {S} keys, got offset {offset}.")
    queries = torch.arange(offset, offset + T)[:, None]  # [T, 1]
    keys = torch.arange(S)
    near, kept = keys > queries - window, keys < sinks
    return (keys <= queries) & (near | kept)


def held_positions(tokens: int, window: int, sinks: int = 0, chunk: int = 1) -> int:
    """The chunk's first query looks back window - 1, its last stands chunk - 1 further on."""
    _check(window, sinks)
    if not 1 <= chunk <= tokens:
        raise ValueError(f"Expected a chunk of 1 to {tokens} tokens, got {chunk}.")
    return min(tokens, window + chunk - 1 + sinks)
