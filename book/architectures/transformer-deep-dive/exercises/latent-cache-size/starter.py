"""Bytes of the cache of any attention, and the context at which a memory is full."""


def cache_bytes(config: dict, tokens: int, batch: int = 1, bits: int = 16) -> int:
    raise NotImplementedError("values per position and layer, positions per layer, bits")


def longest_context(config: dict, memory: int, batch: int = 1, bits: int = 16) -> int | float:
    raise NotImplementedError("the largest number of tokens whose cache fits, or math.inf")
