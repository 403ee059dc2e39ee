"""From the bytes of a request to its body: read strictly, and all faults are told together.

A field that OpenAI does not define, and that open servers have not agreed on, is refused. One that OpenAI
defines and that changes no token is ignored. One that asks for what this server can't do is refused with the
reason, unless it asks for what happens anyway.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import from_json

from handbook.engine.fields import Body
from handbook.engine.refused import Fault, Refused

IGNORED = frozenset(
    {
        "user",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prediction",
        "annotations",  # in replies that clients send back
        "provider_specific_fields",  # likewise, litellm's
    }
)
OLD = "is the old form of tools; send those"
NOT_HERE = {
    "tools": "only goes with messages, at /v1/chat/completions",
    "tool_choice": "only goes with messages, at /v1/chat/completions",
    "parallel_tool_calls": "only goes with messages, at /v1/chat/completions",
    "functions": OLD,
    "function_call": OLD,
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
    "function": OLD,
}
HAPPENS_ANYWAY: Mapping[str, tuple[Any, ...]] = {
    "functions": ([],),
    "function_call": ("none",),
    "modalities": (["text"],),
    "store": (False,),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "suffix": ("",),
    "echo": (False,),
    "best_of": (1,),
}
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
    if faults:
        raise Refused.listing(faults)
    return body


def _strangers(kind: type[Body], given: object, place: str = "") -> list[Fault]:
    """Fields that this kind of body, or one in it, has no use for, and that must not be passed over."""
    if not isinstance(given, dict):
        return []
    known = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    found = [
        Fault(place + str(name)[:100], NOT_HERE.get(name, "there is no such field"))
        for name, value in given.items()
        if name not in known
        and name not in IGNORED
        and not (value is None and name in NOT_HERE)
        and not any(type(value) is type(same) and value == same for same in HAPPENS_ANYWAY.get(name, ()))
    ]
    for name, annotation in known.items():
        value = given.get(name)
        for inner in _bodies(annotation) if value is not None else ():
            for index, item in enumerate(value) if isinstance(value, list) else ((None, value),):
                where = f"{place}{name}." if index is None else f"{place}{name}.{index}."
                found += _strangers(inner, item, where)
    return found


def _bodies(annotation: Any) -> list[type[Body]]:
    """The bodies that a field's type speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, Body):
        return [annotation]
    return [body for inner in get_args(annotation) for body in _bodies(inner)]
