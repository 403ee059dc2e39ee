"""Full-text search: which texts have the words of a query, and how much that says."""

from collections.abc import Sequence


class BM25:
    def __init__(self, texts: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> None:
        self.k1, self.b = k1, b

    def search(self, query: Sequence[str], k: int) -> list[tuple[int, float]]:  # (place, score), best first
        raise NotImplementedError("the k best texts that have any of the words")
