# Fault: without a length or a hash of its own the salt reads like tokens.
# Rejected by: test_salt_and_tokens_are_not_run_together

from array import array
from hashlib import blake2b


def digest(before, tokens):
    return blake2b(before + array("q", tokens).tobytes(), digest_size=16).digest()


def block_hashes(tokens, size, salt=b""):
    hashes, before = [], b""
    for start in range(0, len(tokens) - size + 1, size):
        before = digest((salt if not start else b"") + before, tokens[start : start + size])
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
        name = self.hashes.pop(page, None)
        if name is not None:
            del self.pages[name]
