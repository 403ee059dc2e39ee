"""Softmax and log-softmax that survive large logits, masks and temperatures."""

import numpy as np


def softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,  # bool, True: allowed
) -> np.ndarray:  # [...] float64
    raise NotImplementedError("subtract the largest, then exp")


def log_softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,
) -> np.ndarray:  # [...] float64
    raise NotImplementedError("x - max - log(sum(exp(x - max)))")
