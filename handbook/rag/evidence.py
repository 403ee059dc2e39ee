"""What an answer may rest on: a passage in its sentences, with vectors; and how telling words are.

The book's paragraphs and the chunks of anybody's documents come to the last stages in this form, so that
there is one way to answer, one to check and one to refuse.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.rag import sentences
from handbook.rag.orders import orders
from handbook.rag.query.english import CLOSED, singular
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.text import words
from handbook.records import Chunk

Vectors = NDArray[np.float32]

# After a blank line, and between lines one of which is a heading, an item or a row.
_EDGE = re.compile(
    r"\n[ \t]*\n\s*|(?<=\n)(?=[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t])|(?<=\n)(?=[ \t]*(?:#{1,6} |\||```|~~~))"
    r"|^[ \t]*(?:#{1,6} |\||```|~~~)[^\n]*\n",
    re.MULTILINE,
)
_NUMBER = re.compile(r"\d{1,3}\.")
_ITEM = re.compile(r"(?:[-*+\u2022]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
HEADING = 8  # words; fewer without a full stop are one


class Terms(Protocol):
    """The words of a corpus as stems: which a text has, and how telling each is."""

    @property
    def frequency(self) -> Mapping[str, int]: ...  # stem -> passages that have it

    def stems(self, text: str) -> list[str]: ...  # of the content words, in order

    def weights(self, text: str) -> dict[str, float]: ...  # of the content words, each with its idf


@dataclass(frozen=True)
class Passage:
    """A passage as evidence.

    vectors: of the whole and of each sentence, [1 + S, D], unit. source: what two passages have in common
    that are of one document. order: where it is read, among all that may be in an answer.
    """

    chunk: Chunk
    texts: tuple[str, ...]
    vectors: Vectors
    source: str
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.vectors) != 1 + len(self.texts):
            raise ValueError(f"expected {1 + len(self.texts)} vectors, got {len(self.vectors)}")

    @cached_property
    def orders(self) -> frozenset[int]:
        """Sentences that give orders to a model."""
        spans, at = [], 0
        for text in self.texts:
            start = self.chunk.text.find(text, at)
            at = max(start, 0) + len(text)
            spans.append((at - len(text), at))
        return orders(self.chunk.text, spans)

    @property
    def sound(self) -> list[int]:
        """Sentences that are evidence."""
        return [number for number in range(len(self.texts)) if number not in self.orders]

    @cached_property
    def said(self) -> str:
        """Title and text, without orders."""
        text = " ".join(self.texts[number] for number in self.sound) if self.orders else self.chunk.text
        return f"{self.chunk.title}. {text}"

    @cached_property
    def evidence(self) -> Vectors:
        """Vectors that a sentence may be near to: [1 + S, D]; without the whole where it has orders in it."""
        return self.vectors[[1 + number for number in self.sound]] if self.orders else self.vectors


def spans(text: str) -> list[tuple[int, int]]:
    """Where a document's sentences lie: text[start:end]. A heading, a list's item, a row of a table and a
    line of code is one of its own; a text that has none is one.
    """
    edges = [0, *(m.end() for m in _EDGE.finditer(text)), len(text)]
    found: list[tuple[int, int]] = []
    for start, end in pairwise(edges):
        for a, b in sentences.spans(text[start:end]):
            numbered = found and found[-1][0] >= start and _NUMBER.fullmatch(text, *found[-1])
            begin = found.pop()[0] if numbered else start + a  # "1." ends no sentence
            found.append((begin, start + b))
    return found or [(0, len(text))]


def speaks(text: str) -> bool:
    """Whether a sentence of a document says something: no heading, no row of a table, hardly any code. A
    few words without a full stop are a heading, unless they are an item of a list.
    """
    words = unmarked(text).split()
    letters = sum(c.isalpha() or c.isspace() for c in text)
    if text.startswith(("#", "|", "```", "~~~")) or len(words) < 3 or 3 * letters < 2 * len(text):
        return False
    return (
        len(words) >= HEADING
        or text != unmarked(text)
        or text.rstrip("*_`\"')\u201d\u2019")[-1:] in ".!?:;\u2026"
    )


def unmarked(text: str) -> str:
    """A sentence without the mark of a list's item before it."""
    return _ITEM.sub("", text)


class LexiconTerms:
    """Terms of a corpus whose word frequencies are known. Stems are those of `stem`."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    @cached_property
    def frequency(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for word, count in self.lexicon.frequency.items():
            if word not in CLOSED:
                root = stem(word)
                found[root] = max(count, found.get(root, 0))
        return found

    def stems(self, text: str) -> list[str]:
        return [stem(word) for word in words(text) if word not in CLOSED]

    def weights(self, text: str) -> dict[str, float]:
        return {root: self.idf(root) for root in self.stems(text)}

    def idf(self, root: str) -> float:
        """ln(1 + (N - n + 0.5) / (n + 0.5)), as in BM25; highest for a stem that no passage has."""
        n = self.frequency.get(root, 0)
        return math.log(1 + (max(self.lexicon.size, n) - n + 0.5) / (n + 0.5))


def stem(word: str) -> str:
    """A word without its commonest endings. Crude, and the same on both sides, which is all that comparing
    needs: "caches", "cached" and "caching" are "cach"."""
    root = singular(word) if len(word) > 3 else word
    for ending in ("ing", "ed", "ly"):
        if root.endswith(ending) and len(root) - len(ending) >= 3:
            root = root.removesuffix(ending)
            if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            break
    return root.removesuffix("e") if len(root) > 3 else root
