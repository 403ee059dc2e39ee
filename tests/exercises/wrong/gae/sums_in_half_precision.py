# Fault: computes in the type of the values.
# Rejected by: test_half_precision_is_computed_in_single

import numpy as np


def gae(
    rewards: np.ndarray,  # [B, T]
    values: np.ndarray,  # [B, T]
    mask: np.ndarray,  # [B, T], bool, True at the left
    gamma: float,
    lam: float,
) -> tuple[np.ndarray, np.ndarray]:  # advantages and returns, [B, T] float32 each
    rewards = np.where(mask, rewards, 0)
    values = np.where(mask, values, 0)
    following = np.zeros_like(values)
    following[:, :-1] = values[:, 1:]
    delta = rewards + values.dtype.type(gamma) * following - values
    advantages = np.zeros_like(values)
    last = np.zeros(len(values), dtype=values.dtype)
    for t in reversed(range(values.shape[1])):
        last = delta[:, t] + values.dtype.type(gamma * lam) * last
        advantages[:, t] = last
    return advantages.astype(np.float32), (advantages + values).astype(np.float32)
