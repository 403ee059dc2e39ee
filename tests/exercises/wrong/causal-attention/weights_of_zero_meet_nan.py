# Fault: leaves NaN in padded values, and 0 times NaN is NaN.
# Rejected by: test_padding_may_hold_anything

import math

import numpy as np


def causal_attention(
    q: np.ndarray,  # [B, H, T, D]
    k: np.ndarray,  # [B, H, T, D]
    v: np.ndarray,  # [B, H, T, E]
    real: np.ndarray,  # [B, T], bool
) -> np.ndarray:  # [B, H, T, E]
    """Rows of padded positions are 0. Raises ValueError for shapes that do not fit."""
    B, _, T, D = q.shape
    if k.shape != q.shape or v.shape[:3] != q.shape[:3] or real.shape != (B, T):
        raise ValueError(f"Shapes do not fit: q {q.shape}, k {k.shape}, v {v.shape}, real {real.shape}.")
    there = real[:, None, :, None]
    q, k, _ = (np.where(there, array, 0) for array in (q, k, k))
    allowed = np.tri(T, dtype=bool) & there & real[:, None, None, :]  # [B, 1, T, T]
    scores = np.where(allowed, q @ k.swapaxes(-1, -2) / math.sqrt(D), -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores - np.where(there, top, 0))  # a padded row has no largest score
    total = weights.sum(axis=-1, keepdims=True)
    return weights @ v / np.where(there, total, 1)
