"""Golden sets, each with its vectors and its words, ready to be asked; read once per process.

Documents are searched whole, title and text, as `handbook bench rag` does; full settings share its vectors,
which it keeps in the data folder. Small settings take some questions, the documents that were judged for
them, and others up to a number; of each the beginning is embedded.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbook.embed import LocalEmbedder
from handbook.errors import DataUnavailable
from handbook.lab import kit
from handbook.lab.rag.chapters import shelf
from handbook.rag import beir, cacm, retrieve
from handbook.rag.beir import Golden
from handbook.rag.bm25 import BM25
from handbook.rag.evaluate import Run, difference, scores
from handbook.rag.text import words
from handbook.settings import Settings
from handbook.settings import load as load_settings

Vectors = NDArray[np.float32]
Scored = list[tuple[str, float]]
"""Ids with their scores, best first."""

DEPTH = 100  # candidates of a retriever
NDCG = "nDCG@10"
_once = Lock()


class Part(NamedTuple):
    """What small settings take of a set: questions, documents, characters of each that are embedded."""

    questions: int
    documents: int
    characters: int


SMALL = {"scifact": Part(60, 240, 400), "cacm": Part(12, 200, 300)}


@cache
def embedder() -> LocalEmbedder:
    """The packaged encoder, whatever this reader's settings name."""
    return LocalEmbedder(load_settings(embedder=str(Settings.model_fields["embedder"].default)))


def embed(texts: Sequence[str]) -> Vectors:  # [N, D]
    """On one thread. Raises ModelUnavailable."""
    with kit.quiet():
        return embedder().embed(texts)


@dataclass(frozen=True)
class Subject:
    """A golden set that can be asked. vectors: [N, D], of the documents in their order."""

    golden: Golden
    vectors: Vectors

    @cached_property
    def ids(self) -> list[str]:
        return list(self.golden.documents)

    @cached_property
    def bodies(self) -> list[str]:
        return [text.whole for text in self.golden.documents.values()]

    @cached_property
    def asked(self) -> Mapping[str, Vectors]:
        """The vector of each question, by its id."""
        return dict(zip(self.golden.queries, embed(list(self.golden.queries.values())), strict=True))

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {id: place for place, id in enumerate(self.ids)}

    @cached_property
    def text_index(self) -> "Words":
        return Words(self.bodies)

    def near(self, vector: Vectors, depth: int = DEPTH) -> Scored:
        """By cosine, compared with every document."""
        return ranked(self.ids, self.vectors @ vector, depth)

    def having(self, text: str, depth: int = DEPTH, once: bool = False) -> Scored:
        """By BM25, without the words that only ask. once: a word that the question has twice counts once."""
        found = self.text_index.search(retrieve.subject(text), depth, once)
        return [(self.ids[place], score) for place, score in found]

    @cached_property
    def dense(self) -> Mapping[str, Scored]:
        return {query: self.near(vector) for query, vector in self.asked.items()}

    @cached_property
    def lexical(self) -> Mapping[str, Scored]:
        return {query: self.having(text) for query, text in self.golden.queries.items()}

    def quality(self, run: Run, measure: str = NDCG) -> Mapping[str, float]:
        """Of each question."""
        return scores("", run, self.golden.judged, [measure]).values[measure]

    def mean(self, run: Run, measure: str = NDCG) -> float:
        return mean(self.quality(run, measure))

    def gain(self, run: Run, over: Run, measure: str = NDCG) -> list[float]:
        """Lower end, mean and upper end of the difference, paired by question, at 95 in 100."""
        found = difference(self.quality(run, measure), self.quality(over, measure))
        return [found.low, found.mean, found.high]


class Words:
    """BM25 over texts, with the stems and the stop words of the app's own index."""

    def __init__(self, bodies: Sequence[str]) -> None:
        vocabulary = sorted({word for body in bodies for word in words(body)})
        self._stems = dict(zip(vocabulary, stems(vocabulary), strict=True))
        self.index = BM25([self.cut(body) for body in bodies])

    def cut(self, text: str) -> list[str]:
        found = words(text)
        new = [word for word in dict.fromkeys(found) if word not in self._stems]
        if new:
            self._stems.update(zip(new, stems(new), strict=True))
        return [stem for word in found if (stem := self._stems[word])]

    def search(self, text: str, depth: int, once: bool = False) -> list[tuple[int, float]]:
        asked = self.cut(" ".join(dict.fromkeys(words(text))) if once else text)
        return self.index.search(asked, depth)


@cache
def _analyser() -> Any:
    """A table of Lance's that is asked for nothing but its stems."""
    import atexit
    import shutil
    import tempfile

    import lancedb
    import pyarrow as pa
    from lancedb.index import FTS

    folder = tempfile.mkdtemp(prefix="handbook-lab-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    table = lancedb.connect(folder).create_table("words", pa.table({"body": ["any"]}))
    table.create_index("body", config=FTS())
    return table


def stems(found: Sequence[str]) -> list[str]:
    """The stem of each word, '' for a stop word."""
    from handbook.rag.text import Stemmer

    return Stemmer(_analyser())(found)


def ranked(ids: Sequence[str], values: Vectors, depth: int = DEPTH) -> Scored:
    """Ids by their values, largest first."""
    order = np.argsort(-values, kind="stable")[:depth]
    return [(ids[place], float(values[place])) for place in order]


def run(found: Mapping[str, Scored]) -> Run:
    """Rankings without their scores."""
    return {query: [id for id, _ in one] for query, one in found.items()}


def mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def folder() -> Path:
    """Of the golden sets. Raises DataUnavailable where no setting names it."""
    named = load_settings().retrieval
    if named is None:
        raise DataUnavailable(
            "SciFact and CACM are not on this machine.",
            "Set HANDBOOK_RETRIEVAL to the folder that holds them.",
        )
    return named


def subject(name: str, small: bool = True) -> Subject:
    """`book`, `scifact` or `cacm`. Raises ModelUnavailable, and but for the book DataUnavailable."""
    with _once:  # two sessions that open the lab at once wait for one reading
        return _book(small) if name == "book" else _subject(name, small, folder())


@cache
def _book(small: bool) -> Subject:
    found = shelf(small).golden
    bodies = [text.whole for text in found.documents.values()]
    return Subject(found, embed(bodies) if small else kept(bodies))


@cache
def _subject(name: str, small: bool, at: Path) -> Subject:
    golden = cacm.read(at / name) if name == "cacm" else beir.read(at / name)
    if small:
        golden = part(golden, SMALL[name])
        bodies = [text.whole[: SMALL[name].characters] for text in golden.documents.values()]
        return Subject(golden, embed(bodies))
    return Subject(golden, kept([text.whole for text in golden.documents.values()]))


def kept(texts: Sequence[str]) -> Vectors:
    """Vectors from the data folder; those that it lacks are made and stay there."""
    from handbook.rag.embed import VectorCache
    from handbook.rag.store import Store

    data = load_settings().data
    store = Store(str(data / "golden"), data / "golden.lock")
    with kit.quiet():
        return VectorCache(store, embedder()).vectors(texts)


def part(golden: Golden, some: Part) -> Golden:
    """Some of a set's questions, with what was judged for them and other documents beside."""

    def order(id: str) -> bytes:
        return hashlib.sha256(id.encode()).digest()

    asked = sorted(golden.queries, key=order)[: some.questions]
    judged = {id for query in asked for id in golden.judged[query] if id in golden.documents}
    others = sorted((id for id in golden.documents if id not in judged), key=order)
    chosen = {*judged, *others[: max(0, some.documents - len(judged))]}
    documents = {id: text for id, text in golden.documents.items() if id in chosen}
    return replace(
        golden,
        documents=documents,
        queries={query: golden.queries[query] for query in asked},
        judged={query: golden.judged[query] for query in asked},
    )
