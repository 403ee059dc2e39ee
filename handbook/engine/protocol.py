"""What clients may ask, in OpenAI's words: each body is read strictly, and all its faults are told together.

A field that OpenAI does not define, and that open servers have not agreed on, is refused. One that OpenAI
defines and that changes no token is ignored. One that asks for what this server can't do is refused with the
reason, unless it asks for what happens anyway.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, from_json

from handbook.engine.refused import Fault, Refused
from handbook.records import Message, Sampling

IGNORED = frozenset(
    {
        "user",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prediction",
        "parallel_tool_calls",
    }
)
CONSTRAINED = "needs constrained decoding, which this server does not have yet"
NOT_HERE = {
    "response_format": f"{CONSTRAINED}; only {{'type': 'text'}} can be had",
    "tools": f"calling tools {CONSTRAINED}",
    "tool_choice": f"calling tools {CONSTRAINED}",
    "functions": f"calling functions {CONSTRAINED}",
    "function_call": f"calling functions {CONSTRAINED}",
    "modalities": "this server writes text only",
    "audio": "this server writes text only",
    "store": "this server keeps no replies",
    "web_search_options": "this server does not search the web",
    "reasoning_effort": "this server has no such dial",
    "verbosity": "this server has no such dial",
    "suffix": "this server continues texts, and does not fill gaps in them",
    "echo": "this server does not repeat prompts",
    "best_of": "this server does not choose among samples; ask for n and choose",
    "dimensions": "this model's vectors have one length",
    "tool_calls": f"calling tools {CONSTRAINED}",
    "function": f"calling functions {CONSTRAINED}",
}
HAPPENS_ANYWAY: Mapping[str, tuple[Any, ...]] = {
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none",),
    "functions": ([],),
    "function_call": ("none",),
    "modalities": (["text"],),
    "store": (False,),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "suffix": ("",),
    "echo": (False,),
    "best_of": (1,),
    "tool_calls": ([],),
}


def _prompts(value: object) -> list[str | list[int]]:
    """A text, token ids, or a list of either."""
    given: object = value if isinstance(value, list) and not _ids(value) else [value]
    assert isinstance(given, list)
    if not given or not (all(isinstance(one, str) for one in given) or all(map(_ids, given))):
        raise PydanticCustomError(
            "prompt", "Input should be a text, a list of texts, token ids, or a list of lists of token ids"
        )
    return given


def _ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


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


class Body(BaseModel):
    """A request's body. What it does not name is looked at by `read`."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, frozen=True)

    def faults(self) -> list[Fault]:
        """Fields that don't go together."""
        return []


class StreamOptions(Body):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # hides lengths on the wire from eavesdroppers: none on loopback


class Turn(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: str | None = None  # no template takes it
    refusal: None = None

    @property
    def message(self) -> Message:
        return Message("system" if self.role == "developer" else self.role, self.content)


class Drawn(Body):
    """What chat and completions share: how tokens are drawn, and in which form they come."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Stop | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None  # 0 and -1: all
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: (
        Annotated[
            dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
            Field(max_length=1024),
        ]
        | None
    ) = None
    ignore_eos: bool | None = None  # open servers': the model's own stop tokens end nothing

    @property
    def samples(self) -> int:
        return self.n or 1

    @property
    def with_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def asked(self) -> int | None:
        """Tokens to draw at most, where the client says it."""
        return self.max_tokens

    @property
    def most(self) -> int | None:
        """Likewise, or what is usual at this endpoint; None for as many as there is room for."""
        return self.asked

    @property
    def likeliest(self) -> int | None:
        """How many likeliest tokens to tell of each place; None for no log-probabilities at all."""
        return None

    def sampling(self, max_tokens: int) -> Sampling:
        """OpenAI's defaults: temperature 1, nothing filtered."""
        return Sampling(
            max_tokens=max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=max(self.top_k or 0, 0),
            min_p=self.min_p or 0.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=self.seed,
            stop=tuple(self.stop or ()),
        )

    def faults(self) -> list[Fault]:
        if self.stream_options is not None and not self.stream:
            return [Fault("stream_options", "only goes with stream")]
        return []


class ChatBody(Drawn):
    messages: Annotated[list[Turn], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def asked(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def likeliest(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    def faults(self) -> list[Fault]:
        found = super().faults()
        if self.top_logprobs is not None and not self.logprobs:
            found.append(Fault("top_logprobs", "only goes with logprobs"))
        if None not in (both := (self.max_tokens, self.max_completion_tokens)) and both[0] != both[1]:
            found.append(Fault("max_tokens", "differs from max_completion_tokens; give one of them"))
        return found


class TextBody(Drawn):
    prompt: Prompts
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def most(self) -> int:
        return self.max_tokens or 16  # OpenAI's default

    @property
    def likeliest(self) -> int | None:
        return self.logprobs


class EmbeddingsBody(Body):
    model: str
    input: Texts
    encoding_format: Literal["float", "base64"] | None = None

    def faults(self) -> list[Fault]:
        if not isinstance(self.input[0], str):
            return [Fault("input", "token ids can't be embedded here; send texts")]
        if len(self.input) > 2048:
            return [Fault("input", f"2,048 texts at most, got {len(self.input):,}")]
        return []


B = TypeVar("B", bound=Body)


def read(kind: type[B], raw: bytes) -> B:
    """The body. Raises Refused, with all faults, for one that is not what it should be."""
    try:
        given = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, f"The body is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise Refused(400, "The body should be a JSON object.")
    faults = []
    try:
        body = kind.model_validate(given)
        faults = body.faults()
    except ValidationError as error:
        faults = [
            Fault(".".join(map(str, one["loc"])), one["msg"])
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    faults += _strangers(kind, given)
    turns = given.get("messages")
    for index, turn in enumerate(turns if kind is ChatBody and isinstance(turns, list) else ()):
        faults += _strangers(Turn, turn, f"messages.{index}.")
    faults += _strangers(StreamOptions, given.get("stream_options"), "stream_options.")
    if faults:
        raise Refused.listing(faults)
    return body


def _strangers(kind: type[Body], given: object, place: str = "") -> list[Fault]:
    """Fields that this kind of body has no use for, and that must not be passed over."""
    return [
        Fault(place + str(name)[:100], NOT_HERE.get(name, "there is no such field"))
        for name, value in (given.items() if isinstance(given, dict) else ())
        if name not in kind.model_fields
        and name not in IGNORED
        and not (value is None and name in NOT_HERE)
        and not any(type(value) is type(same) and value == same for same in HAPPENS_ANYWAY.get(name, ()))
    ]
