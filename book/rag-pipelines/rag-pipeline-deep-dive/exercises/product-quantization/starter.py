"""Vectors as codes, and distances to them."""

import numpy as np


def encode(vectors: np.ndarray, books: np.ndarray) -> np.ndarray:  # [N, D], [M, K, D / M] -> [N, M], uint8
    raise NotImplementedError("the nearest centre of each part")


def decode(codes: np.ndarray, books: np.ndarray) -> np.ndarray:  # [N, M], [M, K, D / M] -> [N, D], float32
    raise NotImplementedError("the centres end to end")


def distances(
    query: np.ndarray,  # [D], float32
    codes: np.ndarray,  # [N, M], uint8
    books: np.ndarray,  # [M, K, D / M], float32
) -> np.ndarray:  # [N], float32
    raise NotImplementedError("a table for the query, then look up and add")


def search(
    query: np.ndarray,
    codes: np.ndarray,
    books: np.ndarray,
    k: int,
    vectors: np.ndarray | None = None,  # [N, D]: sort the best again by true distance
    refine: int = 4,
) -> list[int]:
    raise NotImplementedError("the k nearest by code, or by vector among the best by code")
