"""How much better it went after each token than was expected."""

import numpy as np


def gae(
    rewards: np.ndarray,  # [B, T]
    values: np.ndarray,  # [B, T]
    mask: np.ndarray,  # [B, T], bool, True at the left
    gamma: float,
    lam: float,
) -> tuple[np.ndarray, np.ndarray]:  # advantages and returns, [B, T] float32 each
    raise NotImplementedError("differences of the values, summed from the end")
