# Fault: cuts at every white space and puts single spaces back.
# Rejected by: test_round_trips

import re
from collections import Counter
from itertools import pairwise

Pair = tuple[int, int]
PIECE = re.compile(" ?[^ ]+| ")


def merged(ids: list[int], pair: Pair, new: int) -> list[int]:
    """Every occurrence of the pair replaced, from left to right."""
    out: list[int] = []
    for id in ids:
        out.append(id)
        if tuple(out[-2:]) == pair:
            out[-2:] = [new]
    return out


def train(texts: list[str], count: int) -> list[Pair]:
    """Fewer than count merges where no pair occurs twice."""
    counts = Counter(piece for text in texts for piece in PIECE.findall(text))
    pieces = [(list(piece.encode()), times) for piece, times in counts.items()]
    merges: list[Pair] = []
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for ids, times in pieces:
            for pair in pairwise(ids):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=(0, 0))
        if pairs[best] < 2:
            break
        new = 256 + len(merges)
        pieces = [(merged(ids, best, new), times) for ids, times in pieces]
        merges.append(best)
    return merges


def encode(text: str, merges: list[Pair]) -> list[int]:
    """Merges go by rank, not by place."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    encoded: list[int] = []
    for piece in [" " * (i > 0) + w for i, w in enumerate(text.split())]:
        ids = list(piece.encode())
        while known := [pair for pair in pairwise(ids) if pair in ranks]:
            pair = min(known, key=lambda pair: ranks[pair])
            ids = merged(ids, pair, 256 + ranks[pair])
        encoded += ids
    return encoded


def decode(ids: list[int], merges: list[Pair]) -> str:
    """Raises ValueError for an id that is neither a byte nor a merge."""
    table = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        table.append(table[left] + table[right])
    for id in ids:
        if not 0 <= id < len(table):
            raise ValueError(f"Expected ids from 0 to {len(table) - 1}, got {id}.")
    return b"".join(table[id] for id in ids).decode("utf-8", errors="replace")
