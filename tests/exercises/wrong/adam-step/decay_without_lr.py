# Fault: shrinks by decay, not by lr times decay.
# Rejected by: test_decay_is_apart_from_the_gradient

import math
from typing import Any

import numpy as np


def adamw_step(
    params: dict[str, np.ndarray],
    grads: dict[str, np.ndarray | None],
    state: Any,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.01,
) -> tuple[dict[str, np.ndarray], Any]:
    """State: name -> (steps, mean, square). Raises ValueError for names or shapes that do not fit."""
    if grads.keys() != params.keys():
        raise ValueError(f"Expected gradients of {sorted(params)}, got {sorted(grads)}.")
    first, second = betas
    moved, kept = dict(params), dict(state or {})
    for name, p in params.items():
        g = grads[name]
        if g is None:
            continue
        if g.shape != p.shape:
            raise ValueError(f"Expected a gradient of {name} of shape {p.shape}, got {g.shape}.")
        steps, mean, square = kept.get(name, (0, 0.0, 0.0))
        steps += 1
        mean = first * mean + (1 - first) * g
        square = second * square + (1 - second) * g * g
        bottom = np.sqrt(square) / math.sqrt(1 - second**steps) + eps
        moved[name] = p - decay * p - lr / (1 - first**steps) * mean / bottom
        kept[name] = steps, mean, square
    return moved, kept
