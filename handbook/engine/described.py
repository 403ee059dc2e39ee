"""The server's OpenAPI document: its paths, what they take and what they give, for this model.

Written out rather than read off the handlers, because those read their bodies themselves. It says what can be
said of a body: not that a schema, an expression or a grammar within it is a right one.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from handbook.engine.fields import Body
from handbook.engine.protocol import ChatBody, EmbeddingsBody, TextBody

Json = dict[str, Any]
WORD: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "minimum": 0}
EVENTS: Json = {"text/event-stream": {}}
FAULTS = {
    400: "The request is not what it should be; the message lists every fault",
    401: "The API key is missing or wrong",
    403: "A page of another origin sent it",
    404: "There is no such model",
    408: "The body did not come in time",
    413: "The body is too large",
    421: "The Host header does not name this machine",
    429: "The queue is full; Retry-After says when to come back",
    500: "The engine failed",
    503: "The server is being stopped",
}


NULL: Json = {"type": "null"}


def _one_of_these(*ways: Json) -> Json:
    """Fields, each as one way or another has them, or absent; those with a ! have to be there. What has a
    `not` in it is too much for those who make requests out of a document."""
    return {
        "anyOf": [
            {
                "properties": {name.rstrip("!"): schema for name, schema in way.items()},
                "required": [name.rstrip("!") for name in way if name.endswith("!")],
            }
            for way in ways
        ]
    }


def _needs(field: str, switch: str) -> Json:
    """A field that only goes with a switch."""
    return _one_of_these({field: NULL}, {f"{switch}!": {"const": True}})


LENGTHS = _one_of_these({"max_tokens": NULL}, {"max_completion_tokens": NULL})


def _if_and_only_if(field: str, kind: str, switch: str, value: str) -> Json:
    """A field that goes with one value of another, which needs it."""
    given = {"properties": {field: {"type": kind}}, "required": [field]}
    switched = {"properties": {switch: {"const": value}}, "required": [switch]}
    return {"if": switched, "then": given, "else": {"not": given}}


def _given(field: str, **schema: Any) -> Json:
    """A field that is there, and not null."""
    return {"properties": {field: {"not": {"type": "null"}, **schema}}, "required": [field]}


STRUCTURED = [
    *(_given(name) for name in ("json", "regex", "choice", "grammar")),
    _given("json_object", const=True),
]
NO_TOOLS: Json = {"anyOf": [NULL, {"type": "array", "maxItems": 0}]}
ANY_TEXT: Json = {"anyOf": [NULL, {"type": "object", "properties": {"type": {"const": "text"}}}]}
STOPS: Json = {"enum": [None, False]}
ONE_FORM = _one_of_these({"structured_outputs": NULL}, {"response_format": ANY_TEXT})
NO_FORM_PAST_STOPS = _one_of_these(
    {"ignore_eos": STOPS}, {"structured_outputs": NULL, "response_format": ANY_TEXT}
)
CALLING = [
    _one_of_these(
        {"tools": NO_TOOLS},
        {"tool_choice!": {"const": "none"}},
        {"structured_outputs": NULL, "ignore_eos": STOPS},
    ),
    _one_of_these(
        {"tool_choice": {"enum": [None, "none", "auto"]}}, {"tools!": {"type": "array", "minItems": 1}}
    ),
]
CALLS = _given("tool_calls", type="array", minItems=1)
TURNS: list[Json] = [
    {"anyOf": [_given("content"), CALLS]},
    {"if": CALLS, "then": _given("role", const="assistant")},
    _if_and_only_if("tool_call_id", "string", "role", "tool"),
]


def _object(required: Json, **more: Json) -> Json:
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


USAGE = _object({"prompt_tokens": WHOLE, "total_tokens": WHOLE}, completion_tokens=WHOLE)
CHOICE = _object({"index": WHOLE, "finish_reason": {"enum": ["stop", "length", "tool_calls"]}})
CARD = _object({"id": WORD, "object": {"const": "model"}, "created": WHOLE, "owned_by": WORD}, parent=WORD)
FAULT = _object(
    {
        "error": _object(
            {
                "message": WORD,
                "type": WORD,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            }
        )
    }
)


def document(models: dict[type[Body], list[str]], cards: list[str], vocabulary: int, most: int) -> Json:
    """models: by the kind of body, the models that answer it. vocabulary: token ids. most: samples that run
    at once."""
    _, schemas = models_json_schema(
        [(kind, "validation") for kind in models], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Json] = _closed(schemas["$defs"])
    for kind, names in models.items():
        fields = found[kind.__name__]["properties"]
        fields["model"] = {**WORD, "enum": names}
        if "n" in fields:
            fields["n"]["anyOf"][0]["maximum"] = min(128, most)
    _bounded(found, vocabulary - 1)
    for name in ("ChatBody", "TextBody"):
        for older in [field for field in found[name]["properties"] if field.startswith("guided_")]:
            del found[name]["properties"][older]  # taken, but `structured_outputs` says the same
        bias = found[name]["properties"]["logit_bias"]["anyOf"][0]
        bias["patternProperties"] = {
            up_to(vocabulary - 1): value for value in bias["patternProperties"].values()
        }
        found[name]["allOf"] = [_needs("stream_options", "stream"), ONE_FORM, NO_FORM_PAST_STOPS]
    found["ChatBody"]["allOf"] += [_needs("top_logprobs", "logprobs"), LENGTHS, *CALLING]
    found["ResponseFormat"] |= _if_and_only_if("json_schema", "object", "type", "json_schema")
    found["StructuredOutputs"]["anyOf"] = [{"not": {"anyOf": STRUCTURED}}, {"oneOf": STRUCTURED}]
    found["Turn"]["allOf"] = TURNS
    answers = {
        ChatBody: ("/v1/chat/completions", _answer("chat.completion"), EVENTS),
        TextBody: ("/v1/completions", _answer("text_completion"), EVENTS),
        EmbeddingsBody: ("/v1/embeddings", _object({"data": _list({"type": "object"}), "usage": USAGE}), {}),
    }
    paths: Json = {
        path: {"post": _operation(path, answer, events, kind.__name__)}
        for kind, (path, answer, events) in answers.items()
    }
    one = _operation("/v1/models/{name}", _ref("Model"), {})
    one["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {**WORD, "enum": cards}}]
    health = _operation("/health", _object({"status": WORD}), {})
    health["responses"]["503"] = {"description": "Draining", **_json(_object({"status": WORD}))}
    figures = _operation("/metrics", {}, {})
    figures["responses"]["200"]["content"] = {"text/plain": {"schema": WORD}}
    paths |= {
        "/v1/models": {"get": _operation("/v1/models", _object({"data": _list(_ref("Model"))}), {})},
        "/v1/models/{name}": {"get": one},
        "/health": {"get": health},
        "/metrics": {"get": figures},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "The handbook's engine", "version": "1"},
        "paths": paths,
        "security": [{}, {"key": []}],
        "components": {
            "schemas": {**found, "Fault": FAULT, "Model": CARD},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def up_to(last: int) -> str:
    """A pattern for the whole numbers from 0 to `last`, as JSON Schema knows no others for keys."""
    digits = str(last)
    forms = [rf"[0-9]{{1,{len(digits) - 1}}}"] if len(digits) > 1 else []
    for place, digit in enumerate(digits):
        if digit != "0":
            forms.append(rf"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}")
    return f"^({'|'.join([*forms, digits])})$"


def _answer(kind: str) -> Json:
    return _object({"id": WORD, "object": {"const": kind}, "choices": _list(CHOICE), "usage": USAGE})


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(path: str, answer: Json, events: Json, body: str | None = None) -> Json:
    good = {"description": "The answer", **_json(answer)}
    good["content"].update(events)
    faults = {str(status): {"description": what, **_json(_ref("Fault"))} for status, what in FAULTS.items()}
    operation: Json = {"operationId": path.strip("/").replace("/", "-"), "responses": {"200": good, **faults}}
    if body is not None:
        operation["requestBody"] = {"required": True, **_json(_ref(body))}
    return operation


def _closed(schema: Any) -> Any:
    """Unknown fields are refused, though the models let them through to be looked at."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if closed.get("additionalProperties") is True or "patternProperties" in closed:
        closed["additionalProperties"] = False
    return closed


def _bounded(schema: Any, last: int) -> None:
    """Token ids end where the vocabulary does."""
    for item in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _bounded(item, last)
    if isinstance(schema, dict) and schema.get("description") == "token id":
        schema["maximum"] = last
