"""Byte-pair encoding over the bytes of UTF-8."""

Pair = tuple[int, int]


def train(texts: list[str], count: int) -> list[Pair]:
    raise NotImplementedError("count pairs, merge the most frequent, again")


def encode(text: str, merges: list[Pair]) -> list[int]:
    raise NotImplementedError("in each piece the pair that was learned first, again and again")


def decode(ids: list[int], merges: list[Pair]) -> str:
    raise NotImplementedError("the bytes of each id, joined")
