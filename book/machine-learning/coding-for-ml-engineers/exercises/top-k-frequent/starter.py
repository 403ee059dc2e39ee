"""The k most frequent tokens of a sample."""


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    raise NotImplementedError("count, then choose k")
