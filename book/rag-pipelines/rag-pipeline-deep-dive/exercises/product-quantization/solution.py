"""Jégou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor Search", sections II.B and III.A:
the query is not quantized ("asymmetric"), so only one side of each distance is off.

The handbook's own are `encode`, `decode`, `table` and `look_up` of `handbook.rag.nearest.product`; a test
compares.
"""

import numpy as np


def encode(vectors: np.ndarray, books: np.ndarray) -> np.ndarray:  # [N, D], [M, K, D / M] -> [N, M], uint8
    """Raises ValueError where the books don't fit the vectors, or have more centres than a byte can name."""
    parts, centres, width = books.shape
    if parts * width != vectors.shape[1] or centres > 256:
        raise ValueError(
            f"expected books of {vectors.shape[1]} numbers in all and at most 256 centres, got {books.shape}"
        )
    codes = np.empty((len(vectors), parts), np.uint8)
    for part, book in enumerate(books):
        own = vectors[:, part * width : (part + 1) * width]
        codes[:, part] = np.stack([np.square(own - centre).sum(axis=1) for centre in book]).argmin(axis=0)
    return codes


def decode(codes: np.ndarray, books: np.ndarray) -> np.ndarray:  # [N, M], [M, K, D / M] -> [N, D], float32
    parts, _, width = books.shape
    return books[np.arange(parts), codes].reshape(len(codes), parts * width)


def distances(
    query: np.ndarray,  # [D], float32
    codes: np.ndarray,  # [N, M], uint8
    books: np.ndarray,  # [M, K, D / M], float32
) -> np.ndarray:  # [N], float32
    parts = len(books)
    table = np.square(books - query.reshape(parts, 1, -1)).sum(axis=2)  # [M, K]
    return table[np.arange(parts), codes].sum(axis=1)


def search(
    query: np.ndarray,
    codes: np.ndarray,
    books: np.ndarray,
    k: int,
    vectors: np.ndarray | None = None,  # [N, D]: sort the best again by true distance
    refine: int = 4,
) -> list[int]:
    order = np.argsort(distances(query, codes, books), kind="stable")
    if vectors is None:
        return order[:k].tolist()
    likely = np.sort(order[: refine * k])  # in order, for equally near ones
    true = np.square(vectors[likely] - query).sum(axis=1)
    return likely[np.argsort(true, kind="stable")[:k]].tolist()
