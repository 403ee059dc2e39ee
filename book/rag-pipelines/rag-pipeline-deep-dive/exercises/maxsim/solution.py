"""Khattab and Zaharia 2020 (SIGIR), "ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT" (arXiv:2004.12832), section 3.3.

The handbook's own is `handbook.rag.late_interaction.max_sims`, which a test compares. `reduceat` gives the
element itself where a run is empty, so passages without tokens are left out of it.
"""

import numpy as np


def max_sims(
    question: np.ndarray,  # [Q, D]
    tokens: np.ndarray,  # [T, D], passage after passage
    lengths: np.ndarray,  # [N], tokens of each passage
) -> np.ndarray:  # [N], float32
    lengths = np.asarray(lengths, dtype=np.int64)
    scores = np.zeros(len(lengths), np.float32)
    full = np.flatnonzero(lengths)
    if len(full):
        products = question.astype(np.float32) @ tokens.astype(np.float32).T  # [Q, T]
        starts = (np.cumsum(lengths) - lengths)[full]
        scores[full] = np.maximum.reduceat(products, starts, axis=1).sum(axis=0)
    return scores
