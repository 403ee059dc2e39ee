"""Calls of tools in a model's text: the grammar that they are held to, and their way back out of the text.

Two forms. Tagged, as Hermes models and Qwen's write it:

    <tool_call>
    {"name": "weather", "arguments": {"city": "Paris"}}
    </tool_call>

and plain, where the whole text is that object, fenced or not; some models write their calls so, trained to or
not. Where a model may choose between words and calls, its words are free until a tag is complete, or until
the text has begun like a call of a tool that there is; from there on it is held to the call's form.

Book: inference-ops/llm-serving-optimization
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from handbook.engine.constrained import COMPACT, SPACE
from handbook.engine.schemas import BadGrammar, bounded, checked
from handbook.model.template import ChatTemplate
from handbook.model.tools import CLOSE, OPEN
from handbook.records import Tool

NAME = r"[a-zA-Z0-9_.-]{1,64}"
WORDS = "/(.|\\n)*/"


class Style(NamedTuple):
    """How a model writes calls. key: what it calls the arguments."""

    tagged: bool = True
    key: str = "arguments"

    @classmethod
    def of(cls, template: ChatTemplate) -> "Style":
        """As its template shows; tagged where the template says nothing about tools, because ours are then
        the words."""
        source = template.source
        if OPEN in source or not template.takes_tools:
            return cls()
        return cls(
            False, "parameters" if '"parameters"' in source and '"arguments"' not in source else "arguments"
        )


TAGGED = Style()


@dataclass(frozen=True, slots=True)
class Calling:
    """What a reply may call. needed: it must. several: more than one call. answer: the rule of a reply that
    calls nothing, in Lark's form."""

    tools: tuple[Tool, ...]
    style: Style = TAGGED
    needed: bool = False
    several: bool = True
    answer: str = WORDS


def arguments_of(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments; a tool without one takes none. Raises BadGrammar."""
    if not tool.parameters:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    given = checked(dict(tool.parameters))
    if given.setdefault("type", "object") != "object":
        raise BadGrammar(f"/type: arguments are an object, got {given['type']!r}")
    return given


def grammar_of(calling: Calling, token: Callable[[str], str | None]) -> str:
    """The grammar of replies that may call tools, in Lark's form.

    token: how the grammar names a tag that is one token of the vocabulary; None for one that is not. Raises
    BadGrammar for tools that are wrong, or too much together.
    """
    schemas = [arguments_of(tool) for tool in calling.tools]
    bounded({"tools": schemas})
    free, tagged = calling.answer == WORDS, calling.style.tagged
    opening = token(OPEN) or json.dumps(OPEN)
    starts, rules = [], []
    for number, (tool, schema) in enumerate(zip(calling.tools, schemas, strict=True)):
        start = f'{{"name": "{tool.name}", "{calling.style.key}": '
        rules.append(f'exact_{number}: {json.dumps(start)} {_json(schema, COMPACT)} "}}"')
        if free and not calling.needed:
            rules += _loose(number, tool.name, schema)
    rules.append(_any("exact", len(schemas)))
    if tagged:
        more = f'("\\n" {opening} call)*' if calling.several else ""
        rules.append(f'call: "\\n" exact "\\n" {token(CLOSE) or json.dumps(CLOSE)}')
        if calling.needed or not free:
            starts.append(f"{opening} call {more}")
        else:
            starts.append(f"tag call {more}")
            rules.append(f"spelled[lazy]: TEXT {json.dumps(OPEN)}")
            rules.append("tag: spelled" + (f" | TEXT {token(OPEN)}" if token(OPEN) else ""))
    elif calling.needed or not free:
        starts.append("exact")
    if not calling.needed:
        starts.append("answer")
        rules.append("answer: " + ("TEXT" if free else calling.answer))
        if free:
            starts.append("loose")
            rules += [_any("loose", len(schemas)), f"TEXT: {WORDS}"]
    return "\n".join(["%llguidance {}", "start: " + " | ".join(starts), *rules]) + "\n"


def _loose(number: int, name: str, schema: dict[str, Any]) -> list[str]:
    """A whole text that begins like a call, from the tool's name on."""
    space = r"[ \n\t]{0,16}"
    begun = rf'/{space}(```(json)?\n{space})?\{{{space}"name"{space}:{space}"{re.escape(name)}"/'
    middle = rf'/{space},{space}"(arguments|parameters)"{space}:{space}/'
    value = _json(schema, {"whitespace_pattern": SPACE})
    return [f"begun_{number}[lazy]: {begun}", f"loose_{number}: begun_{number} {middle} {value} /{END}/"]


def _any(kind: str, count: int) -> str:
    return f"{kind}: " + " | ".join(f"{kind}_{number}" for number in range(count))


def _json(schema: dict[str, Any], options: dict[str, Any]) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": options})


END = r"[ \n\t]{0,16}\}([ \n\t]{1,16}```)?"


class Part(NamedTuple):
    """What came of a text: words, or of the call with this number its name (once, first) or more of its
    arguments."""

    text: str
    call: int | None = None
    name: str | None = None


class Reader:
    """Takes calls out of a reply while it is written.

    What may be the beginning of a call is held back until it is clear. A call that was cut off before its
    arguments began is words, as it stands; one cut off later keeps what there is of its arguments.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.calls = 0
        self._names = set(names)
        self._rest = ""
        self._read: Callable[[], list[Part] | None] = self._opening
        self._depth, self._quoted, self._escaped = 0, False, False

    @property
    def within(self) -> bool:
        """Whether a call has begun and its arguments have not ended."""
        return self._read == self._arguments

    def push(self, text: str, last: bool = False) -> list[Part]:
        """What is certain now; with last, all that is left."""
        self._rest += text
        parts: list[Part] = []
        while (found := self._read()) is not None:
            parts += found
        if last and (rest := self._rest if self._read != self._closing else ""):
            self._rest = ""
            if not self.calls or rest.strip():
                parts.append(Part(rest))
        return [part for part in parts if part.text or part.name]

    def _opening(self) -> list[Part] | None:
        """The very beginning: a plain call, or anything else."""
        if found := PLAIN.match(self._rest[:LONGEST_HEAD]):
            if found["name"] in self._names:
                return self._begin(found)
        elif _may_become_plain(self._rest):
            return None
        self._read = self._words
        return []

    def _words(self) -> list[Part] | None:
        """Up to a tag."""
        before, tag, _ = self._rest.partition(OPEN)
        if tag:
            certain = before.rstrip()  # the space before a call is part of it
            self._rest, self._read = self._rest[len(certain) :], self._head
            return [Part(certain)]
        held = next(n for n in range(len(OPEN) - 1, -1, -1) if before.endswith(OPEN[:n]))
        certain = before[: len(before) - held].rstrip()
        self._rest = before[len(certain) :]
        return [Part(certain)] if certain else None

    def _head(self) -> list[Part] | None:
        """At a tag."""
        found = TAGGED_HEAD.match(self._rest)
        return self._begin(found) if found else None

    def _begin(self, found: re.Match[str]) -> list[Part]:
        self._rest, self._read = self._rest[found.end() :], self._arguments
        self.calls += 1
        return [Part("", self.calls - 1, found["name"])]

    def _arguments(self) -> list[Part] | None:
        """A JSON object, to its end."""
        if not self._depth:
            self._rest = self._rest.lstrip()
        for at, character in enumerate(self._rest):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if not self._depth:
                    value, self._rest = self._rest[: at + 1], self._rest[at + 1 :]
                    self._read = self._closing
                    return [Part(value, self.calls - 1)]
        value, self._rest = self._rest, ""
        return [Part(value, self.calls - 1)] if value else None

    def _closing(self) -> list[Part] | None:
        """What follows the arguments of a call that is tagged; a plain one ends the text."""
        _, tag, after = self._rest.partition(CLOSE)
        if not tag:
            return None
        self._rest, self._read = after, self._words
        return []


HEAD = re.compile(rf'\s*\{{\s*"name"\s*:\s*"(?P<name>{NAME})"\s*,\s*"(?:arguments|parameters)"\s*:\s*')
LONGEST_HEAD = 300  # characters, with all space that the grammar leaves: what is looked at at each token
PLAIN = re.compile(rf"\s*(?:```(?:json)?\s)?{HEAD.pattern}")
TAGGED_HEAD = re.compile(rf"\s*{OPEN}{HEAD.pattern}")


def _may_become_plain(text: str) -> bool:
    """Whether `PLAIN` may match once more has come. Space counts nowhere: a little more is held back then."""
    if len(text) > LONGEST_HEAD:
        return False
    begun = "".join(text.split())
    for fence in ("", "```", "```json"):
        if fence.startswith(begun):
            return True
        if begun.startswith(fence):
            body = begun[len(fence) :]
            if '{"name":"'.startswith(body) or OPENED.fullmatch(body):
                return True
    return False


OPENED = re.compile(rf'\{{"name":"(?:[a-zA-Z0-9_.-]{{0,64}}|{NAME}"(?:,(?:"(?:[a-z]{{1,10}}(?:":?)?)?)?)?)')
