# Fault: sums the gradients of gamma and beta over the first axis only.
# Rejected by: test_parity_with_torch

import numpy as np


def forward(
    x: np.ndarray,  # [..., D]
    gamma: np.ndarray,  # [D]
    beta: np.ndarray,  # [D]
    eps: float = 1e-5,
) -> tuple[np.ndarray, tuple]:  # y [..., D] and what backward needs
    """Raises ValueError where gamma or beta is not of shape [D]."""
    if gamma.shape != x.shape[-1:] or beta.shape != x.shape[-1:]:
        raise ValueError(f"Expected gamma and beta of {x.shape[-1:]}, got {gamma.shape} and {beta.shape}.")
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    normal = centred / deviation
    return gamma * normal + beta, (normal, deviation, gamma)


def backward(
    dy: np.ndarray,  # [..., D]
    cache: tuple,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # dx [..., D], dgamma [D], dbeta [D]
    """The row's mean and deviation hang on each of its entries: two corrections to dy * gamma."""
    normal, deviation, gamma = cache
    leading = 0 if dy.ndim > 1 else ()
    g = dy * gamma
    along = (g * normal).mean(axis=-1, keepdims=True)
    dx = (g - g.mean(axis=-1, keepdims=True) - normal * along) / deviation
    return dx, (dy * normal).sum(axis=leading), dy.sum(axis=leading)
