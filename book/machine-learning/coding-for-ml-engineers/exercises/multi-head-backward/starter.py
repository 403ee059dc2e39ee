"""Causal multi-head attention and its gradient."""

import numpy as np


def forward(
    x: np.ndarray,  # [B, T, E]
    wq: np.ndarray,  # [E, E]
    wk: np.ndarray,
    wv: np.ndarray,
    wo: np.ndarray,
    heads: int,
) -> tuple[np.ndarray, tuple]:  # y [B, T, E] and what backward needs
    raise NotImplementedError("project, split, attend, merge, project")


def backward(
    dy: np.ndarray,  # [B, T, E]
    cache: tuple,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # dx, dwq, dwk, dwv, dwo
    raise NotImplementedError("the same products in reverse")
