# Fault: forgets the axis where it sums.
# Rejected by: test_sums_along_the_axis

import numpy as np


def _shifted(
    logits: np.ndarray, axis: int, temperature: float, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if not temperature > 0:  # true for NaN too
        raise ValueError(f"Expected a temperature above 0, got {temperature}.")
    x = np.asarray(logits, dtype=np.float64)
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    top = x.max(axis=axis, keepdims=True)
    x = (x - np.where(np.isfinite(top), top, 0.0)) / temperature  # a row of -inf stays one
    return x, np.exp(x).sum(axis=-1, keepdims=True)


def softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,  # bool, True: allowed
) -> np.ndarray:  # [...] float64
    x, total = _shifted(logits, axis, temperature, mask)
    return np.exp(x) / np.maximum(total, 1.0)  # the largest adds 1, so less than 1 is a row without any


def log_softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,
) -> np.ndarray:  # [...] float64
    x, total = _shifted(logits, axis, temperature, mask)
    return x - np.log(np.maximum(total, 1.0))
