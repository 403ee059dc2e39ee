"""Documents in one row: who sees whom, where each token stands, what it is trained to say."""

from collections.abc import Sequence

import numpy as np


def packed_mask(
    bounds: Sequence[int],  # D + 1
    total: int,  # N
) -> np.ndarray:  # [N, N], bool
    raise NotImplementedError("its own document, and nothing behind it")


def positions(
    bounds: Sequence[int],  # D + 1
    total: int,  # N
) -> np.ndarray:  # [N], int64
    raise NotImplementedError("from 0 in every document")


def targets(
    tokens: np.ndarray,  # [N], integers
    counted: np.ndarray,  # [N], bool
    bounds: Sequence[int],  # D + 1
) -> np.ndarray:  # [N], int64
    raise NotImplementedError("the next token of the same document where it counts, else -100")
