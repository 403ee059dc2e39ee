"""What the storm of `handbook bench soak` asks, the rubbish in it, and what answers say."""

import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

WORDS = ("cat", "mat", "seven", "old", "engineers", "argue", "about", "caches", "and", "tea", "in", "the",
         "rain")  # fmt: skip
POOL = 150
LIMIT = 4 << 20  # bytes of a body that the server reads at most
TEXT, CHAT, VECTORS = "/v1/completions", "/v1/chat/completions", "/v1/embeddings"

Json = dict[str, Any]


class Asked(NamedTuple):
    """A request: where it goes, and its body."""

    path: str
    body: Json

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body).encode()


class Kinds(NamedTuple):
    """What a server can be asked. chats: whether its model has a template for them."""

    model: str
    embedder: str | None
    chats: bool


def pool(rng: random.Random, server: Kinds) -> list[Asked]:
    """Greedy all, each tenth for each of: a schema, tools, embeddings, as far as the server has them. Every
    third text has a beginning that others share."""
    shared = " ".join(rng.choices(WORDS, k=40))
    asked = []
    for number in range(POOL):
        text = " ".join(rng.choices(WORDS, k=int(2 ** rng.uniform(0, 5.5))))
        if number % 3 == 0:
            text = f"{shared} {text}"
        drawn = {"model": server.model, "max_tokens": int(2 ** rng.uniform(0, 6)), "temperature": 0,
                 "n": rng.choice((1, 1, 1, 2))}  # fmt: skip
        if number % 10 == 1:
            asked.append(schematic(text, {**drawn, "response_format": wanted(_schema(rng))}, server.chats))
        elif number % 10 == 2 and server.chats:
            tools = [_tool(rng, name) for name in rng.sample(WORDS, k=rng.randint(1, 2))]
            choice = rng.choice(("auto", "required"))
            asked.append(schematic(text[:50], {**drawn, "tools": tools, "tool_choice": choice}, True))
        elif number % 10 == 3 and server.embedder:
            texts = [text, *rng.choices(WORDS, k=rng.randrange(3))]
            body = {"model": server.embedder, "input": texts, "encoding_format": "base64"}
            asked.append(Asked(VECTORS, body))
        else:
            asked.append(Asked(TEXT, {**drawn, "prompt": text}))
    return asked


def schematic(text: str, body: Json, chats: bool) -> Asked:
    if chats:
        return Asked(CHAT, {**body, "messages": [{"role": "user", "content": text}]})
    return Asked(TEXT, {**body, "prompt": text})


def wanted(schema: object) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def unheard(rng: random.Random, server: Kinds) -> tuple[Asked, Json]:
    """A schema that nobody has sent before, and the only value that it takes."""
    value = {rng.choice(WORDS): rng.choices(WORDS, k=2), "n": rng.getrandbits(40)}
    body = {"model": server.model, "max_tokens": 300, "temperature": rng.choice((0, 1)), "n": 1}
    asked = schematic("x", {**body, "response_format": wanted({"const": value})}, server.chats)
    return asked, value


def is_value(got: list[str] | int, value: Json) -> bool:
    """Whether an answer is this value and no more."""
    if isinstance(got, int) or len(got) != 1 or not got[0].endswith("|stop"):
        return False
    try:
        return bool(json.loads(got[0].removesuffix("|stop")) == value)
    except ValueError:
        return False


def _schema(rng: random.Random) -> Json:
    kinds: list[Json] = [
        {"type": "integer", "minimum": 0, "maximum": rng.randint(1, 10**6)},
        {"enum": rng.sample(WORDS, k=4)},
        {"type": "string", "pattern": f"^[a-f ]{{1,{rng.randint(1, 20)}}}$"},
        {"type": "array", "items": {"type": "boolean"}, "maxItems": rng.randint(1, 4)},
    ]
    names = rng.sample(WORDS, k=rng.randint(1, 4))
    return {
        "type": "object",
        "properties": {name: rng.choice(kinds) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _tool(rng: random.Random, name: str) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": _schema(rng)}}


class Said:
    """What one choice says, from its whole or in pieces: words, calls, and why it ended."""

    def __init__(self) -> None:
        self.words = self.end = ""
        self.calls: dict[int, str] = {}

    def add(self, choice: Json) -> None:
        part = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
        self.words += part.get("content") or ""
        self.end = choice["finish_reason"] or self.end
        for number, call in enumerate(part.get("tool_calls") or ()):
            at, function = call.get("index", number), call["function"]
            name = f"{function['name']}:" if function.get("name") else ""
            self.calls[at] = self.calls.get(at, "") + name + function["arguments"]

    def __str__(self) -> str:
        return "|".join((self.words, *(self.calls[at] for at in sorted(self.calls)), self.end))


def said(answer: Json) -> list[str]:
    """By choice, or the vectors."""
    if "choices" not in answer:
        return [one["embedding"] for one in answer["data"]]
    return in_pieces([answer])


def in_pieces(chunks: Sequence[Json]) -> list[str]:
    choices: dict[int, Said] = {}
    for chunk in chunks:
        for one in chunk["choices"]:
            choices.setdefault(one["index"], Said()).add(one)
    return [str(choices[index]) for index in sorted(choices)]


def rubbish(kind: str, asked: Asked, server: Kinds, rng: random.Random) -> tuple[str, bytes, set[int]]:
    """Where it goes, a body that is refused or takes long to make sense of, and the statuses it may get."""
    if kind == "not JSON":
        raw = asked.raw
        broken = (raw[:-1], b"", b"\xff" + raw, b"[" * 5000, b'{"model": NaN}', raw + raw)
        return asked.path, rng.choice(broken), {400}
    if kind == "too large":
        return asked.path, asked.raw[:-1] + b', "user": "' + b"x" * (LIMIT + 1) + b'"}', {413}
    body: Json = {"model": server.model, "max_tokens": 4}
    if kind == "bad schema":
        one = schematic("x", {**body, **rng.choice(_bad_forms(server.chats))}, server.chats)
        return one.path, one.raw, {400}
    if kind == "heavy form":
        one = schematic("x", {**body, **rng.choice(HEAVY)}, server.chats)
        return one.path, one.raw, {200, 400, 429}
    wrong: list[Json] = [
        {"max_tokens": -1}, {"temperature": 9}, {"nonsense": 1}, {"prompt": ""}, {"prompt": [10**9]},
        {"n": 0}, {"stop": []}, {"max_tokens": 10**6}, {"logit_bias": {"x": 1}}, {"model": "x" * 10_000},
    ]  # fmt: skip
    one = Asked(TEXT, {**body, "prompt": "x", **rng.choice(wrong)})
    return TEXT, one.raw, {404 if len(one.body["model"]) > 9_999 else 400}


HEAVY: list[Json] = [
    {"guided_regex": "((a{1000}){1000}){1000}"},
    {"guided_regex": "(.|\n)*a(.|\n){40}"},
    {"guided_grammar": 'start: s\ns: s s | s s s | "a" | "aa" | '},
    {"guided_choice": [f"choice {n * 7919}" for n in range(1000)]},
    {"response_format": wanted({"properties": {f"p{n}": {"type": "string"} for n in range(900)}})},
    {"response_format": wanted({"type": "integer", "multipleOf": 9973})},
]


def _bad_forms(chats: bool) -> list[Json]:
    """Schemas and grammars that are wrong, or that would take for ever; tools likewise."""
    deep: Json = {"type": "integer"}
    for _ in range(60):
        deep = {"type": "array", "items": deep}
    schemas: list[Any] = [
        {"type": "nothing"}, {"$ref": "http://example.com/x"}, {"type": "string", "pattern": "("}, 7, deep,
        {"$ref": "#"}, {"not": {}}, {"allOf": [{"multipleOf": p} for p in (7, 11, 13, 17, 19, 23)]},
        {"properties": {f"p{n}": {} for n in range(5000)}},
    ]  # fmt: skip
    forms: list[Json] = [{"response_format": wanted(schema)} for schema in schemas]
    forms += [{"guided_regex": "(?=a)b"}, {"guided_grammar": "start: start"}]
    tools = [{"type": "function", "function": {"name": "x", "parameters": one}} for one in schemas]
    return forms + [{"tools": [tool]} for tool in tools if chats]
