# Fault: a block's hash says nothing about the tokens before it.
# Rejected by: test_hash_speaks_for_all_tokens_before

from array import array
from hashlib import blake2b


def digest(before, tokens):
    return blake2b(before + array("q", tokens).tobytes(), digest_size=16).digest()


def block_hashes(tokens, size, salt=b""):
    hashes, before = [], blake2b(salt).digest()
    for start in range(0, len(tokens) - size + 1, size):
        hashes.append(digest(before, tokens[start : start + size]))
    return hashes


class PrefixCache:
    def __init__(self, size):
        self.size, self.pages, self.hashes = size, {}, {}

    def insert(self, tokens, pages, salt=b""):
        for name, page in zip(block_hashes(tokens, self.size, salt), pages, strict=False):
            if name not in self.pages:
                self.pages[name] = page
                self.hashes[page] = name

    def match(self, tokens, salt=b""):
        found = []
        for name in block_hashes(tokens[:-1], self.size, salt):
            if name not in self.pages:
                break
            found.append(self.pages[name])
        return found

    def evict(self, page):
        name = self.hashes.pop(page, None)
        if name is not None:
            del self.pages[name]
