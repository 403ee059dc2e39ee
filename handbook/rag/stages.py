"""The pipeline's settings, and the form of each of its stages: any of them can be replaced by a function.

The defaults are what `bench/rag.py` and `bench/answers.py` measured as no worse than others, and cheap.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from handbook.rag.evidence import Passage
from handbook.rag.nouns import Condition, Found
from handbook.rag.pack import Packed
from handbook.rag.retrieve import DEPTH, FLATNESS
from handbook.rag.search import SCALES, Both, Method
from handbook.rag.understand import Name, Understood
from handbook.records import Message, Sentence

Vectors = NDArray[np.float32]
Expansion = Literal["none", "parents", "neighbours"]

Understand = Callable[[str, Sequence[Message], date | None], Understood]
"""Question, the turns before, today."""
Retrieve = Callable[[Sequence[str], Vectors, Sequence[Condition]], Sequence[Both]]
"""Queries, their vectors [Q, D], filters -> what each finds, in their order."""
Fuse = Callable[[Sequence[Both]], Sequence[Found]]
Rerank = Callable[[str, Sequence[Found]], Sequence[Found]]
"""A question and candidates, best first -> the candidates in a better order."""
Pack = Callable[[Sequence[Found]], Packed]
Synthesize = Callable[[Vectors, Sequence[Passage], Sequence[float]], tuple[Sentence, ...]]
"""The question's vector [D], passages best first, how near each is -> the answer's sentences."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What takes the place of a stage; None is the default, made from `Config`."""

    understand: Understand | None = None
    retrieve: Retrieve | None = None
    fuse: Fuse | None = None
    rerank: Rerank | None = None
    pack: Pack | None = None
    synthesize: Synthesize | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """How a corpus is asked.

    Args:
        understand: which steps of that stage are made (`handbook.rag.understand`).
        depth: rows that each retriever brings. fusion, flatness, weights: of `search.fused`.
        alike: resemblance from which two passages are one (`dedupe.distinct`); 0 leaves all in.
        balance: of relevance against novelty (`diversity.mmr`); 1 is relevance alone.
        pool: rows that the reranker sees. expansion, neighbours: what is handed on in a row's place.
        budget: tokens of what is handed on. passages: of them at most, which are shown with an answer.
        prompted: passages that a chat model is given; two are what the smallest one could follow.
    Raises ValueError for what can't be.
    """

    understand: frozenset[Name] = frozenset({"spell", "rewrite", "filter", "decompose"})
    depth: int = DEPTH
    fusion: Method = "rrf"
    flatness: float = FLATNESS
    weights: tuple[float, float] = (1.0, 1.0)
    alike: float = 0.8
    balance: float = 1.0
    pool: int = 20
    expansion: Expansion = "none"
    neighbours: int = 1
    budget: int = 2000
    passages: int = 6
    prompted: int = 2

    def __post_init__(self) -> None:
        least = {
            "depth": 1,
            "flatness": 0,
            "pool": 1,
            "neighbours": 1,
            "budget": 1,
            "passages": 1,
            "prompted": 1,
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"expected {name} of at least {value}, got {getattr(self, name)}")
        if self.fusion != "rrf" and self.fusion not in SCALES:
            raise ValueError(f"expected fusion rrf, {', '.join(SCALES)}, got {self.fusion!r}")
        if self.expansion not in get_args(Expansion):
            raise ValueError(f"expected an expansion of {get_args(Expansion)}, got {self.expansion!r}")
        if not (0 <= self.alike <= 1 and 0 <= self.balance <= 1):
            raise ValueError(f"expected shares from 0 to 1, got alike {self.alike}, balance {self.balance}")
