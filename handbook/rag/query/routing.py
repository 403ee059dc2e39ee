"""Which corpora a question is for, or none.

Without a chat model by words: a corpus that has a question's telling words is worth asking, more so where
the others lack them (the idea of CORI: Callan, Lu and Croft 1995, "Searching Distributed Collections with
Inference Networks", section 3, whose constants suit collections of thousands of documents). With vectors of
some of its passages, nearness counts as well. A chat model is asked only where words leave it open.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query.asking import quoted, say_json
from handbook.rag.query.english import CLOSED, VERBS, tokens
from handbook.rag.query.lexicon import Lexicon

Vectors = NDArray[np.float32]

LEAST = 0.45  # of a score from which a corpus is asked; between questions that the book answers and far ones
SURE = 0.7  # of a score from which no chat model is
NEAR = 0.75  # of the best score from which another corpus is asked too
MOST = 2  # corpora
NEAREST = 3  # samples whose cosines count
CLOSE = 0.3  # cosine from which nearness counts for a corpus, and below which against

TASK = (
    "Choose the collection of documents in which the question should be looked up, by its name. Choose "
    "none if it is for none of them, such as small talk."
)
_SAID = (
    "hi", "hello", "hey", "thanks?", "thank you", "thx", "cheers", "ok(?:ay)?", "great", "nice",
    "cool", "perfect", "good (?:morning|evening|night|job)", "bye", "goodbye", "yes", "no", "sure",
    "please", "help", "test(?:ing)?", "got it", "i see", "understood",
    "(?:that )?(?:makes sense|helps|helped)", "who are you", "what are you", "how are you",
    "what(?:'s| is) your name", "what can you do", "tell me a joke",
    "are you (?:there|human|an? (?:ai|bot|robot))",
)  # fmt: skip
_AFTER = "there|all|today|so much|a lot|very much|doing|you|for (?:that|your help|the help)"
_TALK = rf"(?:{'|'.join(_SAID)})(?:[\s,!.?]+(?:{_AFTER}))*"
_SMALL_TALK = re.compile(rf"{_TALK}(?:[\s,!.?]+{_TALK}){{0,3}}[\s,!.?]*", re.IGNORECASE)
_SUM = re.compile(r"(?:what(?:'s| is)|calculate|compute)?[\d\s.,+*/^()%=x-]{3,}\??", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a corpus. says: what is in it, in a sentence, for a chat model. samples: unit
    vectors of some of its passages, [S, D]."""

    name: str
    lexicon: Lexicon
    says: str = ""
    samples: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """corpora: names, the best first; empty where none is worth asking. scores: of all, 0 to 1."""

    given: str
    corpora: tuple[str, ...]
    scores: Mapping[str, float]
    by: Literal["rule", "model"]
    why: str
    cost: dict[str, float] = field(default_factory=dict)


def route(
    question: str, profiles: Sequence[Profile], chat: Chat | None = None, vector: Vectors | None = None
) -> Route:
    """The corpora to ask, at most `MOST`. vector: of the question, [D], for profiles that have samples."""
    ruled = by_rule(question, profiles, vector)
    best = max(ruled.scores.values(), default=0.0)
    if chat is None or not profiles or not ruled.scores or (best >= SURE and len(ruled.corpora) == 1):
        return ruled
    names = [profile.name for profile in profiles]
    schema = {
        "type": "object",
        "properties": {"collection": {"enum": [*names, "none"]}},
        "required": ["collection"],
        "additionalProperties": False,
    }
    told = "\n".join(f"{profile.name}: {profile.says or 'no description'}" for profile in profiles)
    try:
        value, said = say_json(chat, f"{TASK}\nCollections:\n{told}", quoted("question", question), schema)
    except ChatError as error:
        return replace(ruled, why=f"{ruled.why}; the chat model gave nothing: {error.what}")
    chosen = value["collection"]
    why = f"{ruled.why}; the chat model chose {chosen!r}"
    return Route(question, () if chosen == "none" else (chosen,), ruled.scores, "model", why, dict(said.cost))


def by_rule(question: str, profiles: Sequence[Profile], vector: Vectors | None = None) -> Route:
    """As `route`, without a chat model."""
    if small_talk(question):
        return Route(question, (), {}, "rule", "small talk")
    if _SUM.fullmatch(question.strip()):
        return Route(question, (), {}, "rule", "a sum: no document is needed")
    if named := _named(question, profiles):
        return Route(question, (named,), {named: 1.0}, "rule", f"the question names the corpus {named!r}")
    words = telling(question)
    scores = {one.name: _score(words, one, profiles, vector) for one in profiles}
    ranked = sorted(scores, key=lambda name: -scores[name])
    best = scores[ranked[0]] if ranked else 0.0
    if best < LEAST:
        return Route(
            question, (), scores, "rule", f"no corpus has enough of the question's words ({best:.2f})"
        )
    chosen = tuple(name for name in ranked if scores[name] >= max(LEAST, NEAR * best))[:MOST]
    why = ", ".join(f"{name} {scores[name]:.2f}" for name in ranked)
    return Route(question, chosen, scores, "rule", f"by the words that each has: {why}")


def small_talk(question: str) -> bool:
    """Whether it greets, thanks or asks after the machine."""
    return _SMALL_TALK.fullmatch(question.strip()) is not None


def telling(question: str) -> list[str]:
    """Words that say what a question is about, in lower case; verbs where there is nothing else."""
    words = [one.low.strip("`") for one in tokens(question) if one.is_word and one.low not in CLOSED]
    parts = [part for word in words for part in re.split(r"[-/+._]", word) if len(part) > 1]
    return list(dict.fromkeys([part for part in parts if part not in VERBS] or parts))


def _score(
    words: Sequence[str], profile: Profile, profiles: Sequence[Profile], vector: Vectors | None
) -> float:
    by_words = _share(words, profile, profiles)
    if vector is None or profile.samples is None or not len(profile.samples):
        return by_words
    cosines = np.sort(profile.samples @ vector)[-NEAREST:]
    near = min(1.0, max(0.0, 0.5 + float(cosines.mean()) - CLOSE))
    return (by_words + near) / 2


def _share(words: Sequence[str], profile: Profile, profiles: Sequence[Profile]) -> float:
    """Share of the question's words, weighted by how telling they are over all corpora, that a corpus has;
    one that others have as often counts half as much as one that is its own."""
    total = had = 0.0
    for word in words:
        rates = {one.name: one.lexicon.count(word) / max(1, one.lexicon.size) for one in profiles}
        weight = max(one.lexicon.idf(word) for one in profiles)
        total += weight
        if rates[profile.name] > 0:
            own = rates[profile.name] / sum(rates.values())
            had += weight * (0.5 + 0.5 * min(1.0, own * len(profiles) / 2)) if len(profiles) > 1 else weight
    return had / total if total else 0.0


def _named(question: str, profiles: Sequence[Profile]) -> str:
    """The corpus that a question asks for by name ("in the recipes", "search my notes"), '' for none."""
    for profile in sorted(profiles, key=lambda one: -len(one.name)):
        name = re.escape(profile.name)
        where = (
            rf"\b(?:in|from|of|search|ask|check)\s+(?:the|my|our)?\s*{name}\b(?:\s+(?:corpus|collection))?"
        )
        if re.search(
            rf"\bcorpus:{name}\b|{where}(?=\s*(?:$|[?.!,;:]|for\b|about\b|on\b|corpus|collection))",
            question,
            re.IGNORECASE,
        ):
            return profile.name
    return ""
