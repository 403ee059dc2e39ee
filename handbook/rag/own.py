"""The book's own corpus, searched while someone types and asked when they have a question.

    chunk -> index (full text) -> search
       `---> embed -> retrieve (both in parallel) -> fuse -> rerank -> [Tutor]

`handbook.rag.pipeline` is the same for anybody's documents.

Opening reads the book only. LanceDB is imported at the first search, the encoder at the first question.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handbook.errors import HandbookError
from handbook.rag import retrieve
from handbook.rag.embed import Progress, VectorCache
from handbook.rag.evidence import Passage
from handbook.rag.passages import Entry, book_entries, code_entries
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import Profile
from handbook.rag.rerank import POOL, Reranker
from handbook.rag.retrieve import DenseIndex
from handbook.rag.steps import SHOWN, Steps, passages
from handbook.rag.store import Store
from handbook.rag.text import TextIndex, Vocabulary
from handbook.rag.understand import Understanding, known_by
from handbook.records import Chunk, Hit
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.book.nouns import Book
    from handbook.embed import Embedder

PARAGRAPHS = ("paragraph",)
IDENTIFIER = re.compile(r"[A-Za-z]_|_[A-Za-z]|[a-z]\.[a-z]|\w\(|[a-z][A-Z]")
ASIDE = 0.4  # what a full-text score of code counts in a search
POINTER = 0.6  # what that of a paragraph counts which could not be an answer


class Corpus:
    """Passages with their indexes. Safe to share between threads."""

    def __init__(self, entries: Sequence[Entry], store: Store, embedder: "Embedder | None" = None) -> None:
        self.entries = {entry.chunk.id: entry for entry in entries}
        if len(self.entries) != len(entries):
            raise ValueError(
                f"expected passages with distinct ids, got {len(entries) - len(self.entries)} twice"
            )
        self.embedder = embedder
        self._store = store
        self._lock = threading.RLock()
        self._dense: DenseIndex | None = None
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="full-text")

    def search(self, text: str, limit: int = 10, kinds: Sequence[str] | None = None) -> list[Hit]:
        """Passages for a text that is still being typed, by full text alone: no model, no vectors.

        kinds: any of paragraph, question, code; all when None. What says little counts less: pointers,
        outlines, and docstrings, which are short and name their subject over and over (unless the text is
        written like a name in code).
        """
        wanted = ("paragraph", "question", "code") if kinds is None else kinds
        book, code = [kind for kind in wanted if kind != "code"], [kind for kind in wanted if kind == "code"]
        found = self.text.complete(text, limit, book) if book else []
        found += self.text.complete(text, limit, code) if code else []
        named = bool(IDENTIFIER.search(text))
        weighed = [(id, score * self._weight(id, named)) for id, score in found]
        ranked = sorted(weighed, key=lambda pair: -pair[1])[:limit]
        return [Hit(self.entries[id].chunk, score, lexical=score) for id, score in ranked]

    def _weight(self, id: str, named: bool) -> float:
        """What a full-text score counts in a search; named: the text is written like a name in code."""
        entry = self.entries[id]
        if entry.chunk.kind == "code":
            return 1.0 if named else ASIDE
        return 1.0 if entry.answers or entry.chunk.kind == "question" or not entry.chunk.anchor else POINTER

    def retrieve(
        self,
        question: str,
        limit: int = 10,
        kinds: Sequence[str] | None = PARAGRAPHS,
        citable: bool = False,
        vector: NDArray[np.float32] | None = None,
        steps: Steps | None = None,
    ) -> list[Hit]:
        """Passages for a question: full text and vectors in parallel, fused, the first of them reranked.

        Embeds what is not embedded yet. Without an embedder it is full text alone. Raises what the embedder
        raises (ModelUnavailable).
        citable: only passages that may answer. vector: of the question, where it is at hand. steps: where
        each stage says what it did.
        """
        steps = steps or Steps()
        subject = retrieve.subject(question)
        if self.embedder is None:
            found = self.text.match(subject, limit, kinds, citable)
            return [Hit(self.entries[id].chunk, score, lexical=score) for id, score in found]
        dense = self.dense
        vector = self.embed(question) if vector is None else vector
        with steps.stage(
            "retrieve", words=subject, vector=f"{vector.size} numbers", depth=retrieve.DEPTH
        ) as did:
            waiting = self._workers.submit(self.text.match, subject, retrieve.DEPTH, kinds, citable)
            near = dense.search(vector, retrieve.DEPTH, kinds, citable)
            by_words = waiting.result()
            did.produced["by words"] = passages([self._hit(id, lexical=x) for id, x in by_words[:SHOWN]])
            did.produced["by meaning"] = passages([self._hit(id, dense=x) for id, x in near[:SHOWN]])
        with steps.stage("fuse", rankings=2, k=retrieve.FLATNESS) as did:
            hits = retrieve.fused(by_words, near, self.entries)
            did.produced = {"passages": passages(hits), "of": len(hits)}
            did.note = "reciprocal rank fusion"
        if any(hit.chunk.kind == "code" for hit in hits):
            return hits[:limit]  # code has no vectors to look at it with
        pool = hits[: max(limit, POOL)]
        with steps.stage("rerank", question=question, pool=len(pool)) as did:
            ranked = self.rerank(question, vector, pool)
            did.produced["passages"] = passages(ranked, pool)
            did.note = "nearness of the passage and of its nearest sentence, and the question's words in both"
        return ranked[:limit]

    def _hit(self, id: str, dense: float | None = None, lexical: float | None = None) -> Hit:
        score = dense if dense is not None else lexical
        return Hit(self.entries[id].chunk, score or 0.0, dense, lexical)

    def embed(self, question: str) -> NDArray[np.float32]:
        """The vector of a question. Raises HandbookError where the corpus was opened without an embedder."""
        if self.embedder is None:
            raise HandbookError(
                "This corpus was opened without an embedding model.", "Open it with one to ask questions."
            )
        vector: NDArray[np.float32] = self.embedder.embed([question])[0]
        return vector

    def build(self, progress: Progress | None = None) -> None:
        """Bring both indexes up to date; embeds only texts that are new.

        progress: called with texts done, texts in all and a note, if there are any to embed.
        """
        _ = self.text
        with self._lock:
            if self._dense is None and self.embedder is not None:
                entries = [entry for entry in self.entries.values() if entry.vectors_of]
                texts = [text for entry in entries for text in entry.vectors_of]
                vectors = VectorCache(self._store, self.embedder).vectors(texts, progress)
                self._dense = DenseIndex(entries, vectors)

    @cached_property
    def rerank(self) -> Reranker:
        """The last look at what was retrieved."""
        return Reranker(self.entries, self.dense, self.vocabulary)

    @property
    def ready(self) -> bool:
        """Whether `retrieve` can answer at once."""
        return self._dense is not None

    @property
    def dense(self) -> DenseIndex:
        """Vectors of all passages, embedded if need be."""
        if self._dense is None:
            self.build()
        if self._dense is None:
            raise HandbookError(
                "This corpus was opened without an embedding model.", "Open it with one to ask questions."
            )
        return self._dense

    @property
    def text(self) -> TextIndex:
        """The full-text index, opened (and brought up to date) at the first use."""
        with self._lock:
            return self._text

    @cached_property
    def _text(self) -> TextIndex:
        return TextIndex(self._store, list(self.entries.values()))

    @property
    def vocabulary(self) -> Vocabulary:
        index = self.text
        with self._lock:
            return index.vocabulary

    @cached_property
    def profile(self) -> Profile:
        """What is known of the book where a corpus is chosen for a question."""
        says = "The handbook: how language models are built, trained, served, asked and measured."
        return Profile("book", Lexicon(self.vocabulary.word_frequency, self.vocabulary.size), says)

    @cached_property
    def understand(self) -> Understanding:
        """What a question asks for, by the book's own words."""
        return Understanding([self.profile], frozenset({"spell", "rewrite"}), known=known_by(self.embedder))

    def passage(self, id: str) -> Passage:
        """A passage in its sentences, as what an answer may rest on."""
        entry = self.entries[id]
        vectors = self.dense.passage_vectors(id)
        texts = entry.sentences if len(vectors) > 1 else (entry.chunk.text,)
        if len(vectors) == 1:
            vectors = np.repeat(vectors, 2, axis=0)  # the whole is its only sentence
        return Passage(entry.chunk, texts, vectors, entry.chunk.document, (entry.order,))

    def answers(self, chunk: Chunk) -> bool:
        """Whether a passage may be cited as an answer: a paragraph of a chapter that is written."""
        entry = self.entries.get(chunk.id)
        return entry is not None and entry.answers


def open_corpus(
    book: "Book", settings: Settings, embedder: "Embedder | None" = None, progress: Progress | None = None
) -> Corpus:
    """The corpus of the book: paragraphs, questions, and the docstrings of the code.

    Reads and computes nothing that a search does not need: `Corpus.build` or the first question does the
    rest, unless `progress` is given; then everything is made ready here, and it is told how far.
    """
    entries = [*book_entries(book), *code_entries()]
    corpus = Corpus(entries, Store(settings.store, Path(settings.data) / "index.lock"), embedder)
    if progress is not None:
        corpus.build(progress)
    return corpus
