"""YAML by nodes: every value knows its line, and nothing is guessed (`yes` stays the word yes)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, list or mapping. line: of its first character. text_line: of its text (block scalars)."""

    line: int
    text_line: int
    scalar: str | None = None
    items: tuple[Value, ...] | None = None
    table: dict[str, Value] | None = None
    repeated: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return "text" if self.scalar is not None else "list" if self.items is not None else "mapping"


class YamlFault(ValueError):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


DEPTH = 12  # deeper than anything that the book writes; stops an alias that contains itself


def _value(node: yaml.Node, shift: int, depth: int = 0) -> Value:
    line = node.start_mark.line + 1 + shift
    if depth > DEPTH:
        raise YamlFault(line, f"nested deeper than {DEPTH} levels")
    if isinstance(node, yaml.ScalarNode):
        block = node.style in ("|", ">")
        return Value(line, line + block, scalar=node.value)
    if isinstance(node, yaml.SequenceNode):
        return Value(line, line, items=tuple(_value(child, shift, depth + 1) for child in node.value))
    table: dict[str, Value] = {}
    repeated = []
    for key, child in node.value:
        name = str(key.value)
        if name in table:
            repeated.append(name)
        table[name] = _value(child, shift, depth + 1)
    return Value(line, line, table=table, repeated=tuple(repeated))


@lru_cache(maxsize=256)
def load(text: str, shift: int = 0) -> Value | None:
    """Read one document; None where it is empty. shift is added to every line. Raises YamlFault.

    Cached by content; treat what comes back as read-only.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context_mark and "end of" in str(error.problem):  # where the open quote or bracket stands
            mark = error.context_mark
        last = max(0, len(text.splitlines()) - 1)  # an unexpected end is told of the line after the last
        line = min(mark.line if mark else 0, last) + 1 + shift
        raise YamlFault(line, str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise YamlFault(1 + shift, str(error)) from error
    return _value(node, shift) if node is not None else None
