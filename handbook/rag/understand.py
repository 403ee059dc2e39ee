"""Stage 5, understand: from what a person typed to what is looked for, where, and under which filters.

    normalise -> spell -> rewrite -> filter -> route -> decompose -> expand -> hyde
                                                 `-> none: nothing is looked for

Each is a function of its own in `handbook.rag.query`, whose result says what it did and why; here they
follow each other, and each leaves a step of the trace. None needs a chat model. A model that fails costs
its suggestion, never the question.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from time import perf_counter
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from handbook.chat import Chat
from handbook.rag.nouns import Condition, Step
from handbook.rag.query.acronyms import Acronyms
from handbook.rag.query.conditions import extract
from handbook.rag.query.decomposing import decompose
from handbook.rag.query.expanding import Embed, Search, hyde, multi_query
from handbook.rag.query.fields import BASIC, Field
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.normal import LONGEST, normalise
from handbook.rag.query.rewriting import rewrite
from handbook.rag.query.routing import Profile, Route, route, small_talk
from handbook.rag.query.spelling import Speller
from handbook.rag.steps import plain
from handbook.rag.text import words
from handbook.records import Message

T = TypeVar("T")
Name = Literal["spell", "rewrite", "route", "filter", "decompose", "expand", "hyde"]

DEFAULT: frozenset[Name] = frozenset({"spell", "rewrite", "route", "filter", "decompose"})
ALL: frozenset[Name] = DEFAULT | {"expand", "hyde"}


@dataclass(frozen=True, slots=True)
class Understood:
    """What is looked for.

    question: as it stands alone, spelled, without its filters. queries: texts to look for, the most
    important first; their rankings are fused. parts: the questions that an answer has to meet. dependent:
    whether later parts need answers of earlier ones. corpora: names, the best first; empty where the
    question is for none (then queries are empty too). vector: in place of the question's own, [D], where
    one was supposed. steps: for the trace."""

    given: str
    question: str
    queries: tuple[str, ...]
    parts: tuple[str, ...]
    corpora: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    dependent: bool = False
    vector: NDArray[np.float32] | None = None
    steps: tuple[Step, ...] = ()


class Understanding:
    """The stage over some corpora. Safe to share between threads.

    Args:
        profiles: what is known of each corpus. acronyms: of all of them together. use: which of the steps
        are made; normalising always is. `ALL` has two that cost: "expand" looks for several
            wordings, "hyde" embeds twice (and asks the chat model, where there is one).
        known: whether a word is right anyway (see `Speller`).
        fields: what can be filtered by. chat, embed, search: what there is of them; "hyde" needs `embed`.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        use: frozenset[Name] = DEFAULT,
        *,
        acronyms: Acronyms | None = None,
        known: Callable[[str], bool] = lambda word: False,
        fields: Sequence[Field] = BASIC,
        chat: Chat | None = None,
        embed: Embed | None = None,
        search: Search | None = None,
    ) -> None:
        if unknown := use - ALL:
            raise ValueError(f"expected steps of {sorted(ALL)}, got {sorted(unknown)}")
        if "hyde" in use and embed is None:
            raise ValueError("expected `embed` where the steps have 'hyde', got none")
        self.profiles = list(profiles)
        self.use = use
        self.fields = tuple(fields)
        self._acronyms, self._known = acronyms, known
        self._chat, self._embed, self._search = chat, embed, search

    @cached_property
    def lexicon(self) -> Lexicon:
        """Of all corpora together."""
        merged = Lexicon({}, 0)
        for profile in self.profiles:
            merged = merged.merged(profile.lexicon)
        return merged

    @cached_property
    def _speller(self) -> Speller:
        names = {word for one in self.fields for name in (one.name, *one.called()) for word in words(name)}
        return Speller(self.lexicon, lambda word: word in names or self._known(word))

    def __call__(
        self, question: str, history: Sequence[Message] = (), today: date | None = None
    ) -> Understood:
        """What a question asks for, after the turns before it. today: what "last week" counts from; the
        machine's day when None.

        Raises HandbookError for a question that is empty or too long, and what the embedder raises.
        """
        trace = Trace()
        chat, use = self._chat, self.use
        text = trace.of("normalise", question, lambda: normalise(question)).text
        if "route" in use and small_talk(text):
            use = use & {"route"}  # nothing to spell, and nothing that it leans on
        turns = self._tidy(history)
        if "spell" in use:
            typed, said = text, {word for turn in turns for word in words(turn.content)}
            text = trace.of("spell", typed, lambda: self._speller.correct(typed, said)).text
        if "rewrite" in use:
            spelled = text
            text = trace.of("rewrite", spelled, lambda: rewrite(spelled, turns, chat)).text
        conditions: tuple[Condition, ...] = ()
        if "filter" in use:
            whole, day = text, today or date.today()
            found = trace.of("filter", whole, lambda: extract(whole, day, self.fields, chat))
            text, conditions = found.rest, found.conditions
        bare = text
        corpora = tuple(profile.name for profile in self.profiles)
        if "route" in use:
            corpora = trace.of("route", bare, lambda: self._route(bare)).corpora
            if not corpora:
                return Understood(question, bare, (), (bare,), (), conditions, steps=tuple(trace.steps))
        parts: tuple[str, ...] = (bare,)
        dependent = False
        if "decompose" in use:
            split = trace.of("decompose", bare, lambda: decompose(bare, chat))
            parts, dependent = split.parts, split.dependent
        queries = list(parts)
        if "expand" in use:
            others = trace.of("expand", bare, lambda: multi_query(bare, self._acronyms, chat))
            queries += [query.text for query in others.queries]
        supposed = None
        if "hyde" in use and self._embed is not None:
            embed = self._embed
            supposed = trace.of("hyde", bare, lambda: hyde(bare, embed, chat, self._search)).vector
        return Understood(
            question, bare, tuple(dict.fromkeys(queries)), parts, corpora, conditions, dependent, supposed,
            tuple(trace.steps),
        )  # fmt: skip

    def _tidy(self, history: Sequence[Message]) -> list[Message]:
        """The turns, those of the person in the form that the question has."""
        turns = []
        for turn in history:
            content = turn.content[:LONGEST]
            if not any(c.isalnum() for c in content):
                continue
            if turn.role == "user":
                content = normalise(content).text
                content = self._speller.correct(content).text if "spell" in self.use else content
            turns.append(replace(turn, content=content))
        return turns

    def _route(self, question: str) -> Route:
        near = self._embed if any(one.samples is not None for one in self.profiles) else None
        return route(question, self.profiles, self._chat, None if near is None else near([question])[0])


def known_by(embedder: object) -> Callable[[str], bool]:
    """Whether a word is right anyway: whole in the embedder's vocabulary, where that is here. Of a right
    question's words that a corpus lacks, spelling then changes far fewer.
    """
    tokenizer = getattr(embedder, "tokenizer", None)
    if tokenizer is None:
        return lambda word: False
    found: list[dict[str, int]] = []

    def known(word: str) -> bool:
        if not found:
            found.append(tokenizer().get_vocab())
        return word in found[0]

    return known


class Trace:
    """Steps as they are made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def of(self, name: str, given: str, do: Callable[[], T]) -> T:
        """The result of `do`, its fields noted as what the step produced."""
        began = perf_counter()
        result = do()
        seconds = perf_counter() - began
        produced, note, cost = shown(result)
        self.steps.append(Step(f"understand.{name}", {"question": given}, produced, seconds, cost, note))
        return result


def shown(result: Any) -> tuple[dict[str, object], str, Mapping[str, float]]:
    """A record's fields as a trace shows them, its reason, and its cost. Vectors as their length alone."""
    fields = {name: getattr(result, name) for name in result.__dataclass_fields__ if name != "given"}
    note, cost = str(fields.pop("why", "")), fields.pop("cost", {})
    produced = {
        name: f"{value.size} numbers" if isinstance(value, np.ndarray) else plain(value)
        for name, value in fields.items()
        if isinstance(value, np.ndarray) or value not in ("", (), None)
    }
    return produced, note, cost
