"""Filters that a question states, under a schema: "in my PDFs since 2021" are two conditions and no subject.

Without a chat model by form (`stated`). With one its reply is held to the schema of the fields (Willard and
Louf 2023, arXiv:2307.09702, where the model can be), and each condition must stand on words of the
question: small models fill in whatever a schema offers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.nouns import Condition
from handbook.rag.query.asking import quoted, say_json
from handbook.rag.query.dates import times
from handbook.rag.query.english import VERBS, content
from handbook.rag.query.fields import BASIC, FORBIDDEN, MOST, Field, schema
from handbook.rag.query.stated import DOCUMENT, Stated, explicit, of_days, of_numbers, of_words

TASK = (
    "Say which documents the question wants looked at, as filters. Give only filters that the question "
    "states in words; leave all others out. Reply with an empty object if it states none."
)
# What asks for documents, once it is known which: "what do (my notes) say about", "papers on".
_LOOKING = re.compile(
    r"(?:(?:what|which|show|find|list|give|search|look)\b(?:\s+(?:do|does|did|is|are|was|were|me|up|in|there"
    rf"|i|we|it|write|wrote|say|says|said|written|mention|have|the|all|any|{DOCUMENT}))*|(?:(?:the|my|our"
    rf"|all)\s+)?{DOCUMENT})?"
    r"\s*(?:about|on|for|of|regarding)\s+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Extracted:
    """rest: the question without what states the filters. said: each condition's words. left: what looked
    like a filter and wasn't taken, and why."""

    given: str
    rest: str
    conditions: tuple[Condition, ...] = ()
    said: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    by: Literal["rule", "model", "nothing"] = "nothing"
    why: str = "no filter is stated"
    cost: dict[str, float] = field(default_factory=dict)


def extract(
    question: str, today: date, fields: Sequence[Field] = BASIC, chat: Chat | None = None
) -> Extracted:
    """The conditions that a question states, and the rest of it.

    Args:
        today: what "last week" is counted from.

    Raises:
        ValueError: a field named `tenant`: isolation is not the question's to choose.
    """
    ruled = by_rule(question, today, fields)
    if chat is None:
        return ruled
    try:
        task = f"{TASK}\nToday is {today}."
        value, said = say_json(chat, task, quoted("question", question), schema(fields))
    except ChatError as error:
        return replace(ruled, why=f"{ruled.why}; the chat model gave nothing: {error.what}")
    have = {condition.name for condition in ruled.conditions}  # read by rule, which knows where they stand
    found, left = [], list(ruled.left)
    for one in fields:
        if one.name not in value or one.name in have:
            continue
        for condition in _read(value[one.name], one):
            if _founded(condition, one, question, today):
                found.append(condition)
            else:
                left.append((f"{one.name}: {value[one.name]}", "no word of the question says so"))
    if not found:
        return replace(ruled, left=tuple(left), cost=dict(said.cost))
    both = (*ruled.conditions, *found)[:MOST]
    why = f"{_count(len(both))}, {len(found)} of them read by the chat model"
    by_model = tuple(f"{one.name} (by the chat model)" for one in found)
    return Extracted(
        question, ruled.rest, both, (*ruled.said, *by_model), tuple(left), "model", why, dict(said.cost)
    )


def by_rule(question: str, today: date, fields: Sequence[Field] = BASIC) -> Extracted:
    """As `extract`, by form alone."""
    if any(one.name == FORBIDDEN for one in fields):
        raise ValueError(f"expected no field {FORBIDDEN!r}: isolation is not the question's to choose")
    found: list[Stated] = []
    left: list[tuple[str, str]] = []
    for one in fields:
        found += explicit(question, one)
        if one.kind == "word":
            found += of_words(question, one)
        elif one.kind == "number":
            found += of_numbers(question, one)
        else:
            dated, doubtful = of_days(question, one, today)
            found += dated
            left += doubtful
    taken = _apart(found)[:MOST]
    if not taken:
        return Extracted(question, question, left=tuple(left))
    rest = question
    for span in reversed(taken):
        rest = rest[: span.start] + " " + rest[span.end :]
    said = tuple(question[one.start : one.end].strip(" ,") for one in taken)
    why = f"{_count(len(taken))} stated"
    return Extracted(question, _tidied(rest) or question, _joined(taken), said, tuple(left), "rule", why)


def _count(n: int) -> str:
    return f"{n} filter{'s' * (n > 1)}"


def _apart(found: Sequence[Stated]) -> list[Stated]:
    """In order of place, without those that overlap a longer one before them."""
    apart: list[Stated] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not apart or one.start >= apart[-1].end:
            apart.append(one)
    return apart


def _joined(taken: Sequence[Stated]) -> tuple[Condition, ...]:
    """One condition a field: values of words together, bounds narrowed."""
    joined: dict[str, Condition] = {}
    for one in (stated.condition for stated in taken):
        had = joined.get(one.name)
        if had is None:
            joined[one.name] = one
            continue
        values = tuple(dict.fromkeys((*had.any_of, *one.any_of)))
        least = max((x for x in (had.least, one.least) if x is not None), default=None)
        most = min((x for x in (had.most, one.most) if x is not None), default=None)
        joined[one.name] = Condition(one.name, values, least, most)
    return tuple(joined.values())


def _tidied(rest: str) -> str:
    """What is left, if there is something to look for, without marks that lost their words."""
    rest = re.sub(r"\s+([,.;:?!])", r"\1", " ".join(rest.split()))
    rest = rest.strip(" ,;:")
    if asks := _LOOKING.match(rest):
        rest = rest[asks.end() :]
    rest = re.sub(r"^[\s,;:]+|(?<=[,;:])[,;:]+|[,;:]+(?=[?.!]?$)", "", rest).strip()
    return rest if set(content(rest)) - VERBS else ""


def _read(value: Any, one: Field) -> Iterator[Condition]:
    """A field's part of a model's reply, which the schema has taken."""
    if one.kind == "word":
        yield Condition(one.name, tuple(dict.fromkeys(value)))
    else:
        yield Condition(one.name, (), value.get("least"), value.get("most"))


def _founded(condition: Condition, one: Field, question: str, today: date) -> bool:
    """Whether words of the question say a condition: a value by one of its names, a number, a day within a
    time that it names."""
    low = question.lower()
    if one.kind == "word":
        called = {
            value: [name for name, of in one.called().items() if of == value] for value in condition.any_of
        }
        return all(
            any(
                re.search(rf"(?<!\w){re.escape(name)}s?(?!\w)", low)
                for name in called[value] or [str(value).lower()]
            )
            for value in condition.any_of
        )
    bounds = [bound for bound in (condition.least, condition.most) if bound is not None]
    if one.kind == "number":
        said = {float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", question)}
        return all({float(bound), float(bound) - 1, float(bound) + 1} & said for bound in bounds)
    named = [day for span in times(question, today) for day in (span.least, span.most) if day]
    years = {*re.findall(r"\b(?:19|20)\d\d\b", question), *(day[:4] for day in named)}
    return all(str(bound)[:4] in years for bound in bounds)
