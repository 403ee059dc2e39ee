"""A step of AdamW."""

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
    raise NotImplementedError("two running means, corrected; decay apart from them")
