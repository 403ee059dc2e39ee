"""A block's hash is the handbook's own `page_name`; a text's first block is chained to a hash of the salt.

Chaining makes each hash speak for the whole text up to there, at the cost of one block. So a run of hashes
that are all known is a beginning that is known, and no tokens are compared: a cryptographic hash of 16 bytes
doesn't repeat by accident or, without about 2^64 attempts, on purpose.
"""

from hashlib import blake2b

from handbook.engine.pages import page_name


def block_hashes(tokens: list[int], size: int, salt: bytes = b"") -> list[bytes]:
    """One hash for each full block of size tokens."""
    # not the salt itself: one that equals a block's hash would go on in that block's chain
    before, hashes = blake2b(salt, digest_size=32).digest(), []
    for end in range(size, len(tokens) + 1, size):
        before = page_name(before, tokens[end - size : end])
        hashes.append(before)
    return hashes


class PrefixCache:
    def __init__(self, size: int) -> None:
        self.size = size
        self._page: dict[bytes, int] = {}
        self._hash: dict[int, bytes] = {}

    def insert(self, tokens: list[int], pages: list[int], salt: bytes = b"") -> None:
        """Make the full blocks findable; the page that was there first stays."""
        # the last block may be begun only: it has a page and no hash
        for name, page in zip(block_hashes(tokens, self.size, salt), pages, strict=False):
            if name not in self._page:
                self._page[name] = page
                self._hash[page] = name

    def match(self, tokens: list[int], salt: bytes = b"") -> list[int]:
        """Pages of the longest run of known blocks, which leaves at least one token to compute."""
        pages = []
        for name in block_hashes(tokens[:-1], self.size, salt):
            if name not in self._page:
                break
            pages.append(self._page[name])
        return pages

    def evict(self, page: int) -> None:
        """Forget a page. Pages behind it stay noted: they are found again once their beginning is."""
        if page in self._hash:
            del self._page[self._hash.pop(page)]
