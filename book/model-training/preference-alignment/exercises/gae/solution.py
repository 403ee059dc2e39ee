"""Schulman et al. 2015 (arXiv:1506.02438), equations 9 and 16, from the end. On torch tensors, and with plain
numbers behind the mask, the handbook has the same in `handbook.train.ppo.gae`; a test compares them.

One backward walk is the whole sum: A_t = delta_t + gamma lam A_(t+1). Rows of all lengths go along, because
behind a row's last token delta is 0 and the sum begins there from nothing.
"""

import numpy as np


def gae(
    rewards: np.ndarray,  # [B, T]
    values: np.ndarray,  # [B, T]
    mask: np.ndarray,  # [B, T], bool, True at the left
    gamma: float,
    lam: float,
) -> tuple[np.ndarray, np.ndarray]:  # advantages and returns, [B, T] float32 each
    rewards = np.where(mask, rewards, 0).astype(np.float32)  # where, not times: NaN times 0 is NaN
    values = np.where(mask, values, 0).astype(np.float32)
    following = np.zeros_like(values)
    following[:, :-1] = values[:, 1:]
    delta = rewards + gamma * following - values  # 0 behind the mask, where all three are
    advantages = np.zeros_like(values)
    last = np.zeros(len(values), dtype=np.float32)
    for t in reversed(range(values.shape[1])):
        last = delta[:, t] + gamma * lam * last
        advantages[:, t] = last
    return advantages, advantages + values
