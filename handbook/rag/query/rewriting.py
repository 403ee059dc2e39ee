"""A question of a conversation, made to stand alone: "and how does it fail?" says what "it" is.

The task: Elgohary et al. 2019 ("Can You Unpack That? Learning to Rewrite Questions-in-Context"). Without a
chat model by rule: what a pronoun stands for is the most prominent phrase of the question before, the
subject ahead of objects (Brennan, Friedman and Pollard 1987, "A Centering Approach to Pronouns", section
2), that agrees in number. With a chat model it writes, and what it wrote is taken only where its words are
the conversation's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query import ellipsis
from handbook.rag.query.asking import foreign, quoted, say
from handbook.rag.query.english import (
    AUXILIARIES,
    CLOSED,
    POINTERS,
    PREPOSITIONS,
    SIDES,
    STANDINS,
    Token,
    content,
    phrases,
    plural,
    singular,
    tokens,
)
from handbook.records import Message

TURNS = 8  # of the conversation's end that are looked at
CUT = 500  # characters of a turn that a chat model is given
GROWN = 300  # characters that a model may add to a question
ADDED = 1  # content words of its own that a model's rewriting may have

TASK = (
    "You rewrite the last question of a conversation so that it can be understood alone. Put what "
    "pronouns and missing parts stand for in their place, change nothing else, and do not answer. If the "
    "question stands alone already, repeat it. Reply with the question only."
)

By = Literal["rule", "model", "nothing"]

_ONE = frozenset({"it", "its", "itself"})
_SEVERAL = frozenset({"they", "them", "their", "theirs", "themselves", "both"})
_PERSON = frozenset({"he", "she", "him", "her", "his", "hers"})
# "How long does it take", "is it possible to": an "it" that stands for nothing.
_EMPTY_IT = re.compile(
    r"\bit (?:take|takes|took|matter|matters|make sense|happen|mean to|cost to|possible|true|necessary|"
    r"better to|best to|worth|common|normal|easy|hard|safe|ok|okay|enough)\b"
    r"|\b(?:is|was) it (?:that|possible|true)\b",
    re.IGNORECASE,
)
# "What are the advantages?": of what is not said.
_BARE_SIDE = re.compile(
    r"\b(?:the|its|any|some|main)\s+(?:main |biggest |typical |usual )?([a-z-]+)\s*[?.!]*$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """text: the question as it can be understood alone. by: what made it; "nothing" where it is as given."""

    given: str
    text: str
    by: By
    why: str
    cost: dict[str, float] = field(default_factory=dict)


def rewrite(question: str, history: Sequence[Message], chat: Chat | None = None) -> Rewritten:
    """The last question of a conversation, standing alone.

    A chat model is asked only where something was said before. Where it doesn't answer, or brings words
    that nobody said, the rules' result is taken, and `why` says so.

    Args:
        history: the turns before, oldest first.
    """
    turns = [turn for turn in history if turn.role in ("user", "assistant") and turn.content.strip()][-TURNS:]
    ruled = by_rule(question, turns)
    if chat is None or not turns:
        return ruled
    told = "\n".join(f"{turn.role}: {turn.content[:CUT]}" for turn in turns)
    try:
        said = say(chat, TASK, f"{quoted('conversation', told)}\n{quoted('question', question)}")
    except ChatError as error:
        return replace(ruled, why=f"{ruled.why}; the chat model gave nothing: {error.what}")
    text = said.lines[0] if said.lines else ""
    fault = _fault(text, question, [turn.content for turn in turns])
    if fault:
        return replace(ruled, why=f"{ruled.why}; the chat model's rewriting {fault}", cost=dict(said.cost))
    by: By = "nothing" if text == question else "model"
    return Rewritten(
        question, text, by, "written by the chat model, in words of the conversation", dict(said.cost)
    )


def by_rule(question: str, history: Sequence[Message]) -> Rewritten:
    """As `rewrite`, by rules alone. Earlier questions are resolved first, so that chains of "it" hold."""
    before = ""
    answers = ""
    for turn in history:
        if turn.role == "user":
            before = _one(turn.content.strip(), before, answers).text
        else:
            answers = turn.content
    return _one(question, before, answers)


def _one(question: str, before: str, answer: str) -> Rewritten:
    """A question after another one that stands alone (and what was answered to it)."""
    if not before:
        return Rewritten(question, question, "nothing", "nothing was asked before")
    if made := ellipsis.filled(question, before):
        return Rewritten(question, made[0], "rule", made[1])
    topics = candidates(before) or candidates(answer[:CUT])
    if not topics:
        return Rewritten(question, question, "nothing", "what was said before names nothing")
    made = _order(question, before) or _pronoun(question, topics) or _side(question, topics)
    if made := made or _pointed(question, before, answer, topics):
        return Rewritten(question, made[0], "rule", made[1])
    return Rewritten(question, question, "nothing", "it stands alone")


def candidates(text: str) -> list[str]:
    """What later pronouns may stand for, the most prominent first: joined phrases ("A and B"), then phrases
    in order, without those that name a side of another one ("purpose" of X)."""
    found = phrases(text)
    kept = [one for one in found if singular(one.text.split()[-1].lower()) not in SIDES] or found
    joined = []
    for a, b in pairwise(kept):
        between = text[a.end : b.start].strip().lower()
        compared = between in ("with", "to") and text.lower().startswith("compar")
        if compared or between.removesuffix(" the") in ("and", "or", "vs", "vs.", "versus"):
            joined.append(f"{a.text} and {b.text}")
    return [*joined, *dict.fromkeys(_definite(text, one) for one in kept)]


def _definite(text: str, phrase: Token) -> str:
    """A phrase with "the" where the text has it so."""
    return f"the {phrase.text}" if text[: phrase.start].lower().endswith("the ") else phrase.text


def _pronoun(question: str, topics: Sequence[str]) -> tuple[str, str] | None:
    """The first pronoun that points out of the question, replaced."""
    words = tokens(question)
    first = phrases(question)
    for i, token in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else Token(".", len(question), len(question))
        low = token.low
        several = low in ("these", "those", *_SEVERAL)
        if low == "the" and after.low in ("former", "latter") and " and " in topics[0]:
            return _put(question, token, after.end, topics[0].split(" and ")[after.low == "latter"], False)
        if low in POINTERS and (singular(after.low) in STANDINS or after.low in ("one", "ones", "two")):
            return _put(question, token, after.end, _choose(topics, several), False)
        if low == "that" and not after.is_word and words[i - 1].low in PREPOSITIONS:
            return _put(question, token, token.end, _choose(topics, several), False)
        if low in ("one", "ones") and words[i - 1].low in ("which", "the"):
            of = next((topic for topic in topics if plural(topic)), "")
            if low == "ones" and of and " and " not in of:
                start = words[i - 1] if words[i - 1].low == "the" and of.startswith("the ") else token
                return _put(question, start, token.end, of, False)
            return _put(question, token, token.end, f"{token.text} of {of}", False) if of else None
        named = any(one.end <= token.start for one in first)  # here, so "it" may be that
        if low in _PERSON or (named and low not in ("this", "these")):
            continue
        if (low in _ONE and not _EMPTY_IT.search(question[max(0, token.start - 4) :])) or low in _SEVERAL:
            return _put(
                question, token, token.end, _choose(topics, several), low in ("its", "their", "theirs")
            )
        if low in POINTERS and words[i - 1].low not in ("ones", "those", "all", "anything", "everything"):
            said_of = words[max(0, i - 1)].low in AUXILIARIES and len(words) - i <= 4  # "is that exact?"
            ends = not after.is_word or after.low in AUXILIARIES | PREPOSITIONS or not first or said_of
            if ends and not _inside(words, i):
                return _put(question, token, token.end, _choose(topics, several), False)
    return None


def _pointed(question: str, before: str, answer: str, topics: Sequence[str]) -> tuple[str, str] | None:
    """ "Do those tokens get new weights?": what is pointed at is of the topic, if its noun was said
    before."""
    said = {*content(before), *content(answer)}
    for token, after in pairwise(tokens(question)):
        if (
            token.low in POINTERS
            and after.is_word
            and singular(after.low) in said
            and after.low not in CLOSED
        ):
            if any(singular(after.low) in content(topic) for topic in topics[:1]):
                return _put(question, token, after.end, topics[0], False)
            return (
                f"{question.rstrip(' ?.!')} ({topics[0]})?",
                f"{token.text} {after.text} are of {topics[0]!r}",
            )
    return None


def _inside(words: Sequence[Token], i: int) -> bool:
    """Whether "that" joins a clause ("so that", "show that") in place of pointing."""
    later = words[i + 1].low if i + 1 < len(words) else ""
    return i > 0 and words[i].low == "that" and words[i - 1].low in ("so", "such", "than") and bool(later)


def _choose(topics: Sequence[str], several: bool) -> str:
    return next((topic for topic in topics if plural(topic) == several), topics[0])


def _put(question: str, token: Token, end: int, topic: str, owns: bool) -> tuple[str, str]:
    put = topic if not owns else f"{topic}'" if topic.endswith("s") else f"{topic}'s"
    text = question[: token.start] + put + question[end:]
    why = f"{question[token.start : end]!r} stands for {topic!r}, the most prominent of the question before"
    return text[:1].upper() + text[1:] if question[:1].isupper() else text, why


def _side(question: str, topics: Sequence[str]) -> tuple[str, str] | None:
    """ "What are the drawbacks?" is one of the topic."""
    match = _BARE_SIDE.search(question)
    if match is None or singular(match.group(1).lower()) not in SIDES or len(phrases(question)) > 1:
        return None
    end = match.end(1)
    return (
        f"{question[:end]} of {topics[0]}{question[end:]}",
        f"{match.group(1)!r} is of {topics[0]!r}: nothing else is named",
    )


def _order(question: str, before: str) -> tuple[str, str] | None:
    """ "Give me an example" is about the whole question before."""
    if not ellipsis.ORDER.fullmatch(question):
        return None
    return f"{question.rstrip(' ?.!')}: {before}", "an order without a subject is about the question before"


def _fault(text: str, question: str, said: Sequence[str]) -> str:
    """What is wrong with a model's rewriting, '' for nothing."""
    if not text:
        return "was empty"
    if len(text) > len(question) + GROWN:
        return "was far longer than the question"
    if len(own := foreign(text, [question, *said])) > ADDED:
        return f"brought words that nobody said ({', '.join(own[:3])})"
    return ""
