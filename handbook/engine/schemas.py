"""What a JSON Schema may hold, if a text is to be kept to it: checked before anything is compiled.

Refused are schemas that are wrong, that say what a left-to-right parser can't hold to, that point elsewhere,
and that would take long to compile. All reasons are told together.

Book: inference-ops/llm-serving-optimization
"""

import json
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

DEEPEST = 40  # levels of the schema's own JSON
MOST = 4_000  # values in it
LARGEST = 65_536  # characters
MULTIPLE = 10_000  # states of the automaton that counts remainders

BEYOND = frozenset(
    {
        "uniqueItems", "propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "if", "then",
        "else", "not", "contains", "minContains", "maxContains", "unevaluatedProperties", "unevaluatedItems",
        "$dynamicRef", "$recursiveRef",
    }
)  # fmt: skip
HARMLESS: Mapping[str, Any] = {"uniqueItems": False, "unevaluatedProperties": True, "unevaluatedItems": True}
NAMED = ("properties", "patternProperties", "$defs", "definitions")  # their keys are the author's own
PLAIN = ("enum", "const", "default", "examples", "example")  # values, not schemas


class BadGrammar(ValueError):
    """A schema or grammar that no text can be kept to; the message names every reason."""


def checked(schema: object) -> dict[str, Any]:
    """The schema as it goes to the compiler. Raises BadGrammar with all faults."""
    if isinstance(schema, bool):
        schema = {} if schema else {"enum": []}
    if not isinstance(schema, dict):
        raise BadGrammar(f"a JSON Schema is an object, got {type(schema).__name__}")
    if large := list(_too_much(schema)):
        raise BadGrammar("; ".join(large))
    try:
        written = json.dumps(schema, allow_nan=False)
    except ValueError:
        raise BadGrammar("a number in it is larger than any double") from None
    if wrong := _all_faults(written):
        raise BadGrammar(wrong)
    return {key: value for key, value in schema.items() if key != "x-guidance"}  # the compiler's own options


@lru_cache(256)
def _all_faults(text: str) -> str:
    """Of a schema written out; kept, because tools come with every turn and each value takes some 0.1 ms."""
    schema = json.loads(text)
    faults = [*_faults(schema, ""), *_many_remainders(schema), *_invalid(schema)]
    more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
    return "; ".join(faults[:10]) + more


def bounded(schema: dict[str, Any]) -> None:
    """Raises BadGrammar for a schema, or several in one object, that would take long."""
    if faults := list(_too_much(schema)) or list(_many_remainders(schema)):
        raise BadGrammar("; ".join(faults))


def _too_much(schema: dict[str, Any]) -> Iterator[str]:
    level: list[Any] = [schema]
    count = depth = 0
    while level and depth <= DEEPEST and count <= MOST:
        depth, count = depth + 1, count + len(level)
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    if depth > DEEPEST:
        yield f"the schema is more than {DEEPEST} levels deep"
    elif count > MOST:
        yield f"the schema has more than {MOST:,} values"
    elif (size := len(json.dumps(schema))) > LARGEST:
        yield f"the schema has {size:,} characters; {LARGEST:,} are the most"


def _faults(schema: dict[str, Any], place: str) -> Iterator[str]:
    """What can't be held to, by JSON pointer."""
    for path, part in _schemas(schema, place):
        for key, value in part.items():
            if key in BEYOND and not (key in HARMLESS and value is HARMLESS[key]):
                yield f"{path}/{key} can't be held to while a text is written"
        if isinstance(ref := part.get("$ref"), str) and not ref.startswith("#"):
            yield f"{path}/$ref: only what begins with # is looked up, nothing elsewhere; got {ref[:100]!r}"


def _many_remainders(schema: dict[str, Any]) -> Iterator[str]:
    steps = [value for key, value in _named(schema) if key == "multipleOf"]
    multiples = [
        Fraction(str(step))
        for step in steps
        if isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < math.inf
    ]
    if multiples and _states(multiples) > MULTIPLE:
        yield f"multipleOf: {MULTIPLE:,} remainders together are the most that are kept apart"


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """All that has a name in it, values that are no schema too: a reference may make them one."""
    for item in value if isinstance(value, list) else ():
        yield from _named(item)
    for key, item in value.items() if isinstance(value, dict) else ():
        yield key, item
        yield from _named(item)


def _states(multiples: list[Fraction]) -> int:
    """Remainders modulo the least common multiple, in units of the last digit."""
    scale = math.lcm(*(step.denominator for step in multiples))
    return math.lcm(*(int(step * scale) for step in multiples))


def _schemas(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with where it stands."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _schemas(item, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            for name, item in value.items():
                yield from _schemas(item, f"{path}/{key}/{str(name)[:50]}")
        elif key not in PLAIN:
            yield from _schemas(value, f"{path}/{key}")


@cache
def _meta() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(Draft202012Validator.META_SCHEMA)


def _invalid(schema: dict[str, Any]) -> Iterator[str]:
    """Where it is no JSON Schema (draft 2020-12)."""
    for error in _meta().iter_errors(schema):
        path = "".join(f"/{step}" for step in error.absolute_path)
        yield f"{path or '/'}: {error.message[:200]}"
