"""A step as a line of JSON, and back.

A line holds what is not as was to be expected from the line before it: who decodes goes on by a token,
everybody else stays. A line with `key` holds everything. docs/json.md describes them.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from handbook.engine.pages import Copy
from handbook.engine.trace import Ended, Kind, Part, State, Step, Text
from handbook.engine.work import Reason

MOST_TEXTS = 4096  # in a step of a file
STATES: tuple[State, ...] = get_args(State)
KINDS: tuple[Kind, ...] = get_args(Kind)

Whole = Annotated[int, Field(ge=0, le=1 << 48)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=1000)]
STRICT = ConfigDict(extra="forbid", strict=True)


class New(NamedTuple):
    """What stays the same of a sequence."""

    sequence: int
    request: str
    sample: int
    prompt: int
    most: int


class _New(BaseModel):
    model_config = STRICT
    sequence: Whole
    request: Name
    sample: Whole
    prompt: Whole
    most: Whole


class _Ended(BaseModel):
    model_config = STRICT
    sequence: Whole
    request: Name
    sample: Whole
    reason: Reason


class Line(BaseModel):
    """A step; lists are of numbers.

    work: [sequence] for one that decodes a token, else [sequence, start, tokens, drafts, accepted, given,
    kind]. set: [sequence, state, tokens, computed, reused, preempted]. pages: [sequence, how many of its
    pages stay, further pages].
    """

    model_config = STRICT
    n: Whole
    at: Seconds
    seconds: Seconds
    key: bool = False
    work: list[list[Whole]] = []
    new: list[_New] = []
    set: list[Annotated[list[Whole], Field(min_length=6, max_length=6)]] = []
    pages: list[Annotated[list[Whole], Field(min_length=2)]] = []
    gone: list[Whole] = []
    running: list[Whole] | None = None
    waiting: list[Whole] | None = None
    waiting_count: Whole = 0
    idle: list[Whole] = []
    busy: list[Whole] = []
    preempted: list[Whole] = []
    copies: list[Annotated[list[Whole], Field(min_length=2, max_length=2)]] = []
    out: Whole = 0
    back: Whole = 0
    evicted: Whole = 0
    reused: Whole = 0
    ended: list[_Ended] = []


_LINE = TypeAdapter(Line)


def expected(before: Mapping[int, Text], parts: tuple[Part, ...]) -> dict[int, Text]:
    """Everybody's state after a step, as far as its parts tell: who ended is gone, the others stay."""
    texts = {number: text for number, text in before.items() if text.state != "ended"}
    for part in parts:
        text = texts.get(part.sequence)
        if text is not None:
            computed = part.start + part.tokens - part.drafts + part.accepted
            texts[part.sequence] = text._replace(tokens=text.tokens + part.given, computed=computed)
    return texts


def usual(before: Mapping[int, Text], sequence: int) -> Part | None:
    """The part of one that decodes a token."""
    text = before.get(sequence)
    return None if text is None else Part(sequence, "decode", text.computed, 1, 0, 0, 1)


def encode(before: Step | None, step: Step) -> dict[str, Any]:
    """The line of a step; before: the step before it, None for a line that holds everything."""
    known = {} if before is None else before.texts
    work = []
    for part in step.parts:
        short = part == usual(known, part.sequence)
        number, kind, *rest = part
        work.append([number] if short else [number, *rest, KINDS.index(kind)])
    new, changes, pages = [], [], []
    texts = expected(known, step.parts)
    for number, text in step.texts.items():
        was = texts.get(number)
        if was is None or was[:5] != text[:5]:
            new.append(New(*text[:5])._asdict())
            was = blank(*text[:5])
        if was[5:10] != text[5:10]:
            changes.append([number, STATES.index(text.state), *text[5:9]])
        if was.pages != text.pages:
            keep = 0
            for one, other in zip(was.pages, text.pages, strict=False):
                if one != other:
                    break
                keep += 1
            pages.append([number, keep, *text.pages[keep:]])
    idle = frozenset[int]() if before is None else before.idle
    line: dict[str, Any] = {
        "n": step.n,
        "at": step.at,
        "seconds": step.seconds,
        "key": before is None,
        "work": work,
        "new": new,
        "set": changes,
        "pages": pages,
        "gone": [number for number in texts if number not in step.texts],
        "waiting_count": step.waiting_count,
        "idle": sorted(step.idle - idle),
        "busy": sorted(idle - step.idle),
        "preempted": step.preempted,
        "copies": step.copies,
        "out": step.out,
        "back": step.back,
        "evicted": step.evicted,
        "reused": step.reused,
        "ended": [each._asdict() for each in step.ended],
    }
    line = {key: value for key, value in line.items() if value or key in ("n", "at", "seconds")}
    for key in ("running", "waiting"):
        if getattr(step, key) != (() if before is None else getattr(before, key)):
            line[key] = getattr(step, key)
    return line


def blank(sequence: int, request: str, sample: int, prompt: int, most: int) -> Text:
    return Text(sequence, request, sample, prompt, most, 0, 0, 0, 0, "waiting", ())


def decode(line: str | bytes) -> Line:
    """Raises pydantic's ValidationError, a ValueError, for what is no step."""
    return _LINE.validate_json(line)


def follow(before: Step | None, read: Line, pages: int) -> Step:
    """The step of a line; pages: how many there are. Raises ValueError for what can't be."""
    if read.key:
        before = None
    elif before is None:
        raise ValueError("the first step does not hold everything")
    known = {} if before is None else before.texts
    parts = tuple(_part(known, row) for row in read.work)
    texts = expected(known, parts)
    for each in read.new:
        fixed = each.sequence, each.request, each.sample, each.prompt, each.most
        texts[each.sequence] = blank(*fixed)
    for number, state, *rest in read.set:
        if state >= len(STATES):
            raise ValueError(f"there is no state {state}")
        tokens, computed, reused, preempted = rest
        texts[number] = _there(texts, number)._replace(
            state=STATES[state], tokens=tokens, computed=computed, reused=reused, preempted=preempted
        )
    for number, keep, *further in read.pages:
        text = _there(texts, number)
        held = (*text.pages[:keep], *further)
        if keep > len(text.pages) or len(set(held)) < len(held) or any(page >= pages for page in further):
            raise ValueError(f"sequence {number} can't hold pages {further[:8]} after {keep} of its own")
        texts[number] = text._replace(pages=held)
    for number in read.gone:
        _there(texts, number)
        del texts[number]
    idle = (frozenset[int]() if before is None else before.idle - frozenset(read.busy)) | set(read.idle)
    if any(page >= pages for page in read.idle):
        raise ValueError(f"there are {pages} pages, and one beyond them is idle")
    step = Step(
        n=read.n,
        at=read.at,
        seconds=read.seconds,
        parts=parts,
        texts=texts,
        running=_numbers(read.running, () if before is None else before.running),
        waiting=_numbers(read.waiting, () if before is None else before.waiting),
        waiting_count=read.waiting_count,
        idle=idle,
        preempted=tuple(read.preempted),
        copies=tuple(Copy(source, target) for source, target in read.copies),
        out=read.out,
        back=read.back,
        evicted=read.evicted,
        reused=read.reused,
        ended=tuple(Ended(e.sequence, e.request, e.sample, e.reason) for e in read.ended),
    )
    for number in (*step.running, *step.waiting, *(part.sequence for part in parts)):
        _there(texts, number)
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"{len(texts)} sequences are more than the {MOST_TEXTS} of a step that can be shown")
    return step


def _part(known: Mapping[int, Text], row: list[int]) -> Part:
    if len(row) == 1:
        part = usual(known, row[0])
        if part is None:
            raise ValueError(f"sequence {row[0]} goes on, and was not there")
        return part
    if len(row) != 7 or row[6] >= len(KINDS) or row[4] > row[3] or row[3] > row[2]:
        raise ValueError(f"{row[:8]} is no share of a step")
    sequence, start, tokens, drafts, accepted, given, kind = row
    return Part(sequence, KINDS[kind], start, tokens, drafts, accepted, given)


def _there(texts: Mapping[int, Text], sequence: int) -> Text:
    text = texts.get(sequence)
    if text is None:
        raise ValueError(f"nothing was said of sequence {sequence} before")
    return text


def _numbers(given: list[int] | None, before: tuple[int, ...]) -> tuple[int, ...]:
    return before if given is None else tuple(given)
