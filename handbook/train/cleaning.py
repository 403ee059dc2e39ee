"""Cleaning a set: what is in it twice, nearly twice, or in the test set too goes, and each removal says why.

Near duplicates are found by MinHash (Broder 1997): the share of places in which the signatures of two texts
agree estimates the Jaccard similarity of their shingles, runs of words. Bands of a signature propose whom to
compare (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4); the comparison is exact
but for collisions of 64 bits, so that an estimate never removes anything.

Book: model-training/fine-tuning-strategies
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from handbook.train.conversations import Conversation, Pair, Prompt

Record = TypeVar("Record", Conversation, Pair, Prompt)
Hashes = NDArray[np.uint64]
_ALONE = "\u3040-\u30ff\u3400-\u9fff"  # kana and Chinese characters: words without spaces between
WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")
SHINGLE = 5  # words of a shingle
HASHES = 128  # of a signature
MISSED = 1e-3  # of the pairs that are just as similar as asked for, at most so many are never compared


@dataclass(frozen=True, slots=True)
class Removed:
    """index: of a record. why: in words. other: index of the record or test text that it repeats."""

    index: int
    why: str
    other: int


@dataclass(frozen=True, slots=True)
class Cleaned(Generic[Record]):
    """records: what is left, in order."""

    records: tuple[Record, ...]
    removed: tuple[Removed, ...]


def without_duplicates(records: Sequence[Record]) -> Cleaned[Record]:
    """The first of records with the same turns stays."""
    first: dict[object, int] = {}
    removed = []
    for index, record in enumerate(records):
        if (other := first.setdefault(_turns(record), index)) != index:
            removed.append(Removed(index, f"the same turns as {_place(records, other)}", other))
    return _cleaned(records, removed)


def without_near_duplicates(records: Sequence[Record], similarity: float = 0.8) -> Cleaned[Record]:
    """Of records with a Jaccard similarity of at least `similarity`, the first stays.

    Case and punctuation make no difference, nor does the system's turn. Raises ValueError for a similarity
    that is not above 0 and at most 1.
    """
    rows = band_rows(similarity)
    removed = []
    shingles: dict[int, Hashes] = {}
    buckets: dict[bytes, list[int]] = {}
    for index, record in enumerate(records):
        text = text_of(record)
        found = np.unique(runs(_words(text) or [text], SHINGLE))
        bands = signature(found).reshape(-1, rows)
        keys = [band.tobytes() + number.to_bytes(2, "little") for number, band in enumerate(bands)]
        near = sorted({other for key in keys for other in buckets.get(key, ())})
        other, share = max(
            ((one, jaccard(found, shingles[one])) for one in near), key=_second, default=(0, 0.0)
        )
        if share >= similarity:
            removed.append(Removed(index, f"{share:.0%} the same as {_place(records, other)}", other))
            continue
        shingles[index] = found
        for key in keys:
            buckets.setdefault(key, []).append(index)
    return _cleaned(records, removed)


def decontaminated(records: Sequence[Record], tests: Sequence[str], words: int = 13) -> Cleaned[Record]:
    """Without records that share a run of `words` words with a text of the test set, or hold the whole of a
    shorter one (Brown et al. 2020, arXiv:2005.14165, appendix C, have runs of 13).

    Raises ValueError for a test text without a word, which would be in everything, and for words below 1.
    """
    if words < 1:
        raise ValueError(f"runs have at least one word, got {words}")
    known: dict[int, dict[int, int]] = {}  # words of a run -> its hash -> which test
    for number, test in enumerate(tests):
        tokens = _words(test)
        if not tokens:
            raise ValueError(f"test text {number + 1} holds no word")
        length = min(words, len(tokens))
        for run in runs(tokens, length).tolist():
            known.setdefault(length, {}).setdefault(run, number)
    removed = []
    for index, record in enumerate(records):
        tokens = _words(text_of(record))
        for length, hashes in known.items():
            found = runs(tokens, length).tolist() if len(tokens) >= length else []
            if (at := next((at for at, run in enumerate(found) if run in hashes), None)) is not None:
                shared, other = " ".join(tokens[at : at + length]), hashes[found[at]]
                removed.append(Removed(index, f"shares “{shared}” with test text {other + 1}", other))
                break
    return _cleaned(records, removed)


def text_of(record: Conversation | Pair | Prompt) -> str:
    """All that is said in it but by the system, which often says the same to all."""
    turns = (
        record.messages if not isinstance(record, Pair) else record.prompt + record.chosen + record.rejected
    )
    return "\n".join(turn.content for turn in turns if turn.role != "system")


def runs(words: Sequence[str], length: int) -> Hashes:
    """A hash of 64 bits for each run of `length` words, in order; of a shorter text one, for all of it."""
    hashes = np.array([_hash(word) for word in words], dtype=np.uint64)
    length = min(length, len(hashes))
    total = np.zeros(max(len(hashes) - length + 1, 1), dtype=np.uint64)
    for place in range(length):  # multiplied with an odd number for each place, modulo 2^64
        total = total * np.uint64(0x9E3779B97F4A7C15) + hashes[place : len(hashes) - length + place + 1]
    return total


def signature(shingles: Hashes) -> Hashes:
    """[HASHES]: the least value of each of as many functions a x + b modulo 2^64 over all shingles."""
    factors, terms = _functions()
    least = np.full(HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(shingles), 4096):
        values = shingles[start : start + 4096, None] * factors + terms
        least = np.minimum(least, values.min(axis=0))
    return least


def jaccard(one: Hashes, other: Hashes) -> float:
    """What two sets (sorted, each value once) share, of all that is in either."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def band_rows(similarity: float) -> int:
    """Rows of a band: with r of them, two texts of similarity s have none of the HASHES / r bands in common
    with probability (1 - s^r)^(HASHES / r). The most rows that keep this below MISSED: fewer compare more."""
    if not 0 < similarity <= 1:
        raise ValueError(f"a similarity is above 0 and at most 1, got {similarity}")
    sizes = (16, 8, 4, 2)
    return next((r for r in sizes if (1 - similarity**r) ** (HASHES / r) <= MISSED), 1)


@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _turns(record: Conversation | Pair | Prompt) -> object:
    """What makes two records the same: not the line, nor the answer of a prompt."""
    return (record.prompt, record.chosen, record.rejected) if isinstance(record, Pair) else record.messages


def _place(records: Sequence[Record], index: int) -> str:
    line = records[index].line
    return f"that of line {line}" if line else f"record {index + 1}"


def _second(pair: tuple[int, float]) -> float:
    return pair[1]


def _cleaned(records: Sequence[Record], removed: Sequence[Removed]) -> Cleaned[Record]:
    gone = {each.index for each in removed}
    kept = tuple(record for index, record in enumerate(records) if index not in gone)
    return Cleaned(kept, tuple(removed))


@lru_cache(maxsize=1)
def _functions() -> tuple[Hashes, Hashes]:
    """a, which is odd, and b of each function, the same every time."""
    random = np.random.Generator(np.random.PCG64(0))
    a, b = random.integers(0, 1 << 63, (2, HASHES), dtype=np.uint64)
    return a * np.uint64(2) + np.uint64(1), b
