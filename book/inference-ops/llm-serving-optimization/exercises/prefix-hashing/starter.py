"""Which pages hold the beginning of a text."""


def block_hashes(tokens: list[int], size: int, salt: bytes = b"") -> list[bytes]:
    raise NotImplementedError("one hash a full block, chained")


class PrefixCache:
    def __init__(self, size: int) -> None:
        self.size = size

    def insert(self, tokens: list[int], pages: list[int], salt: bytes = b"") -> None:
        raise NotImplementedError("note the full blocks")

    def match(self, tokens: list[int], salt: bytes = b"") -> list[int]:
        raise NotImplementedError("the longest run of known blocks, without the last token")

    def evict(self, page: int) -> None:
        raise NotImplementedError("forget the page")
