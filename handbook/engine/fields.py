"""The kinds of values that requests have: what is let in, what is said of others, what OpenAPI calls them."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError, from_json

from handbook.engine.refused import Fault


def _prompts(value: object) -> list[str | list[int]]:
    """A text, token ids, or a list of either."""
    given: object = value if isinstance(value, list) and not _ids(value) else [value]
    assert isinstance(given, list)
    if given and all(isinstance(one, str) for one in given):
        return given
    if not given or not all(map(_ids, given)):
        raise PydanticCustomError(
            "prompt", "Input should be a text, a list of texts, token ids, or a list of lists of token ids"
        )
    return [list(map(int, one)) for one in given]


def _ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(_whole(one)) is int for one in value)


def _whole(value: object) -> object:
    """JSON Schema counts 4.0 among the integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _content(value: object) -> str:
    """A text, or text parts: joined as they stand."""
    if isinstance(value, str):
        return value
    texts = [_part(part) for part in value] if isinstance(value, list) else [None]
    if None in texts:
        raise PydanticCustomError(
            "content",
            "Input should be a text, or a list of {'type': 'text', 'text': ...}; no images, no sound",
        )
    return "".join(text for text in texts if text)


def _part(part: object) -> str | None:
    if not isinstance(part, dict) or set(part) != {"type", "text"} or part["type"] != "text":
        return None
    return part["text"] if isinstance(part["text"], str) else None


def _stops(value: object) -> object:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(
        isinstance(stop, str) and 0 < len(stop) < 1000 for stop in stops
    ):
        raise PydanticCustomError("stop", "Input should be 1 to 4 texts of 1 to 999 characters")
    if not 1 <= len(stops) <= 4:
        raise PydanticCustomError("stop", "Input should be 1 to 4 texts, got {got}", {"got": len(stops)})
    return stops


def _any(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


def _list(of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1, **more}


TEXT = {"type": "string"}
IDS = _list({"type": "integer", "minimum": 0, "description": "token id"})
PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": TEXT},
    "required": ["type", "text"],
    "additionalProperties": False,
}
END = {**TEXT, "minLength": 1, "maxLength": 999}
SOME = {**TEXT, "minLength": 1}
Prompts = Annotated[list[str | list[int]], PlainValidator(_prompts), _any(SOME, _list(SOME), IDS, _list(IDS))]
Texts = Annotated[list[str | list[int]], PlainValidator(_prompts), _any(TEXT, _list(TEXT, maxItems=2048))]
Content = Annotated[str, PlainValidator(_content), _any(TEXT, {"type": "array", "items": PART})]
Stop = Annotated[list[str], BeforeValidator(_stops), _any(END, _list(END, maxItems=4))]


def _written(value: object) -> object:
    """An object, or one written out."""
    if not isinstance(value, str):
        return _schema(value)
    try:
        return _schema(from_json(value, allow_inf_nan=False))
    except ValueError as error:
        raise PydanticCustomError("schema", "Input is not JSON: {why}", {"why": str(error)}) from None


def _schema(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("schema", "Input should be a JSON Schema, an object")
    return value


NAME = r"[a-zA-Z0-9_.-]{1,64}"  # of a tool
OBJECT = {"type": "object"}
Schema = Annotated[dict[str, Any], PlainValidator(_schema), WithJsonSchema(OBJECT)]
Written = Annotated[dict[str, Any], PlainValidator(_written), _any(OBJECT, TEXT)]
Expression = Annotated[str, Field(min_length=1, max_length=65_536)]
Choices = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1_000)]


class Body(BaseModel):
    """A request's body. What it does not name is looked at by `read`."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _whole_numbers(cls, value: object) -> object:
        return _whole(value)

    def faults(self) -> list[Fault]:
        """Fields that don't go together."""
        return []
