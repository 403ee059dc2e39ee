# Fault: walks every row in Python.
# Rejected by: test_rows_cost_no_loop

import numpy as np


def gae(
    rewards: np.ndarray,  # [B, T]
    values: np.ndarray,  # [B, T]
    mask: np.ndarray,  # [B, T], bool, True at the left
    gamma: float,
    lam: float,
) -> tuple[np.ndarray, np.ndarray]:  # advantages and returns, [B, T] float32 each
    rewards = np.where(mask, rewards, 0).astype(np.float32)
    values = np.where(mask, values, 0).astype(np.float32)
    following = np.zeros_like(values)
    following[:, :-1] = values[:, 1:]
    delta = rewards + gamma * following - values
    advantages = np.zeros_like(values)
    for b in range(len(values)):
        last = 0.0
        for t in reversed(range(values.shape[1])):
            last = delta[b, t] + gamma * lam * last
            advantages[b, t] = last
    return advantages, advantages + values
