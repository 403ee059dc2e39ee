"""What points back in a question: "it", "which of them", "this method", "the former", "the drawbacks".

What a pronoun stands for is the most prominent phrase of the question before, the subject ahead of objects
(Brennan, Friedman and Pollard 1987, "A Centering Approach to Pronouns", section 2), that agrees in number.
One that has a phrase before it in its own question stands for that, but an object does not stand for the
subject of its own clause (Chomsky 1981, "Lectures on Government and Binding", principle B): "do models use
them" points out.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from handbook.rag.query.english import (
    ARTICLES,
    ASKING,
    AUXILIARIES,
    CLOSED,
    CONJUNCTIONS,
    POINTERS,
    PREPOSITIONS,
    SIDES,
    STANDINS,
    VERBS,
    Token,
    content,
    phrases,
    plural,
    singular,
    tokens,
)

Made = tuple[str, str] | None  # (question, why)

_ONE = frozenset({"it", "its", "itself"})
_SEVERAL = frozenset({"they", "them", "their", "theirs", "themselves", "both"})
_OBJECTS = frozenset({"it", "them", "itself", "themselves"})
_OWNERS = frozenset({"its", "their", "theirs"})
_PERSON = frozenset({"he", "she", "him", "her", "his", "hers"})
_JOINED = frozenset({"and", "or", "vs", "vs.", "versus"})
_QUANTIFIED = frozenset(
    {"ones", "those", "all", "anything", "everything"}
)  # before "that": a clause of theirs
_CLAUSE = CONJUNCTIONS | ASKING | {"that", "to", ",", ";", ":"}
_ORDINALS = {"former": 0, "first": 0, "latter": 1, "second": 1, "last": -1}
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


def candidates(text: str) -> list[str]:
    """What later pronouns may stand for, the most prominent first: joined phrases ("A and B"), then phrases
    in order, without those that name a side of another one ("purpose" of X)."""
    found = phrases(text)
    kept = [one for one in found if singular(one.text.split()[-1].lower()) not in SIDES] or found
    compares = text.lower().startswith("compar")
    joined = []
    for a, b in pairwise(kept):
        between = [word for word in text[a.end : b.start].lower().split() if word not in ARTICLES]
        if len(between) == 1 and (between[0] in _JOINED or (compares and between[0] in ("with", "to"))):
            joined.append(f"{a.text} and {b.text}")
    return [*joined, *dict.fromkeys(_definite(text, one) for one in kept)]


def _definite(text: str, phrase: Token) -> str:
    """A phrase with "the" where the text has it so."""
    return f"the {phrase.text}" if text[: phrase.start].lower().endswith("the ") else phrase.text


def resolved(question: str, topics: Sequence[str], answer: str = "") -> Made:
    """The question with the first thing that points out of it replaced, and why; None where nothing does.

    Args:
        topics: what it may stand for, the most prominent first.
        answer: what was said to the question before: "the first one" may be of its things.
    """
    said = re.sub(r"\b(it|that)'s\b(?=\s)", r"\1 is", question, flags=re.IGNORECASE)
    said = re.sub(r"\b(they)'re\b", r"\1 are", said, flags=re.IGNORECASE)
    words = tokens(said)
    named = phrases(said)
    for i, token in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else Token(".", len(said), len(said))
        before = words[i - 1].low if i else ""
        made = _of_several(said, topics, answer, token, after, words[i + 2 : i + 3])
        made = made or _pointer(said, topics, token, after, before)
        if not made and not _bound(said, words, named, i):
            made = _plain(said, topics, words, named, i, after)
        if made:
            return made
    return None


def _of_several(
    question: str, topics: Sequence[str], answer: str, token: Token, after: Token, then: Sequence[Token]
) -> Made:
    """ "The former", "the second one", "which one", "the ones": of things that were named together."""
    if token.low == "the" and after.low in _ORDINALS:
        one = bool(then) and then[0].low == "one"
        if not one and after.low not in ("former", "latter") and then and then[0].is_word:
            return None  # "the first layer"
        named = topics[0].split(" and ") if " and " in topics[0] else candidates(answer) if one else []
        if len(named) < 2:
            return None
        return _put(question, token, then[0].end if one else after.end, named[_ORDINALS[after.low]])
    if token.low in ("which", "the") and after.low in ("one", "ones"):
        of = next((topic for topic in topics if plural(topic)), "")
        if not of:
            return None
        if after.low == "ones" and " and " not in of:
            return _put(question, token if of.startswith("the ") else after, after.end, of)
        return _put(question, after, after.end, f"{after.text} of {of}")
    return None


def _pointer(question: str, topics: Sequence[str], token: Token, after: Token, before: str) -> Made:
    """ "This method", "those two", "for that"."""
    several = token.low in ("these", "those")
    if token.low in POINTERS and (singular(after.low) in STANDINS or after.low in ("one", "ones", "two")):
        return _put(question, token, after.end, _choose(topics, several))
    if token.low == "that" and not after.is_word and before in PREPOSITIONS:
        return _put(question, token, token.end, _choose(topics, several))
    return None


def _bound(question: str, words: Sequence[Token], named: Sequence[Token], i: int) -> bool:
    """Whether a pronoun stands for something in its own question."""
    token = words[i]
    inside = [one for one in named if one.end <= token.start]
    if not inside or token.low in ("this", "these"):
        return False
    between = [one.low for one in words[:i] if one.start >= inside[0].end]
    object_of = token.low in _OBJECTS and words[i - 1].low in VERBS | PREPOSITIONS
    return not (object_of and not _CLAUSE & set(between))


def _plain(
    question: str, topics: Sequence[str], words: Sequence[Token], named: Sequence[Token], i: int, after: Token
) -> Made:
    """ "It", "their", "them"; "that" where it is no conjunction."""
    token = words[i]
    low, before = token.low, words[i - 1].low if i else ""
    several = low in _SEVERAL or low in ("these", "those")
    if low in _PERSON:
        return None
    if (low in _ONE and not _EMPTY_IT.search(question[max(0, token.start - 4) :])) or low in _SEVERAL:
        return _put(question, token, token.end, _choose(topics, several), owns=low in _OWNERS)
    if low in POINTERS and before not in _QUANTIFIED | {"so", "such", "than"}:
        said_of = before in AUXILIARIES and len(words) - i <= 4  # "is that exact?"
        if not after.is_word or after.low in AUXILIARIES | PREPOSITIONS or not named or said_of:
            return _put(question, token, token.end, _choose(topics, several))
    return None


def _choose(topics: Sequence[str], several: bool) -> str:
    return next((topic for topic in topics if plural(topic) == several), topics[0])


def _put(question: str, token: Token, end: int, topic: str, owns: bool = False) -> Made:
    put = topic if not owns else f"{topic}'" if topic.endswith("s") else f"{topic}'s"
    text = question[: token.start] + put + question[end:]
    why = f"{question[token.start : end]!r} stands for {topic!r}, the most prominent of what was named"
    return text[:1].upper() + text[1:] if question[:1].isupper() else text, why


def sided(question: str, topics: Sequence[str]) -> Made:
    """ "What are the drawbacks?" is asked of the topic."""
    match = _BARE_SIDE.search(question)
    if match is None or singular(match.group(1).lower()) not in SIDES or len(phrases(question)) > 1:
        return None
    end = match.end(1)
    why = f"{match.group(1)!r} is of {topics[0]!r}: nothing else is named"
    return f"{question[:end]} of {topics[0]}{question[end:]}", why


def pointed(question: str, topics: Sequence[str], said: Sequence[str]) -> Made:
    """ "Do those tokens get new weights?": what is pointed at is of the topic, if its noun was said
    before."""
    had = {word for text in said for word in content(text)}
    for token, after in pairwise(tokens(question)):
        noun = singular(after.low)
        if token.low in POINTERS and after.is_word and noun in had and after.low not in CLOSED:
            if noun in content(topics[0]):
                return _put(question, token, after.end, topics[0])
            why = f"{question[token.start : after.end]!r} is of {topics[0]!r}"
            return f"{question.rstrip(' ?.!')} ({topics[0]})?", why
    return None
