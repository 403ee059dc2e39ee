# Fault: rewards behind an answer flow back into it.
# Rejected by: test_rows_of_different_lengths

import numpy as np


def gae(
    rewards: np.ndarray,  # [B, T]
    values: np.ndarray,  # [B, T]
    mask: np.ndarray,  # [B, T], bool, True at the left
    gamma: float,
    lam: float,
) -> tuple[np.ndarray, np.ndarray]:  # advantages and returns, [B, T] float32 each
    rewards = np.asarray(rewards).astype(np.float32)
    values = np.where(mask, values, 0).astype(np.float32)
    following = np.zeros_like(values)
    following[:, :-1] = values[:, 1:]
    delta = rewards + gamma * following - values
    advantages = np.zeros_like(values)
    last = np.zeros(len(values), dtype=np.float32)
    for t in reversed(range(values.shape[1])):
        last = delta[:, t] + gamma * lam * last
        advantages[:, t] = last
    return advantages, advantages + values
