"""The solution is the handbook's own filter, in float64, with a softmax over what it leaves."""

import numpy as np
import torch

from handbook.engine.sampler import top_p_filter


def top_p(
    logits: np.ndarray,  # [V]
    p: float,
) -> np.ndarray:  # [V], float64, sums to 1
    """Raises ValueError when p is not in (0, 1]."""
    if not 0.0 < p <= 1.0:
        raise ValueError(f"Expected 0 < p <= 1, got {p}.")
    kept = top_p_filter(torch.from_numpy(logits.astype(np.float64)), p)
    return kept.softmax(dim=-1).numpy()
