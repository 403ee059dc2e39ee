"""Causal attention over a batch with padding."""

import numpy as np


def causal_attention(
    q: np.ndarray,  # [B, H, T, D]
    k: np.ndarray,  # [B, H, T, D]
    v: np.ndarray,  # [B, H, T, E]
    real: np.ndarray,  # [B, T], bool
) -> np.ndarray:  # [B, H, T, E]
    raise NotImplementedError("scores, mask, softmax, weighted sum")
