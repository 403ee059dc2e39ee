"""The distribution of top-p (nucleus) sampling."""

import numpy as np


def top_p(
    logits: np.ndarray,  # [V]
    p: float,
) -> np.ndarray:  # [V], float64, sums to 1
    raise NotImplementedError("softmax, sort, cut, renormalise")
