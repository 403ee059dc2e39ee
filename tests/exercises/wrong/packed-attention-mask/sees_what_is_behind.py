# Fault: documents are kept apart, but a place sees the whole of its own.
# Rejected by: test_one_document_is_causal_attention

from collections.abc import Sequence

import numpy as np

IGNORE = -100


def _documents(bounds: Sequence[int], total: int) -> tuple[np.ndarray, np.ndarray]:
    """Places [N], and the document of each [N]: 0 to D - 1, and D for padding."""
    places = np.arange(total)
    return places, np.searchsorted(np.asarray(bounds)[1:], places, side="right")


def packed_mask(
    bounds: Sequence[int],  # D + 1
    total: int,  # N
) -> np.ndarray:  # [N, N], bool
    places, document = _documents(bounds, total)
    same = document[:, None] == document[None, :]
    real = places < bounds[-1]
    return (same & real[:, None]) | np.eye(total, dtype=bool)


def positions(
    bounds: Sequence[int],  # D + 1
    total: int,  # N
) -> np.ndarray:  # [N], int64
    places, document = _documents(bounds, total)
    return np.where(places < bounds[-1], places - np.asarray(bounds)[document], 0).astype(np.int64)


def targets(
    tokens: np.ndarray,  # [N], integers
    counted: np.ndarray,  # [N], bool
    bounds: Sequence[int],  # D + 1
) -> np.ndarray:  # [N], int64
    places, document = _documents(bounds, len(tokens))
    wanted = (document[:-1] == document[1:]) & counted[1:] & (places[1:] < bounds[-1])
    out = np.full(len(tokens), IGNORE, dtype=np.int64)
    out[:-1][wanted] = tokens[1:][wanted]
    return out
