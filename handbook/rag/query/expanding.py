"""One question looked for in several ways: other wordings, and the vector of an answer that was never given.

Several wordings whose rankings are fused: Rackauckas 2024 ("RAG-Fusion", arXiv:2402.03367, section 3).
Without a chat model they are the question with the corpus's short forms written out, or cut short. The vector
of a hypothetical answer: Gao et al. 2023 (HyDE, arXiv:2212.10496, equation 8). Without a chat model the
passages that full text finds first stand in its place, which is Rocchio's feedback (1971; Manning, Raghavan
and Schütze 2008, "Introduction to Information Retrieval", equation 9.3, with alpha 1, beta 0.75, gamma 0).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query.acronyms import Acronyms
from handbook.rag.query.asking import foreign, quoted, say
from handbook.rag.query.english import content
from handbook.records import Sampling

Vector = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vector]  # texts -> [N, D], unit rows
Search = Callable[[str], Sequence[str]]  # question -> texts of passages, best first

MOST = 4  # queries, the question's own wording among them
LONGEST = 300  # characters of a wording
FEEDBACK = 3  # passages whose vectors are added to the question's
BETA = 0.75
HYPOTHESES = 2

TASK = (
    "Write three other wordings of the question, for searching: other words for the same things, one a "
    "line. Do not answer it."
)
ANSWER = (
    "Write one short paragraph of a textbook that answers the question. State it plainly; if you are not "
    "sure, write what such a paragraph would say."
)


@dataclass(frozen=True, slots=True)
class Query:
    """A text to look for. how: what made it of the question."""

    text: str
    how: str


@dataclass(frozen=True, slots=True)
class Queries:
    """queries: the question's own wording first; no two alike. dropped: a model's wordings not taken, and
    why."""

    given: str
    queries: tuple[Query, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    why: str = ""
    cost: dict[str, float] = field(default_factory=dict)


def multi_query(
    question: str,
    acronyms: Acronyms | None = None,
    chat: Chat | None = None,
    most: int = MOST,
) -> Queries:
    """At most `most` wordings of a question, to be looked for each and fused.

    A chat model's wordings come behind those of the corpus. One that shares no word with the question, or
    is the question again, is dropped."""
    found = [Query(question, "as asked")]
    found += [Query(text, how) for text, how in (acronyms.variants(question) if acronyms else [])]
    dropped: list[tuple[str, str]] = []
    why, cost = "", {}
    if chat is not None:
        try:
            said = say(
                chat, TASK, quoted("question", question), Sampling(max_tokens=160, temperature=0.7, seed=0)
            )
        except ChatError as error:
            why = f"the chat model gave nothing: {error.what}"
        else:
            cost = dict(said.cost)
            for line in said.lines:
                if fault := _fault(line, question):
                    dropped.append((line[:LONGEST], fault))
                else:
                    found.append(Query(line, "worded by the chat model"))
    distinct: dict[str, Query] = {}
    for query in found:
        distinct.setdefault(" ".join(query.text.lower().rstrip(" ?.!").split()), query)
    return Queries(question, tuple(distinct.values())[:most], tuple(dropped), why, cost)


def _fault(line: str, question: str) -> str:
    if len(line) > LONGEST:
        return "far too long"
    words = content(line)
    if not words:
        return "no word of content"
    return "no word of the question" if len(foreign(line, [question])) == len(words) else ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """vector: what to look for in place of the question's own, [D], unit length. texts: whose vectors are
    in it beside the question's. They are never shown as true: a hypothesis may be wrong."""

    given: str
    vector: Vector
    texts: tuple[str, ...]
    by: Literal["model", "feedback", "nothing"]
    why: str
    cost: dict[str, float] = field(default_factory=dict)


def hyde(
    question: str,
    embed: Embed,
    chat: Chat | None = None,
    search: Search | None = None,
    count: int = HYPOTHESES,
) -> Hypothesis:
    """The mean of the question's vector and those of answers that a chat model supposes; without one (or
    where it says nothing), the question's and a part of those of the passages found first; without either,
    the question's."""
    texts, cost, why = [], dict[str, float](), "no chat model and no search"
    if chat is not None:
        for seed in range(count):
            try:
                drawn = Sampling(max_tokens=120, temperature=0.7, seed=seed)
                said = say(chat, ANSWER, quoted("question", question), drawn)
            except ChatError as error:
                why = f"the chat model gave nothing: {error.what}"
                break
            cost = {name: cost.get(name, 0.0) + said.cost.get(name, 0.0) for name in {*cost, *said.cost}}
            if content(said.text):
                texts.append(said.text)
        if texts:
            mean = embed([question, *texts]).mean(axis=0)
            why = f"the mean of the question and of {len(texts)} supposed answers"
            return Hypothesis(question, _unit(mean), tuple(texts), "model", why, cost)
    passages = tuple(search(question)[:FEEDBACK]) if search is not None else ()
    if passages:
        vectors = embed([question, *passages])
        vector = vectors[0] + BETA * vectors[1:].mean(axis=0)
        why = f"the question, and {BETA} of the mean of {len(passages)} passages found first"
        return Hypothesis(question, _unit(vector), passages, "feedback", why, cost)
    return Hypothesis(question, embed([question])[0], (), "nothing", why, cost)


def _unit(vector: Vector) -> Vector:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
