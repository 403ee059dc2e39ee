"""The stages composed, for anybody's documents: a corpus is asked, each stage seen and each replaceable.

    understand -> embed -> retrieve -> fuse -> rerank -> pack -> synthesize -> Answer
                                                                    `-> generate: a model's words, each
                                                                    sentence checked

The book is asked in the same stages by `handbook.tutor`, over paragraphs that have addresses of their own.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property, partial
from pathlib import PurePath
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from handbook.chat import Chat, Delta
from handbook.embed import Embedder
from handbook.rag import confidence, pack, search, support, writing
from handbook.rag.conflict import conflicts
from handbook.rag.dedupe import distinct
from handbook.rag.diversity import diverse
from handbook.rag.evidence import LexiconTerms, Passage, spans
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.query.fields import BASIC
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import Profile
from handbook.rag.reader import Reader
from handbook.rag.remembered import Remembered
from handbook.rag.search import Both, Retriever
from handbook.rag.stages import Config, Stages
from handbook.rag.steps import Steps, passages
from handbook.rag.synthesize import PASSAGES, extract
from handbook.rag.tokens import Count, count_of
from handbook.rag.understand import Name, Understanding, Understood, known_by
from handbook.records import Answer, Chunk, Conflict, Hit, Message, Sampling, Sentence

Vectors = NDArray[np.float32]

READ = 4  # passages whose sentences are looked at: each of them has to be embedded while somebody waits


class Pipeline:
    """Asks a corpus. Safe to share between threads, as far as its embedder and its chat model are.

    Args:
        reader: of the corpus; opened with the same embedder. tenant: who asks.
        lexicon: the corpus's words. chat: writes the generated answers; without one `generate` raises.
        stages: what takes the place of a stage. weights: when to refuse, and what counts as support.
    """

    def __init__(
        self,
        name: str,
        reader: Reader,
        tenant: str,
        embedder: Embedder,
        lexicon: Lexicon,
        chat: Chat | None = None,
        config: Config | None = None,
        stages: Stages | None = None,
        weights: confidence.Confidence | None = None,
    ) -> None:
        self.name, self.reader, self.tenant, self.embedder, self.chat = name, reader, tenant, embedder, chat
        self.config, self.stages = config or Config(), stages or Stages()
        self.weights = weights or confidence.fitted("confidence_corpora")
        self.terms = LexiconTerms(lexicon)
        self.profile = Profile(name, lexicon)
        self._remembered = Remembered(embedder)
        self._retriever = Retriever(reader)

    def search(
        self, question: str, limit: int = 10, conditions: Sequence[Condition] = (), steps: Steps | None = None
    ) -> list[Found]:
        """Rows for a question, best first: understood, retrieved, fused and reranked.

        Raises HandbookError for a question that is empty or too long, for conditions that the corpus can't
        meet, and where no model embeds.
        """
        steps = steps or Steps()
        understood = self._understand(question, (), None, steps)
        return self._found(understood, conditions, steps)[1][:limit]

    def ask(
        self,
        question: str,
        history: Sequence[Message] = (),
        conditions: Sequence[Condition] = (),
        today: date | None = None,
    ) -> Answer:
        """One to four sentences of the documents, each with its passage; or a refusal with the nearest
        passages. Its `steps` say what each stage did.

        Args:
            history: the turns before, oldest first. conditions: filters that hold besides those that the
            question states. today: what "last week" counts from; the machine's day when None.

        Raises as `search` does.
        """
        steps = Steps()
        understood = self._understand(question, history, today, steps)
        vector, found = self._found(understood, conditions, steps)
        handed = self._packed(self._expanded(found[: self.config.pool], steps), steps)
        shown = tuple(self._hit(one) for one in handed)
        told, near, sure = self._read(understood.question, vector, shown[:READ], steps)
        chosen: tuple[Sentence, ...] = ()
        apart: tuple[Conflict, ...] = ()
        if sure >= 0.5:
            with steps.stage("synthesize", question=understood.question, passages=len(told)) as did:
                chosen = (self.stages.synthesize or extract)(vector, told, near)
                apart = conflicts(told, self.terms, [sentence.text for sentence in chosen])
                did.produced = {"sentences": [sentence.text for sentence in chosen]}
                if apart:
                    did.produced["conflicts"] = [f"{one.about}: {one.why}" for one in apart]
                if orders := sum(len(passage.orders) for passage in told):
                    did.note = f"{orders} sentences give orders to a model; they are no evidence"
        return Answer(
            question.strip(), chosen, not chosen, shown, sure, steps.seconds, steps.all, self.name, apart
        )

    def generate(
        self, question: str, answer: Answer, sampling: Sampling | None = None
    ) -> Iterator[Sentence | Delta]:
        """The chat model's answer from the passages of an answer: deltas as they come, each sentence once it
        is complete and checked (see `handbook.rag.writing`).

        Raises HandbookError: no chat model, or an answer that was refused.
        """
        chat = writing.able(self.chat, answer)
        told = self._passages(pack.ends_first(writing.given(answer, self.config.prompted)))
        return writing.write(chat, question, told, partial(self._check, question, told), sampling)

    def close(self) -> None:
        self._retriever.close()

    # Stage 5

    def _understand(
        self, question: str, history: Sequence[Message], today: date | None, steps: Steps
    ) -> Understood:
        understood = (self.stages.understand or self._understanding)(question.strip(), history, today)
        steps.add(understood.steps)
        return understood

    @cached_property
    def _understanding(self) -> Understanding:
        has = {"kind", "language", *self.reader.fields(self.tenant)}
        no_words: frozenset[Name] = frozenset({"spell"} if not self.profile.lexicon.size else ())
        return Understanding(
            [self.profile],
            self.config.understand - no_words,
            known=known_by(self.embedder),
            fields=[one for one in BASIC if one.name in has],
            chat=self.chat if self.config.understand & {"expand", "hyde"} else None,
            embed=self._remembered.embed,
        )

    # Stages 3, 6, 7 and 8

    def _found(
        self, understood: Understood, conditions: Sequence[Condition], steps: Steps
    ) -> tuple[Vectors, list[Found]]:
        """The question's vector, and rows, best first."""
        queries = understood.queries or (understood.question,)
        with steps.stage("embed", texts=list(queries)) as did:
            vectors = self._remembered.embed([understood.question, *queries])
            did.produced["vectors"] = f"{len(queries)} of {vectors.shape[1]} numbers"
        asked = vectors[1:].copy()
        if understood.vector is not None:
            asked[0] = understood.vector
        wanted = (*conditions, *understood.conditions)
        both = self._retrieved(queries, asked, wanted, steps)
        if understood.conditions and not any(one.dense or one.lexical for one in both):
            both = self._retrieved(queries, asked, conditions, steps, "nothing meets the question's filters")
        fused = self._fused(both, steps)
        pool, rest = fused[: self.config.pool], fused[self.config.pool :]
        return vectors[0], [*self._reranked(understood.question, pool, steps), *rest]

    def _retrieved(
        self,
        queries: Sequence[str],
        vectors: Vectors,
        conditions: Sequence[Condition],
        steps: Steps,
        why: str = "",
    ) -> Sequence[Both]:
        filters = [_told(condition) for condition in conditions]
        with steps.stage("retrieve", queries=list(queries), filters=filters, depth=self.config.depth) as did:
            both = (self.stages.retrieve or self._retrieve)(queries, vectors, conditions)
            for number, one in enumerate(both[:3], start=1):
                of = f", query {number}" if len(both) > 1 else ""
                did.produced[f"by words{of}"] = passages(one.lexical)
                did.produced[f"by meaning{of}"] = passages(one.dense)
            did.cost["seconds by words"] = sum(one.lexical_seconds for one in both)
            did.cost["seconds by meaning"] = sum(one.dense_seconds for one in both)
            did.note = f"{why}: asked without them" if why else "by words and by meaning at the same time"
        return both

    def _retrieve(
        self, queries: Sequence[str], vectors: Vectors, conditions: Sequence[Condition]
    ) -> list[Both]:
        return [
            self._retriever.both(query, vector, conditions, self.tenant, self.config.depth)
            for query, vector in zip(queries, vectors, strict=True)
        ]

    def _fused(self, both: Sequence[Both], steps: Steps) -> list[Found]:
        config = self.config
        with steps.stage("fuse", rankings=2 * len(both), method=config.fusion, k=config.flatness) as did:
            found = list((self.stages.fuse or self._fuse)(both))
            did.produced = {"passages": passages(found), "of": len(found)}
        if config.alike:
            with steps.stage("fuse.distinct", passages=len(found), alike=config.alike) as did:
                once = distinct(found, config.alike)
                did.produced["left out"] = [
                    {"id": one.found.row.id, "title": one.found.row.title, "for": one.of, "why": one.why}
                    for one in once.dropped[:10]
                ]
                found = list(once.kept)
        if config.balance < 1 and found:
            with steps.stage("fuse.diverse", passages=len(found), balance=config.balance) as did:
                vectors = self.reader.vectors([one.row.id for one in found], self.tenant)
                rows = np.stack([vectors[one.row.id] for one in found])
                ranked = diverse(found, rows, config.pool, config.balance)
                did.produced["passages"] = passages(ranked, found)
                found = ranked
        return found

    def _fuse(self, both: Sequence[Both]) -> list[Found]:
        """Of each query, then the queries' rankings by rank; a row has the best scores that any gave it."""
        config = self.config
        each = [search.fused(one, config.flatness, config.weights, config.fusion) for one in both]
        if len(each) == 1:
            return each[0]
        rows: dict[str, Found] = {}
        for found in each:
            for one in found:
                rows[one.row.id] = _joined(rows[one.row.id], one) if one.row.id in rows else one
        ranked = reciprocal_rank_fusion([[one.row.id for one in found] for found in each], config.flatness)
        return [replace(rows[id], score=score) for id, score in ranked]

    def _reranked(self, question: str, pool: Sequence[Found], steps: Steps) -> Sequence[Found]:
        if self.stages.rerank is None or not pool:
            return pool
        with steps.stage("rerank.pairs", question=question, pool=len(pool)) as did:
            ranked = self.stages.rerank(question, pool)
            did.produced["passages"] = passages(ranked, pool)
            did.note = getattr(self.stages.rerank, "name", "")
        return ranked

    def _expanded(self, found: Sequence[Found], steps: Steps) -> Sequence[Found]:
        if self.config.expansion == "none" or not found:
            return found
        with steps.stage("retrieve.expand", passages=len(found), by=self.config.expansion) as did:
            if self.config.expansion == "parents":
                wide = search.with_parents(found, self.reader, self.tenant)
            else:
                wide = search.with_neighbours(found, self.config.neighbours, self.reader, self.tenant)
            did.produced["passages"] = passages(wide, found)
        return wide

    def _packed(self, found: Sequence[Found], steps: Steps) -> tuple[Found, ...]:
        config = self.config
        with steps.stage("pack", passages=len(found), budget=config.budget) as did:
            packed = (self.stages.pack or self._pack)(found)
            did.produced = {"passages": passages(packed.kept, found), "left": len(packed.left)}
            did.cost["tokens"] = packed.tokens
        return packed.kept

    def _pack(self, found: Sequence[Found]) -> pack.Packed:
        return pack.pack(found, self.config.budget, self._count, self.config.passages)

    @cached_property
    def _count(self) -> Count:
        return count_of(self.embedder)

    # Stage 9

    def _read(
        self, question: str, vector: Vectors, hits: Sequence[Hit], steps: Steps
    ) -> tuple[list[Passage], list[float], float]:
        """Passages in their sentences, how near each is to the question, and how likely they answer it."""
        with steps.stage("synthesize.decide", question=question, passages=len(hits)) as did:
            before = self._remembered.embedded
            told = self._passages(hits)
            near = [self._near(hit, passage, vector) for hit, passage in zip(hits, told, strict=True)]
            bodies = [passage.said for passage in told[:PASSAGES]]
            features = confidence.features(question, near, bodies, self.terms)
            sure = self.weights.of(features) if told else 0.0
            did.produced = {**features, "confidence": sure}
            did.cost["texts embedded"] = self._remembered.embedded - before
            did.note = "answered from one half on" if sure >= 0.5 else "refused: below one half"
        return told, near, sure

    def _passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Passages as evidence: in sentences, with vectors, in the order of the hits."""
        cut = [[hit.chunk.text[a:b] for a, b in spans(hit.chunk.text)] for hit in hits]
        vectors = self._remembered.embed([text for texts in cut for text in texts])
        wholes = self._wholes(hits)
        documents = list(dict.fromkeys(hit.chunk.document for hit in hits))
        told, at = [], 0
        for hit, texts, whole in zip(hits, cut, wholes, strict=True):
            rows = np.concatenate([whole[None], vectors[at : at + len(texts)]])
            at += len(texts)
            number = hit.chunk.id.rpartition("-")[2]
            order = (documents.index(hit.chunk.document), int(number) if number.isdigit() else 0)
            told.append(Passage(hit.chunk, tuple(texts), rows, hit.chunk.document, order))
        return told

    def _wholes(self, hits: Sequence[Hit]) -> list[Vectors]:
        """The vector of each passage: the index's own, unless the passage was expanded."""
        kept: dict[str, Vectors] = {}
        if self.config.expansion == "none":
            kept = self.reader.vectors([hit.chunk.id for hit in hits], self.tenant)
        new = [hit.chunk for hit in hits if hit.chunk.id not in kept]
        made = self._remembered.embed([f"{chunk.title}. {chunk.text}" for chunk in new])
        kept |= {chunk.id: vector for chunk, vector in zip(new, made, strict=True)}
        return [kept[hit.chunk.id] for hit in hits]

    def _near(self, hit: Hit, passage: Passage, question: Vectors) -> float:
        """The mean of two nearnesses, as over the book: of the whole passage and of its nearest sentence."""
        cosines = passage.vectors @ question
        return float(((cosines[0] if hit.dense is None else hit.dense) + cosines[1:].max()) / 2)

    def _check(self, question: str, told: Sequence[Passage], text: str) -> Sentence:
        plain, _ = support.cited(text)
        vector = self._remembered.embed([plain])[0]
        least = (self.weights.support, self.weights.support_words)
        return support.check(told, self.terms, text, vector, question, least)

    def _hit(self, one: Found) -> Hit:
        return Hit(chunk_of(one.row, self.name), one.score, one.dense, one.lexical)


def chunk_of(row: Row, corpus: str) -> Chunk:
    """A row as a passage with an address in the app."""
    titles = dict.fromkeys(title for title in (row.title, *row.headings) if title)
    title = " / ".join(titles) or PurePath(row.document).name or row.document
    url = f"/corpora/{quote(corpus)}/passage/{quote(row.id, safe='')}"
    return Chunk(row.id, row.document, "", title, row.text, url, "document")


def _joined(one: Found, other: Found) -> Found:
    """A row that two queries found."""

    def most(a: float | None, b: float | None) -> float | None:
        return max((value for value in (a, b) if value is not None), default=None)

    return replace(one, dense=most(one.dense, other.dense), lexical=most(one.lexical, other.lexical))


def _told(condition: Condition) -> str:
    """A filter in words."""
    if condition.any_of:
        return f"{condition.name}: {' or '.join(map(str, condition.any_of))}"
    bounds = (("from", condition.least), ("to", condition.most))
    return f"{condition.name} " + " ".join(f"{word} {value}" for word, value in bounds if value is not None)
