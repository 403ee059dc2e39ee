# Fault: an evicted page is still found.
# Rejected by: test_worked_example

from array import array
from hashlib import blake2b


def digest(before, tokens):
    return blake2b(before + array("q", tokens).tobytes(), digest_size=16).digest()


def block_hashes(tokens, size, salt=b""):
    hashes, before = [], blake2b(salt).digest()
    for start in range(0, len(tokens) - size + 1, size):
        before = digest(before, tokens[start : start + size])
        hashes.append(before)
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
        self.hashes.pop(page, None)
