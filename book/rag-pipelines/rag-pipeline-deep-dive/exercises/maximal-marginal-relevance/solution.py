"""Carbonell and Goldstein 1998 (SIGIR), "The Use of MMR, Diversity-Based Reranking for Reordering Documents
and Producing Summaries", section 2. The handbook's own is `handbook.rag.diversity.mmr`; a test compares.

The likeness to the nearest chosen item is kept, so a round is one product with the newest: limit * N * D
numbers in all, where each candidate against each chosen one, in every round, would be limit times as much.
"""

import numpy as np


def mmr(
    relevance: np.ndarray,  # [N]
    vectors: np.ndarray,  # [N, D], float32, of length 1
    limit: int,
    balance: float = 0.7,
) -> list[int]:  # places, the first chosen first
    """Raises ValueError for a balance outside 0 to 1 and for another number of vectors."""
    if not 0 <= balance <= 1:
        raise ValueError(f"expected a balance of 0 to 1, got {balance}")
    if len(relevance) != len(vectors):
        raise ValueError(f"expected {len(relevance)} vectors, one an item, got {len(vectors)}")
    gain = balance * np.asarray(relevance, np.float64)
    nearest = np.zeros(len(gain))
    chosen: list[int] = []
    while len(chosen) < min(limit, len(gain)):
        worth = gain - (1 - balance) * nearest
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        likeness = (vectors @ vectors[best]).astype(np.float64)
        nearest = np.maximum(nearest, likeness) if chosen else likeness  # from 0, one below 0 would be lost
        chosen.append(best)
    return chosen
