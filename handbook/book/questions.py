"""Interview questions with their rubric, from questions.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from handbook.book import yaml_nodes
from handbook.book.claims import ID
from handbook.book.faults import Faults
from handbook.book.fields import Fields
from handbook.book.yaml_nodes import Value
from handbook.records import Criterion, FollowUp, Kind, Level, Misconception, Question

LEVELS: tuple[str, ...] = get_args(Level)
KINDS: tuple[str, ...] = get_args(Kind)
CRITERIA = (4, 8)
KEYS = ("id", "level", "kind", "prompt", "answer", "anchor", "criteria", "misconceptions", "follow_ups")


@dataclass(frozen=True, slots=True)
class Located:
    """A question and where its parts stand: lines of the entry, of the anchor, and of its texts."""

    question: Question
    line: int
    anchor_line: int
    texts: tuple[tuple[str, int], ...]


def _criteria(fields: Fields) -> tuple[Criterion, ...]:
    found: list[Criterion] = []
    for value in fields.many("criteria"):
        item = Fields(value, fields.file, f"{fields.subject}, a criterion", fields.faults)
        if item.known("id", "yes", "weight", "must"):
            criterion = Criterion(
                item.text("id"), item.text("yes"), item.number("weight", 1.0), item.flag("must")
            )
            if any(criterion.id == other.id for other in found):
                item.fault("duplicate-id", item.line("id"), f"the id {criterion.id} is used again.")
            found.append(criterion)
        fields.good = fields.good and item.good
    low, high = CRITERIA
    if not low <= len(fields.many("criteria")) <= high:
        fields.fault(
            "no-rubric",
            fields.line("criteria"),
            f"it has {len(fields.many('criteria'))} criteria, expected {low} to {high}.",
            "Say what an answer must show, each a plain yes or no.",
        )
    return tuple(found)


def _misconceptions(fields: Fields) -> tuple[Misconception, ...]:
    found = []
    for value in fields.many("misconceptions"):
        item = Fields(value, fields.file, f"{fields.subject}, a misconception", fields.faults)
        if item.known("wrong", "tempts", "correction"):
            found.append(Misconception(item.text("wrong"), item.text("tempts"), item.text("correction")))
        fields.good = fields.good and item.good
    if not fields.many("misconceptions"):
        fields.fault(
            "no-misconception",
            fields.line("misconceptions"),
            "it has no misconception, expected one or more.",
        )
    return tuple(found)


def _follow_ups(fields: Fields, criteria: tuple[Criterion, ...]) -> tuple[FollowUp, ...]:
    found = []
    known = [criterion.id for criterion in criteria]
    for value in fields.many("follow_ups"):
        item = Fields(value, fields.file, f"{fields.subject}, a follow-up", fields.faults)
        if item.known("ask", "criterion"):
            follow_up = FollowUp(item.text("ask"), item.text("criterion"))
            if follow_up.criterion and follow_up.criterion not in known:
                item.fault(
                    "dangling-criterion",
                    item.line("criterion"),
                    f"it probes the criterion {follow_up.criterion}, which the question does not have.",
                    f"Criteria: {', '.join(known)}.",
                )
            found.append(follow_up)
        fields.good = fields.good and item.good
    if not fields.many("follow_ups"):
        fields.fault("no-follow-up", fields.line("follow_ups"), "it has no follow-up, expected one or more.")
    return tuple(found)


def _texts(value: Value) -> list[tuple[str, int]]:
    """Every piece of prose below a question, with the line where it starts."""
    if value.scalar is not None:
        return [(value.scalar, value.text_line)]
    children = value.items or tuple((value.table or {}).values())
    return [text for child in children for text in _texts(child)]


def _question(value: Value, chapter: str, file: Path, faults: Faults) -> Located | None:
    fields = Fields(value, file, "A question", faults)
    if not fields.known(*KEYS):
        return None
    id = fields.text("id")
    fields.subject = f"Question {id or '?'}"
    if id and not ID.fullmatch(id):
        fields.fault("bad-id", fields.line("id"), "its id is not lower-case words joined by hyphens.")
    level, kind = fields.choice("level", LEVELS), fields.choice("kind", KINDS)
    prompt, answer, anchor = fields.text("prompt"), fields.text("answer"), fields.text("anchor")
    criteria = _criteria(fields)
    misconceptions, follow_ups = _misconceptions(fields), _follow_ups(fields, criteria)
    if not fields.good:
        return None
    question = Question(
        id=id,
        chapter=chapter,
        level=cast(Level, level),
        kind=cast(Kind, kind),
        prompt=prompt,
        answer=answer,
        criteria=criteria,
        misconceptions=misconceptions,
        follow_ups=follow_ups,
        anchor=anchor,
    )
    return Located(question, value.line, fields.line("anchor"), tuple(_texts(value)))


def load_questions(file: Path, chapter: str, faults: Faults) -> tuple[Located, ...]:
    """Read questions.yaml. Faulty questions are left out and reported."""
    text = faults.read(file)
    if text is None:
        return ()
    try:
        value = yaml_nodes.load(text)
    except yaml_nodes.YamlFault as error:
        faults.add("syntax", file, error.line, f"This is not valid YAML: {error}.")
        return ()
    if value is None:
        return ()
    if value.items is None:
        faults.add("bad-value", file, value.line, f"Expected a list of questions, got a {value.kind}.")
        return ()
    return tuple(q for item in value.items if (q := _question(item, chapter, file, faults)))
