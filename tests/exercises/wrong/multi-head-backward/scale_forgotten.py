# Fault: leaves the scale 1 / sqrt(D) out of the backward pass.
# Rejected by: test_gradients_by_differences

import math

import numpy as np


def _split(x: np.ndarray, heads: int) -> np.ndarray:  # [B, T, E] -> [B, H, T, D]
    B, T, E = x.shape
    return x.reshape(B, T, heads, E // heads).swapaxes(1, 2)


def _merge(x: np.ndarray) -> np.ndarray:  # [B, H, T, D] -> [B, T, E]
    B, _, T, _ = x.shape
    return x.swapaxes(1, 2).reshape(B, T, -1)


def _weight(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Gradient of w in y = x @ w. x, dy: [B, T, E]; returns [E, E]."""
    return (x.swapaxes(1, 2) @ dy).sum(axis=0)


def forward(
    x: np.ndarray,  # [B, T, E]
    wq: np.ndarray,  # [E, E]
    wk: np.ndarray,
    wv: np.ndarray,
    wo: np.ndarray,
    heads: int,
) -> tuple[np.ndarray, tuple]:  # y [B, T, E] and what backward needs
    """Raises ValueError where the width is not a multiple of heads."""
    _, T, E = x.shape
    if E % heads:
        raise ValueError(f"Expected a width that {heads} heads divide, got {E}.")
    q, k, v = (_split(x @ w, heads) for w in (wq, wk, wv))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(E // heads)
    scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    mixed = _merge(weights @ v)
    return mixed @ wo, (x, wq, wk, wv, wo, q, k, v, weights, mixed)


def backward(
    dy: np.ndarray,  # [B, T, E]
    cache: tuple,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # dx, dwq, dwk, dwv, dwo
    """Each product C = A B gives dA = dC B^T and dB = A^T dC; a softmax row gives w * (dw - sum(dw * w))."""
    x, wq, wk, wv, wo, q, k, v, weights, mixed = cache
    dmixed = _split(dy @ wo.T, q.shape[1])
    dweights = dmixed @ v.swapaxes(2, 3)
    dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    dq, dk, dv = (
        _merge(grad) for grad in (dscores @ k, dscores.swapaxes(2, 3) @ q, weights.swapaxes(2, 3) @ dmixed)
    )
    dx = dq @ wq.T + dk @ wk.T + dv @ wv.T
    return dx, _weight(x, dq), _weight(x, dk), _weight(x, dv), _weight(mixed, dy)
