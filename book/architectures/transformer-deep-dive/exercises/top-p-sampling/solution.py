"""Top-p in NumPy: a token stays if the tokens before it don't reach p yet."""

import numpy as np


def top_p(
    logits: np.ndarray,  # [V]
    p: float,
) -> np.ndarray:  # [V], float64, sums to 1
    """Raises ValueError when p is not in (0, 1]. Holtzman et al. 2020 (arXiv:1904.09751), section 3.1."""
    if not 0.0 < p <= 1.0:
        raise ValueError(f"Expected 0 < p <= 1, got {p}.")
    wide = logits.astype(np.float64)
    probs = np.exp(wide - wide.max())
    probs /= probs.sum()
    order = np.argsort(-probs, kind="stable")  # stable: among equals the smaller index first
    sums = np.cumsum(probs[order])
    before = np.concatenate(([0.0], sums[:-1]))
    kept = order if p == 1.0 else order[before < p]  # a rounded sum may reach 1 before the last token
    nucleus = np.zeros_like(probs)
    nucleus[kept] = probs[kept] / probs[kept].sum()
    return nucleus
