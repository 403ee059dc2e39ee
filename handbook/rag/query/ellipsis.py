"""Questions of which most is left out: "why?", "and for LoRA?", "what about the decoder?".

What is said takes the place of its like in the question before (Dalrymple, Shieber and Pereira 1991,
"Ellipsis and Higher-Order Unification", section 2: the parallel element is replaced, the rest kept).
"""

import re

from handbook.rag.query.english import (
    AUXILIARIES,
    PREDICATES,
    PREPOSITIONS,
    PRONOUNS,
    SIDES,
    VERBS,
    Token,
    content,
    name_like,
    phrases,
    singular,
    tokens,
)

LONGEST = 8  # words of a fragment

ORDER = re.compile(
    r"(?:(?:please |can you |could you )?(?:give|show)(?: me)? (?:an?|some|more|another) (?:\w+ )?examples?"
    r"|(?:an? |some |another )?(?:\w+ )?examples?"
    r"|(?:tell me|explain|say) (?:more|it|that|this)(?: (?:again|more|simply|in \w+ words))*"
    r"|(?:explain|say) (?:it |that )?(?:again|simply|in (?:simpler|other|plain) words)"
    r"|(?:in )?(?:more detail|more details|simpler words)"
    r"|elaborate|go on|go deeper|can you (?:elaborate|explain))\s*[?.!]*",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:and |but |so )?(why|why not|how|how so|how come|when|since when|where|how much|how many|how often"
    r"|who)"
    r"\s*[?.!]*",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"(?:(?:and|but|so|ok|okay),? )?(?:what|how) about (.+?)\s*[?.!]*", re.IGNORECASE)
_AND = re.compile(r"(?:and|but|or),? (?:only |just )?(.+?)\s*[?.!]*", re.IGNORECASE)
_FRAGMENT = re.compile(
    r"((?:in|for|with|without|during|at|on|under|after|before) .+?)\s*[?.!]*", re.IGNORECASE
)
_NOUN = re.compile(r"((?:the |an? )?[\w./+-]+(?: [\w./+-]+)?)\s*\?")  # "top-k?", "the formula?"
_OF_A_THING = frozenset({"for", "of", "with", "about", "to"})


def filled(question: str, before: str) -> tuple[str, str] | None:
    """(whole question, why) for a fragment after the question `before`, None for one that is whole."""
    if bare := _BARE.fullmatch(question):
        return _asked(bare.group(1), before), f"{question!r} asks it of the question before"
    about = _ABOUT.fullmatch(question)
    match = about or _AND.fullmatch(question) or _FRAGMENT.fullmatch(question) or _NOUN.fullmatch(question)
    if match is None:
        return None
    said = match.group(1)
    words = tokens(said)
    if len(words) > LONGEST or (not about and any(word.low in AUXILIARIES for word in words)):
        return None
    if not content(said) or (
        not about and words[0].low in ("how", "what", "why", "which", "when", "where", "who")
    ):
        return None
    if _NOUN.fullmatch(question) and any(word.low in VERBS | PREDICATES | PRONOUNS for word in words):
        return None
    if any(word.low in ("it", "its", "they", "them", "their", "this", "that") for word in words):
        return None  # a pronoun's case
    if words[0].low in ("together", "combined", "along") and len(words) > 1:
        return _with(before, said, "with"), f"{said!r} is asked of the question before"
    if not about and singular(words[-1].low) in SIDES:
        return f"{said} of: {before}", f"{said!r} is asked of the question before"
    preposition = words[0].low if words[0].low in PREPOSITIONS else ""
    if not preposition or preposition in _OF_A_THING:
        thing = said[words[1].start :] if preposition and len(words) > 1 else said
        if made := _replaced(before, thing, preposition):
            return made
    if preposition:
        return _with(before, said, preposition), f"{said!r} is asked of the question before"
    return None


def _asked(word: str, before: str) -> str:
    """ "Why?" after "Does RoPE extrapolate?": "Why does RoPE extrapolate?"."""
    first = tokens(before)[0]
    if first.low in AUXILIARIES:
        found = phrases(before)
        subject = found[0] if found else Token(before, 0, first.end)
        if word.lower().endswith(" not"):
            return f"{word[:-4]} {before[:1].lower()}{before[1 : subject.end]} not{before[subject.end :]}"
        return f"{word} {before[:1].lower()}{before[1:]}"
    return f"{word}? {before}"


def _replaced(before: str, thing: str, preposition: str) -> tuple[str, str] | None:
    """`thing` in the place of what is most like it: behind the same preposition, else written alike (a name
    for a name), else the first phrase."""
    found = phrases(before)
    if not found:
        return None
    behind = [
        one for one in found if preposition and before[: one.start].lower().split()[-1:] == [preposition]
    ]
    alike = [one for one in found if name_like(one.text) == name_like(_head(thing))]
    shares = [one for one in found if set(content(one.text)) & set(content(thing))]
    if preposition and not behind and not shares and not name_like(_head(thing)):
        return None  # a circumstance, and no other thing
    chosen = (behind or shares or alike or found)[0]
    article = re.search(r"\b(?:the|an?)\s+$", before[: chosen.start], re.IGNORECASE)
    start = article.start() if article and tokens(thing)[0].low in ("the", "a", "an") else chosen.start
    return before[:start] + thing + before[chosen.end :], f"{thing!r} takes the place of {chosen.text!r}"


def _head(thing: str) -> str:
    found = phrases(thing)
    return found[0].text if found else thing


def _with(before: str, said: str, preposition: str) -> str:
    """The question before with a circumstance, in place of one that began with the same word, if it ended
    so."""
    bare = before.rstrip(" ?.!")
    match = re.search(rf"\s{preposition}\s[^?,]*$", bare, re.IGNORECASE)
    if match and len(match.group().split()) <= LONGEST and len(bare[: match.start()].split()) > 2:
        bare = bare[: match.start()]
    return f"{bare} {said}?"
