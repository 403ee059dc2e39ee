"""Attention in one pass over blocks of keys."""

from collections.abc import Iterator

import numpy as np

State = tuple[np.ndarray, ...]  # whatever has to be kept


def partial(
    scores: np.ndarray,  # [T, S]
    values: np.ndarray,  # [S, D]
) -> State:
    raise NotImplementedError("what has to be kept of one block")


def merge(a: State, b: State) -> State:
    raise NotImplementedError("what has to be kept of both")


def finish(state: State) -> np.ndarray:  # [T, D], float32
    raise NotImplementedError("the output")


def attend(blocks: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:  # [T, D], float32
    raise NotImplementedError("one pass")
