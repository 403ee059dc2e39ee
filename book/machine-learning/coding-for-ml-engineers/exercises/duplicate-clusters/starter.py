"""Who represents each document, given pairs of near-duplicates."""


def representatives(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    raise NotImplementedError("merge sets, find their smallest member")
