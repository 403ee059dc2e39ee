"""Question in, answer out: sentences of the book with their addresses, or an honest refusal.

understand -> embed -> retrieve, fuse, rerank -> confidence -> refuse, or pick sentences -> Answer
                                                      `-> generate (on request): a model's words, each
                                                      sentence checked

`Desk` is where the question box asks: the book, one of the reader's own corpora, or whichever it is for.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.chat import Chat, Delta
from handbook.embed import Embedder
from handbook.errors import HandbookError
from handbook.rag import confidence, support, writing
from handbook.rag.conflict import conflicts
from handbook.rag.evidence import Passage
from handbook.rag.own import Corpus
from handbook.rag.pipeline import Pipeline
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import Profile
from handbook.rag.reader import Reader
from handbook.rag.stages import Config, Stages
from handbook.rag.steps import Steps
from handbook.rag.synthesize import PASSAGES as ANSWERED_FROM
from handbook.rag.synthesize import extract
from handbook.rag.understand import Name, Understanding, known_by
from handbook.records import Answer, Hit, Message, Sampling, Sentence
from handbook.settings import Settings

Vectors = NDArray[np.float32]

PASSAGES = 6  # shown beside an answer or a refusal
CONSIDERED = 18  # hits that the decision looks at
PROMPT_PASSAGES = 2  # given to the chat model
BOOK = "book"
AUTO = "auto"


class Tutor:
    """Answers from the book. Thread-safe as far as its embedder and its chat model are.

    Args:
        corpus: opened with the same embedder.
        embedder: embeds questions and sentences; the corpus's own when None.
        chat: writes the generated answers; without one `generate` raises.
        weights: when to refuse and what counts as support; those that ship with the package when None.
    """

    def __init__(
        self,
        corpus: Corpus,
        embedder: Embedder | None = None,
        chat: Chat | None = None,
        weights: confidence.Confidence | None = None,
    ) -> None:
        self.corpus = corpus
        self.embedder = embedder or corpus.embedder
        self.chat = chat
        self.weights = weights or confidence.fitted()

    def ask(self, question: str, history: Sequence[Message] = ()) -> Answer:
        """One to four sentences of the book in reading order, each with its paragraph; or a refusal with the
        nearest ones.

        Args:
            history: the turns before, oldest first, which the question may lean on.

        Raises:
            HandbookError: an empty or overlong question, or no embedding model.
        """
        corpus, steps = self.corpus, Steps()
        asked = question.strip()
        with steps.stage("index", passages=len(corpus.entries)) as did:
            _, understand = corpus.dense, corpus.understand
            did.note = "full text and vectors are brought up to date at the first question"
        understood = understand(asked, history)
        steps.add(understood.steps)
        meant = understood.question
        with steps.stage("embed", question=meant) as did:
            vector = corpus.embed(meant)
            did.produced["vector"] = f"{vector.size} numbers"
        able = corpus.retrieve(meant, CONSIDERED, citable=True, vector=vector, steps=steps)
        with steps.stage("synthesize.decide", question=meant, passages=len(able)) as did:
            bodies = [corpus.entries[hit.chunk.id].body for hit in able[:ANSWERED_FROM]]
            found = confidence.features(meant, [hit.dense for hit in able], bodies, corpus.vocabulary)
            sure = self.weights.of(found) if able else 0.0
            did.produced = {**found, "confidence": sure}
            did.note = "answered from one half on" if sure >= 0.5 else "refused: below one half"
        shown = tuple(able[:PASSAGES])
        if sure >= 0.5:
            with steps.stage("synthesize", question=meant, passages=len(able[:ANSWERED_FROM])) as did:
                passages = [corpus.passage(hit.chunk.id) for hit in shown]
                chosen = extract(
                    vector, passages, [_near(*pair, vector) for pair in zip(shown, passages, strict=True)]
                )
                apart = conflicts(passages, corpus.vocabulary, [sentence.text for sentence in chosen])
                did.produced = {"sentences": [sentence.text for sentence in chosen], "conflicts": len(apart)}
            if chosen:
                return Answer(asked, chosen, False, shown, sure, steps.seconds, steps.all, conflicts=apart)
        nearest = corpus.retrieve(meant, PASSAGES, vector=vector)
        return Answer(asked, (), True, tuple(nearest), sure, steps.seconds, steps.all)

    def generate(
        self, question: str, answer: Answer, sampling: Sampling | None = None
    ) -> Iterator[Sentence | Delta]:
        """The chat model's answer from the same passages: deltas as they come, each sentence once it is
        complete and checked. Ends at the first sentence that was said before.

        A sentence is supported if every number that it cites is a passage and one of these carries it (see
        `handbook.rag.support`); one without a citation, if any passage does, which is then cited.

        Raises:
            HandbookError: no chat model, or an answer that was refused: there is nothing to restrict the
            model to.
        """
        chat = writing.able(self.chat, answer)
        passages = [self.corpus.passage(hit.chunk.id) for hit in writing.given(answer, PROMPT_PASSAGES)]
        return writing.write(chat, question, passages, partial(self._check, question, passages), sampling)

    def _check(self, question: str, passages: Sequence[Passage], text: str) -> Sentence:
        """One written sentence against the passages that it was to be written from (cited as 1, 2, ...)."""
        plain, _ = support.cited(text)
        vector = self.corpus.embed(plain) if self.embedder is None else self.embedder.embed([plain])[0]
        least = (self.weights.support, self.weights.support_words)
        return support.check(passages, self.corpus.vocabulary, text, vector, question, least)


def _near(hit: Hit, passage: Passage, question: Vectors) -> float:
    return float(hit.dense if hit.dense is not None else np.max(passage.vectors[1:] @ question))


def stages_of(settings: Settings) -> Stages:
    """How the reader's own corpora are asked, by the settings: with the reranker that they name. Nothing is
    loaded before the first question.
    """
    if not settings.reranker:
        return Stages()
    from handbook.rag.cross import Cross
    from handbook.reranking import open_reranker

    return Stages(rerank=Cross(open_reranker(settings.reranker, settings)))


class Shelves(Protocol):
    """The reader's own corpora (`handbook.rag.corpora`). What `all` returns has a `name` each, and a `fault`
    where it can't be asked."""

    @property
    def embedder(self) -> Embedder: ...

    def all(self) -> Sequence[Any]: ...

    def reader(self, name: str) -> Reader: ...

    def vocabulary(self, name: str) -> Lexicon: ...


class Desk:
    """One place to ask, whatever is asked. Threads may share one.

    Args:
        book: opens the book's tutor, or gives the one that is open; called only where the book is asked.
        corpora: the reader's own; None where there are none.
        chat: writes the generated answers over them. config, stages: how they are asked.
    """

    def __init__(
        self,
        book: Callable[[], Tutor],
        corpora: Shelves | None = None,
        chat: Chat | None = None,
        config: Config | None = None,
        stages: Stages | None = None,
    ) -> None:
        self._book, self._corpora, self._chat = book, corpora, chat
        self._config, self._stages = config, stages
        self._pipelines: dict[str, Pipeline] = {}
        self._routing: tuple[list[Profile], Understanding] | None = None
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """What can be asked, the book first."""
        there = self._corpora.all() if self._corpora is not None else ()
        return [BOOK, *(about.name for about in there if not getattr(about, "fault", ""))]

    def ask(self, question: str, corpus: str = BOOK, history: Sequence[Message] = ()) -> Answer:
        """An answer from the book, from a corpus by its name, or from whichever the question is for ("auto").
        Its `corpus` says which it was.

        Raises HandbookError for an empty or overlong question, a corpus that is not there or was made with
        another embedding model, and where no model embeds.
        """
        if corpus == AUTO:
            return self._routed(question, history)
        return self._ask(question, corpus, history)

    def generate(
        self, question: str, answer: Answer, sampling: Sampling | None = None
    ) -> Iterator[Sentence | Delta]:
        """The chat model's answer from the passages of an answer, by whoever gave it."""
        if answer.corpus == BOOK:
            return self._book().generate(question, answer, sampling)
        return self.pipeline(answer.corpus).generate(question, answer, sampling)

    def pipeline(self, name: str) -> Pipeline:
        """A corpus as it is asked; made anew where its documents changed. Raises HandbookError as `ask`."""
        if self._corpora is None:
            raise HandbookError(f"There is no corpus {name!r}.", "`handbook ingest` makes one.")
        reader, lexicon = self._corpora.reader(name), self._corpora.vocabulary(name)
        with self._lock:
            held = self._pipelines.get(name)
            if held is None or held.reader is not reader or held.profile.lexicon is not lexicon:
                embedder = self._corpora.embedder
                held = self._pipelines[name] = Pipeline(
                    name, reader, "local", embedder, lexicon, self._chat, self._config, self._stages
                )
            return held

    def _ask(self, question: str, corpus: str, history: Sequence[Message]) -> Answer:
        if corpus == BOOK:
            return self._book().ask(question, history)
        return self.pipeline(corpus).ask(question, history)

    def _routed(self, question: str, history: Sequence[Message]) -> Answer:
        """Of the corpora that the question may be for, the surest one's answer."""
        understood = self._router()(question.strip(), history)
        steps = Steps(understood.steps)
        if not understood.corpora:
            return Answer(question.strip(), (), True, (), 0.0, steps.seconds, steps.all)
        given = [self._ask(understood.question, name, ()) for name in understood.corpora]
        best = max(given, key=lambda answer: (not answer.refused, answer.confidence))
        steps.add(best.steps)
        return replace(best, question=question.strip(), timings=steps.seconds, steps=steps.all)

    def _router(self) -> Understanding:
        book = self._book()
        profiles = [book.corpus.profile]
        profiles += [self.pipeline(name).profile for name in self.names() if name != BOOK]
        with self._lock:
            if self._routing is None or any(a is not b for a, b in zip_longest(self._routing[0], profiles)):
                known = known_by(book.corpus.embedder)
                use: frozenset[Name] = frozenset({"spell", "rewrite", "route"})
                self._routing = profiles, Understanding(profiles, use, known=known)
            return self._routing[1]
