"""A question that asks several things, taken apart: each part is looked for by itself.

Press et al. 2023 ("Measuring and Narrowing the Compositionality Gap in Language Models", section 3) ask
follow-up questions one at a time; what can be told apart by form, without a chat model, is several
questions in one, a comparison and a list. A chain ("the author of the paper that ...") needs a model.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query.asking import foreign, quoted, say_json
from handbook.rag.query.english import AUXILIARIES, VERBS, content, name_like, phrases, plural
from handbook.rag.query.rewriting import by_rule
from handbook.records import Message

MOST = 4  # parts
ITEM = 5  # words of a list's item

Form = Literal["one", "several", "comparison", "list", "steps"]

SCHEMA = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "items": {"type": "string", "maxLength": 200},
            "minItems": 1,
            "maxItems": MOST,
        }
    },
    "required": ["parts"],
    "additionalProperties": False,
}
TASK = (
    "Split the question into the simplest questions that together answer it, at most four, each of which "
    "can be understood alone. Use the question's own words. If it asks one thing, give it back as the "
    "only part."
)

_QUESTION = r"(?:how|why|what|when|where|which|who|does|do|did|is|are|can|could|should|will)"
_WH = "how|why|what|when|where|which|who"
_SUBJECT = "it|they|we|i|you|he|she|there|this|that|these|those|the|an?|my|your|its|their|any"
_AND = re.compile(
    rf"(?:,\s*(?:and|but)?|\s+and|\s+but|;)\s+(?:also\s+)?(?=(?:{_WH})\b|{_QUESTION}\s+(?:{_SUBJECT})\b)",
    re.IGNORECASE,
)
_OPENS = re.compile(rf"\s*(?:{_QUESTION}|explain|describe|define|compare|list)\b", re.IGNORECASE)
_THING = r"[^,?;]+?"
_TAIL = r"(?P<tail>\s+(?:in terms of|with respect to|regarding|for|when|on|in|at|during|over)\s+[^?]+)?"
_SIDES = rf"(?P<a>{_THING}) (?:SEP) (?P<b>{_THING}){_TAIL}"
_MORE = r"(?P<aspect>\w+er|better|more \w+|less \w+)"


def _sides(before: str, between: str) -> re.Pattern[str]:
    return re.compile(f"{before}{_SIDES.replace('SEP', between)}\\s*[?.!]*", re.IGNORECASE)


_ASKED = r"(?:what(?:'s| is| are)|explain|describe)?\s*(?:the )?(?:main )?"
_COMPARISONS = (
    _sides(rf"{_ASKED}(?:differences?|trade-?offs?|comparison) between ", "and"),
    _sides("compare ", r"and|with|to|against|versus|vs\.?"),
    _sides("(?:how|in what|why) (?:does|do|is|are) ", "(?:differ(?:ent)?|compares?) (?:from|to|with)"),
    re.compile(
        rf"how do (?P<a>{_THING}) and (?P<b>{_THING}) (?:differ|compare){_TAIL}\s*[?.!]*", re.IGNORECASE
    ),
    _sides("(?:is|are) ", f"{_MORE} than"),
    _sides(rf"(?:which|what) (?:one )?is {_MORE}[,:]? ", "or"),
    _sides(
        r"(?:when )?(?:should|would) (?:i|we|you) \w+ ",
        "or|over|instead of|rather than",
    ),
    _sides(r"(?:which|what) [^,?]+[,:] ", "or"),
    _sides(r"(?:what are )?(?:the )?(?:benefits?|advantages?|gains?) of ", "over|compared (?:to|with)"),
    _sides("", r"vs\.?|versus"),
)
_LIST = re.compile(
    rf"(?P<ask>what (?:is|are)|explain|define|describe|list) "
    rf"(?P<items>{_THING}(?:, {_THING})*,? and {_THING})\s*[?.!]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a question asks. parts: at least one; the question itself where it asks one thing. For a
    comparison the whole comes first: a passage may compare. dependent: a part needs the answers of those
    before it."""

    given: str
    form: Form
    parts: tuple[str, ...]
    by: Literal["rule", "model", "nothing"]
    why: str
    dependent: bool = False
    cost: dict[str, float] = field(default_factory=dict)


def decompose(question: str, chat: Chat | None = None) -> Parts:
    """A question as the parts that can be looked for by themselves, at most `MOST`.

    A chat model is asked where rules find one part. Parts of its own words are not taken, and where it
    doesn't answer, the question stays whole."""
    ruled = split(question)
    if chat is None or ruled.form != "one":
        return ruled
    try:
        value, said = say_json(chat, TASK, quoted("question", question), SCHEMA)
    except ChatError as error:
        return replace(ruled, why=f"{ruled.why}; the chat model gave nothing: {error.what}")
    parts = tuple(dict.fromkeys(" ".join(part.split()) for part in value["parts"] if part.strip()))
    own = [word for part in parts for word in foreign(part, [question])]
    if not parts or len(own) > len(parts):
        return replace(
            ruled, why=f"{ruled.why}; the chat model's parts are not of the question", cost=dict(said.cost)
        )
    if len(parts) == 1:
        return replace(ruled, why="the chat model finds one part too", cost=dict(said.cost))
    return Parts(question, "steps", parts, "model", "split by the chat model", True, dict(said.cost))


def split(question: str) -> Parts:
    """As `decompose`, by form alone."""
    if len(several := _several(question)) > 1:
        return Parts(question, "several", tuple(several[:MOST]), "rule", f"{len(several)} questions in one")
    if sides := _comparison(question):
        why = "two things compared: the whole, and each by itself"
        return Parts(question, "comparison", (question, *sides), "rule", why)
    if len(items := _items(question)) > 1:
        return Parts(question, "list", tuple(items[:MOST]), "rule", f"a list of {len(items)} things")
    return Parts(question, "one", (question,), "nothing", "it asks one thing")


def _several(question: str) -> list[str]:
    """Questions one after the other, later ones understood after those before."""
    parts: list[str] = []
    for piece in re.split(r"(?<=[?;])\s+(?=\S)", question):
        for part in _clauses(piece.strip(" ;")):
            history = [Message("user", one) for one in parts]
            whole = by_rule(part, history).text
            parts.append(whole[:1].upper() + whole[1:].rstrip(" .;,?") + "?")
    if len(parts) < 2 or not all(_OPENS.match(part) for part in parts):
        return [question]
    return list(dict.fromkeys(parts))


def _clauses(piece: str) -> Iterator[str]:
    """Pieces at "and how", "but why", where what stands before asks something by itself."""
    start = 0
    for cut in _AND.finditer(piece):
        left = piece[start : cut.start()]
        right = piece[cut.end() :]
        asks = (
            _OPENS.match(left)
            and content(left)
            and not re.search(r"\b(?:between|both)\b", left, re.IGNORECASE)
        )
        if asks and len(right.split()) > 1 and not _indirect(left):
            yield left
            start = cut.end()
    yield piece[start:]


def _indirect(left: str) -> bool:
    """ "Explain what X is and how ..." asks both of "explain"; its parts stand all the same, "does it
    matter what X and how Y are" don't."""
    return bool(re.search(r"\b(?:matter|depend|know)\w*\b.*\b(?:what|how|which)\b", left, re.IGNORECASE))


def _comparison(question: str) -> tuple[str, ...]:
    for pattern in _COMPARISONS:
        match = pattern.fullmatch(question.strip())
        if match is None:
            continue
        a, b, tail = match["a"].strip(), match["b"].strip(), (match["tail"] or "").rstrip()
        if not _thing(a) or not _thing(b):
            continue
        a, b = _shared_head(a, b)
        aspect = f" {match['aspect']}" if "aspect" in match.groupdict() else ""
        return tuple(
            f"{one}{aspect}{tail}" if aspect or tail else f"What {'are' if plural(one) else 'is'} {one}?"
            for one in (a, b)
        )
    return ()


def _thing(text: str) -> bool:
    """Whether a text may be one side: short, with a noun, without a verb of its own."""
    words = text.lower().split()
    return (
        0 < len(words) <= ITEM + 1
        and bool(phrases(text))
        and not AUXILIARIES & set(words)
        and words[0] not in VERBS
    )


def _shared_head(a: str, b: str) -> tuple[str, str]:
    """ "dense and sparse retrieval" are dense retrieval and sparse retrieval: a single plain word borrows
    the last word of the other side's."""
    last = b.split()[-1]
    if len(a.split()) == 1 and len(b.split()) == 2 and not name_like(a) and not a[0].isupper():
        return f"{a} {last}", b
    return a, b


def _items(question: str) -> list[str]:
    match = _LIST.fullmatch(question.strip())
    if match is None:
        return []
    items = [item.strip() for item in re.split(r",\s*(?:and\s+)?|\s+and\s+", match["items"]) if item.strip()]
    names = all(name_like(item) for item in items)
    if not all(len(item.split()) <= ITEM and _thing(item) for item in items) or (
        len(items) < 3 and not names
    ):
        return []
    return [f"{match['ask'] if match['ask'].lower() != 'what are' else 'What is'} {item}?" for item in items]
