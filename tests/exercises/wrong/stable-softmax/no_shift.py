# Fault: takes exp of the raw logits.
# Rejected by: test_large_logits

import numpy as np


def _shifted(
    logits: np.ndarray, axis: int, temperature: float, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if not temperature > 0:  # true for NaN too
        raise ValueError(f"Expected a temperature above 0, got {temperature}.")
    x = np.asarray(logits, dtype=np.float64)
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    x = x / temperature
    with np.errstate(all="ignore"):
        return x, np.exp(x).sum(axis=axis, keepdims=True)


def softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,  # bool, True: allowed
) -> np.ndarray:  # [...] float64
    x, total = _shifted(logits, axis, temperature, mask)
    with np.errstate(all="ignore"):
        return np.exp(x) / np.where(total > 0, total, 1.0)


def log_softmax(
    logits: np.ndarray,  # [...]
    axis: int = -1,
    temperature: float = 1.0,
    mask: np.ndarray | None = None,
) -> np.ndarray:  # [...] float64
    x, total = _shifted(logits, axis, temperature, mask)
    with np.errstate(all="ignore"):
        return x - np.log(total)
