"""Forms of answers over real sockets, with the official client: schemas, expressions, grammars, tools."""

import dataclasses
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema
import openai
import pytest
import torch
from pydantic import BaseModel
from server_machine import Running, serving, until
from wordy import wordy

from handbook.engine.work import Batch
from handbook.model.load import Loaded
from handbook.model.template import ChatTemplate

TEMPLATE = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}assistant:"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"enum": ["Paris", "Rome"]},
                "days": {"type": "integer", "maximum": 9, "minimum": 0},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK = {"type": "function", "function": {"name": "now", "parameters": None}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome", "days": 3}}\n</tool_call>'
ASK = [{"role": "user", "content": "Weather?"}]


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    days: list[Literal[1, 2, 3]]


class Script:
    """An executor that wants to say a text after any prompt, and then to stop."""

    def __init__(self, running: Running) -> None:
        self.engine, self.inner, self.text = running.engine, running.engine.executor, None
        running.engine.executor = self

    def run(self, batch: Batch) -> torch.Tensor:
        logits = self.inner.run(batch)
        if self.text is None:
            return logits
        ids = [*self.engine.loaded.tokenizer.encode(self.text), 0]
        logits, row = torch.zeros_like(logits), 0
        for work in batch.work:
            sequence = self.engine.scheduler.sequence(work.sequence)
            said = work.start + len(work.tokens) - work.drafts - len(sequence.request.prompt)
            for ahead in range(work.drafts + 1) if work.wanted else ():
                logits[row, ids[min(said + ahead, len(ids) - 1)]] = 9.0
                row += 1
        return logits


@pytest.fixture(scope="module")
def model() -> Loaded:
    return dataclasses.replace(wordy(), template=ChatTemplate(TEMPLATE), name="tiny")


@pytest.fixture(scope="module")
def server(model: Loaded) -> Iterator[Running]:
    with serving(model, body_limit=1_000_000) as running:
        running.script = Script(running)
        yield running


@pytest.fixture(autouse=True)
def unscripted(server: Running) -> None:
    server.script.text = None


def ask(server: Running, **options: Any) -> Any:
    options = {"messages": ASK, "max_tokens": 400, "temperature": 1.0, "seed": 5, **options}
    return server.client.chat.completions.create(model="tiny", **options)


def heard(chunks: Any) -> tuple[str | None, list[tuple[str, str, str]], str]:
    """What a stream says, put together as OpenAI's guide does it."""
    words, calls, reason = None, [], None
    for chunk in chunks:
        (choice,) = chunk.choices
        if choice.delta.content:
            words = (words or "") + choice.delta.content
        for call in choice.delta.tool_calls or ():
            if call.id:
                assert call.index == len(calls)
                assert call.type == "function"
                calls.append([call.id, call.function.name, ""])
            calls[call.index][2] += call.function.arguments
        reason = choice.finish_reason or reason
    return words, [tuple(call) for call in calls], reason


# --- forms


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_json_schemas(server, temperature):
    schema = {**TOOL["function"]["parameters"]}
    form = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}}
    reply = ask(server, response_format=form, n=4, temperature=temperature)
    for choice in reply.choices:
        assert choice.finish_reason == "stop"
        jsonschema.validate(json.loads(choice.message.content), schema)
    if temperature:
        assert len({choice.message.content for choice in reply.choices}) > 1
    (once,) = ask(server, response_format=form, temperature=temperature).choices
    streamed = heard(ask(server, response_format=form, temperature=temperature, stream=True))
    assert streamed == (once.message.content, [], "stop")
    assert once.message.content == reply.choices[0].message.content


def test_the_clients_own_parse(server):
    reply = server.client.chat.completions.parse(
        model="tiny", messages=ASK, response_format=City, max_tokens=300, seed=3
    )
    assert isinstance(reply.choices[0].message.parsed, City)
    with server.client.chat.completions.stream(
        model="tiny", messages=ASK, response_format=City, max_tokens=300, seed=3
    ) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == reply.choices[0].message.parsed
    with pytest.raises(openai.LengthFinishReasonError):
        server.client.chat.completions.parse(
            model="tiny", messages=ASK, response_format=City, max_tokens=3, seed=3
        )


def test_json_objects(server):
    said = [ask(server, response_format={"type": "json_object"}, seed=seed).choices[0] for seed in range(6)]
    whole = [choice.message.content for choice in said if choice.finish_reason == "stop"]
    assert whole
    assert all(isinstance(json.loads(text), dict) for text in whole)
    assert all(choice.message.content.startswith("{") for choice in said)


FORMS = [
    ({"guided_regex": "(ab|cd){2,4}"}, "(ab|cd){2,4}"),
    ({"structured_outputs": {"regex": "[0-9]{3}-x"}}, "[0-9]{3}-x"),
    ({"guided_choice": ["yes", "no"]}, "yes|no"),
    ({"structured_outputs": {"choice": ["maybe"]}}, "maybe"),
    ({"guided_grammar": 'start: "a" B "c"\nB: /b{1,3}/'}, "ab{1,3}c"),
    ({"structured_outputs": {"grammar": 'root ::= "(" [0-9] ")"'}}, r"\([0-9]\)"),
    ({"guided_json": {"enum": [1, "x"]}}, '1|"x"'),
    ({"guided_json": '{"const": true}'}, "true"),
    ({"structured_outputs": {"json": {"type": "null"}}}, "null"),
    ({"structured_outputs": {"json_object": True, "regex": None}, "stop": ["}"]}, r"\{.*"),
    ({"response_format": {"type": "text"}, "guided_choice": ["one"]}, "one"),
]


@pytest.mark.parametrize(("form", "matches"), FORMS)
def test_open_servers_forms(server, form, matches):
    """At both endpoints."""
    body = {"model": "tiny", "temperature": 1, "seed": 2, "max_tokens": 300, **form}
    chat = server.post("/v1/chat/completions", {**body, "messages": ASK}).json()["choices"][0]
    text = server.post("/v1/completions", {**body, "prompt": ["x", "y"], "n": 2}).json()["choices"]
    for said in (chat["message"]["content"], *(choice["text"] for choice in text)):
        assert re.fullmatch(matches, said, re.DOTALL), said
    assert chat["finish_reason"] == "stop"


def test_log_probabilities_go_with_forms(server):
    reply = ask(server, extra_body={"guided_regex": "[ab]{5}"}, logprobs=True, top_logprobs=2).choices[0]
    assert "".join(one.token for one in reply.logprobs.content) == reply.message.content


# --- tools


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_calls_that_have_to_be(server, choice):
    for seed in range(3):
        options = {"tools": [CLOCK, TOOL], "tool_choice": choice, "parallel_tool_calls": False, "seed": seed}
        (reply,) = ask(server, **options).choices
        assert reply.finish_reason == "tool_calls"
        assert reply.message.content is None
        (call,) = reply.message.tool_calls
        assert call.type == "function"
        assert re.fullmatch("call_[0-9a-f]{24}", call.id)
        if choice != "required":
            assert call.function.name == "weather"
        schema = TOOL["function"]["parameters"] if call.function.name == "weather" else {"maxProperties": 0}
        jsonschema.validate(json.loads(call.function.arguments), schema)
        words, calls, reason = heard(ask(server, stream=True, **options))
        assert (words, reason) == (None, "tool_calls")
        assert [one[1:] for one in calls] == [(call.function.name, call.function.arguments)]


def test_a_model_that_chooses_to_call(server):
    for before, text in (("Let me look.", f"Let me look.\n{CALL}"), (None, CALL), (None, f"{CALL}\n{CALL}")):
        server.script.text = text
        (reply,) = ask(server, tools=[TOOL], temperature=0).choices
        assert reply.finish_reason == "tool_calls"
        assert reply.message.content == before
        expected = [("weather", '{"city": "Rome", "days": 3}')] * text.count("<tool_call>")
        assert [
            (call.function.name, call.function.arguments) for call in reply.message.tool_calls
        ] == expected
        assert len({call.id for call in reply.message.tool_calls}) == len(expected)
        words, calls, reason = heard(ask(server, tools=[TOOL], temperature=0, stream=True))
        assert (words, reason) == (before, "tool_calls")
        assert [call[1:] for call in calls] == expected
        assert len({call[0] for call in calls}) == len(expected)


def test_a_model_that_calls_in_plain_json(server):
    server.script.text = '```json\n{"name": "weather", "arguments": {"city": "Rome", "days": 3}}\n```'
    (reply,) = ask(server, tools=[TOOL], temperature=0).choices
    (call,) = reply.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Rome", "days": 3}
    assert reply.message.content is None


def test_a_model_that_would_call_wrongly_is_held_to_the_tools(server):
    server.script.text = CALL.replace("weather", "whether").replace("Rome", "Berlin").replace("3", "300")
    (reply,) = ask(server, tools=[TOOL], temperature=0).choices
    (call,) = reply.message.tool_calls
    assert call.function.name == "weather"
    jsonschema.validate(json.loads(call.function.arguments), TOOL["function"]["parameters"])


def test_a_model_that_chooses_words(server):
    server.script.text = "No <tool> of <b>mine</b> { helps."
    for options in ({}, {"tool_choice": "auto"}, {"tool_choice": "none"}):
        (reply,) = ask(server, tools=[TOOL], temperature=0, **options).choices
        assert (reply.message.content, reply.finish_reason) == (server.script.text, "stop")
        assert reply.message.tool_calls is None
        streamed = heard(ask(server, tools=[TOOL], temperature=0, stream=True, **options))
        assert streamed == (server.script.text, [], "stop")


def test_none_means_none(server):
    server.script.text = CALL
    (reply,) = ask(server, tools=[TOOL], temperature=0, tool_choice="none").choices
    assert (reply.message.content, reply.message.tool_calls, reply.finish_reason) == (CALL, None, "stop")


def test_one_call_where_several_are_not_wanted(server):
    server.script.text = f"{CALL}\n{CALL}"
    (reply,) = ask(server, tools=[TOOL], temperature=0, parallel_tool_calls=False).choices
    assert len(reply.message.tool_calls) == 1


def test_calls_that_were_cut_off_say_so(server):
    server.script.text = CALL
    size = len(server.engine.loaded.tokenizer.encode(CALL))
    seen = set()
    for most in range(1, size):
        (reply,) = ask(server, tools=[TOOL], temperature=0, max_tokens=most).choices
        calls = reply.message.tool_calls or []
        whole = bool(calls) and calls[0].function.arguments.endswith("}")
        assert reply.finish_reason == "length"
        assert bool(calls) != bool(reply.message.content)
        assert '{"city": "Rome", "days": 3}'.startswith(calls[0].function.arguments if calls else "")
        words, streamed, reason = heard(
            ask(server, tools=[TOOL], temperature=0, max_tokens=most, stream=True)
        )
        assert (words, [one[1:] for one in streamed], reason) == (
            reply.message.content,
            [(call.function.name, call.function.arguments) for call in calls],
            "length",
        )
        seen.add((bool(calls), whole))
    assert seen >= {(True, False), (True, True)}


def test_a_stop_string_that_cuts_a_call_off_makes_no_call_of_it(server):
    server.script.text = CALL
    options = {"tools": [TOOL], "temperature": 0, "stop": ["Rome"]}
    (reply,) = ask(server, **options).choices
    assert (reply.message.tool_calls[0].function.arguments, reply.finish_reason) == ('{"city": "', "stop")
    _, ((_, _, arguments),), reason = heard(ask(server, stream=True, **options))
    assert (arguments, reason) == ('{"city": "', "stop")


def test_samples_call_each_for_itself(server):
    options = {"tools": [TOOL, CLOCK], "tool_choice": "required", "n": 4, "parallel_tool_calls": False}
    reply = ask(server, **options)
    said = [choice.message.tool_calls[0] for choice in reply.choices]
    assert len({call.id for call in said}) == 4
    streamed: dict[int, str] = {}
    for chunk in ask(server, stream=True, stream_options={"include_usage": True}, **options):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                streamed[choice.index] = streamed.get(choice.index, "") + call.function.arguments
        usage = chunk.usage
    assert [streamed[n] for n in range(4)] == [call.function.arguments for call in said]
    assert usage.completion_tokens == reply.usage.completion_tokens > 4


def test_tools_and_a_schema_for_the_answer(server):
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": {"a": 1}}}}
    server.script.text = "words"
    (reply,) = ask(server, tools=[TOOL], response_format=form, temperature=0).choices
    if reply.finish_reason == "stop":
        assert json.loads(reply.message.content) == {"a": 1}
    server.script.text = CALL
    (reply,) = ask(server, tools=[TOOL], response_format=form, temperature=0).choices
    assert reply.finish_reason == "tool_calls"


def test_the_clients_own_tools(server):
    class Weather(BaseModel):
        """The weather."""

        city: Literal["Paris", "Rome"]

    reply = server.client.chat.completions.parse(
        model="tiny",
        messages=ASK,
        tools=[openai.pydantic_function_tool(Weather)],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
        seed=4,
    )
    (call,) = reply.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)


def test_a_talk_with_calls_goes_on(server):
    """What was called and what came of it reaches the model; the client's own objects may be sent back."""
    (first,) = ask(server, tools=[TOOL], tool_choice="required", parallel_tool_calls=False).choices
    (call,) = first.message.tool_calls
    answer = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    prompts = []
    encode = server.engine.loaded.template.encode

    def listen(messages: Any, *args: Any, **options: Any) -> list[int]:
        prompts.append(server.engine.loaded.template.render(messages, tools=options["tools"]))
        return encode(messages, *args, **options)

    server.engine.loaded.template.encode = listen
    try:
        server.script.text = "It rains."
        (second,) = ask(server, tools=[TOOL], messages=[*ASK, first.message, answer], temperature=0).choices
    finally:
        del server.engine.loaded.template.encode
    assert second.message.content == "It rains."
    assert (
        f'assistant:<tool_call>\n{{"name": "weather", "arguments": {call.function.arguments}}}' in prompts[0]
    )
    assert "user:<tool_response>\nrain\n</tool_response>" in prompts[0]
    assert "The weather of a city." in prompts[0]
    bare = {"role": "assistant", "tool_calls": [call.model_dump()]}  # content left out
    assert server.post(
        "/v1/chat/completions", {"model": "tiny", "messages": [*ASK, bare, answer], "max_tokens": 2}
    ).json()


def test_many_at_once(server):
    def one(number: int) -> str:
        if number % 3 == 0:
            reply = ask(server, extra_body={"guided_regex": "[a-d]{20}"}, seed=number)
        elif number % 3 == 1:
            reply = ask(server, tools=[TOOL], tool_choice="required", parallel_tool_calls=False, seed=number)
            return reply.choices[0].message.tool_calls[0].function.arguments
        else:
            reply = ask(server, seed=number, max_tokens=30)
        return reply.choices[0].message.content

    alone = [one(number) for number in range(18)]
    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(one, range(18))) == alone
    until(server.free)


# --- wrong use

GOOD = {"model": "tiny", "messages": ASK, "max_tokens": 2}


def schema_of(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def calls(**options: Any) -> dict[str, Any]:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **options}
    return {"role": "assistant", "tool_calls": [call]}


WRONG = [  # fields, what is at fault, and whether the document can say so
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", True),
    ({"response_format": {"type": "text", "json_schema": {"name": "x"}}},
     "response_format.json_schema", True),
    ({"response_format": {"type": "xml"}}, "response_format.type", True),
    ({"response_format": {"type": "text", "mood": 1}}, "response_format.mood", True),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
     "response_format.json_schema.name", True),
    (schema_of(5), "response_format.json_schema.schema", True),
    (schema_of({"type": "dict"}), "response_format.json_schema.schema", False),
    (schema_of({"$ref": "https://example.com"}), "response_format.json_schema.schema", False),
    ({"guided_regex": "("}, "guided_regex", True),
    ({"guided_regex": ""}, "guided_regex", True),
    ({"guided_grammar": "start: x"}, "guided_grammar", True),
    ({"guided_choice": []}, "guided_choice", True),
    ({"guided_choice": [""]}, "guided_choice.0", True),
    ({"guided_json": "{"}, "guided_json", True),
    ({"guided_json": 5}, "guided_json", True),
    ({"guided_json": {}, "guided_regex": "a"}, "guided_regex", True),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs.choice", True),
    ({"structured_outputs": {"mood": "a"}}, "structured_outputs.mood", True),
    ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex", False),
    ({"structured_outputs": {"grammar": "start: x"}}, "structured_outputs.grammar", False),
    ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", False),
    ({"structured_outputs": {"regex": "a"}, "ignore_eos": True}, "ignore_eos", True),
    ({"structured_outputs": {"regex": "a"}, "tools": [named("f")]}, "structured_outputs.regex", True),
    ({"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
     "response_format", True),
    ({"guided_regex": "a", "ignore_eos": True}, "ignore_eos", True),
    ({"tools": [named("f"), named("f")]}, "tools.1.function.name", False),
    ({"tools": [named("f g")]}, "tools.0.function.name", True),
    ({"tools": [{"type": "function"}]}, "tools.0.function", True),
    ({"tools": [{**named("f"), "x": 1}]}, "tools.0.x", True),
    ({"tools": [named(f"f{n}") for n in range(129)]}, "tools", True),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}]},
     "tools.0.function.parameters", False),
    ({"tools": [named("f")], "tool_choice": named("g")}, "tool_choice.function.name", False),
    ({"tool_choice": "required"}, "tool_choice", True),
    ({"tools": [named("f")], "guided_regex": "a"}, "guided_regex", True),
    ({"tools": [named("f")], "ignore_eos": True}, "ignore_eos", True),
    ({"functions": [{"name": "f"}]}, "functions", True),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", True),
    ({"messages": [{"role": "user"}]}, "messages.0.content", True),
    ({"messages": [{"role": "assistant", "tool_calls": []}]}, "messages.0.content", True),
    ({"messages": [{**calls(), "role": "user"}]}, "messages.0.tool_calls", True),
    ({"messages": [calls(type="x")]}, "messages.0.tool_calls.0.type", True),
    ({"messages": [calls(mood="x")]}, "messages.0.tool_calls.0.mood", True),
    ({"messages": [calls(function={"name": "f", "arguments": "[1]"})]},
     "messages.0.tool_calls.0.function.arguments", False),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}, "messages.0.tool_call_id", False),
    ({"messages": [{"role": "user", "content": "x", "tool_call_id": "a"}]}, "messages.0.tool_call_id", True),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id", True),
]  # fmt: skip


def documented(server: Running, body: dict[str, Any], kind: str = "ChatBody") -> bool:
    """Whether the server's own document takes it."""
    document = server.http.get("/openapi.json").json()
    schema = {"$ref": f"#/components/schemas/{kind}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(body)


@pytest.mark.parametrize(("wrong", "param", "told"), WRONG)
def test_wrong_forms(server, wrong, param, told):
    reply = server.post("/v1/chat/completions", {**GOOD, **wrong})
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == param
    assert param in error["message"]
    assert "Traceback" not in error["message"]
    assert documented(server, {**GOOD, **wrong}) == (not told)
    assert server.free()


RIGHT = [
    *(form for form, _ in FORMS),
    {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
    {"tools": [named("f")], "tool_choice": "none", "guided_regex": "a", "ignore_eos": None},
    {"tools": [named("f")], "tool_choice": named("f"), "response_format": {"type": "json_object"}},
    {
        "tools": None,
        "tool_choice": None,
        "response_format": None,
        "guided_json": None,
        "structured_outputs": None,
    },
    {"structured_outputs": {}, "guided_regex": "a"},
    {"structured_outputs": {"json_object": False}, "ignore_eos": False},
    {"messages": [*ASK, {**calls(), "content": None}, {"role": "tool", "content": "x", "tool_call_id": "a"}]},
    {"messages": [{"role": "assistant", "content": "x", "tool_calls": None, "refusal": None}]},
    schema_of({}),
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
]


@pytest.mark.parametrize("right", RIGHT)
def test_right_forms(server, right):
    reply = server.post("/v1/chat/completions", {**GOOD, **right})
    assert reply.status_code == 200, reply.text
    documents = {name: value for name, value in right.items() if not name.startswith("guided_")}  # the older
    assert documented(server, {**GOOD, **documents})


def test_tools_need_messages(server):
    body = {"model": "tiny", "prompt": "x", "tools": [named("f")]}
    assert "chat/completions" in server.post("/v1/completions", body).json()["error"]["message"]


def test_all_faults_of_forms_at_once(server):
    bad = {"type": "function", "function": {"name": "f", "parameters": {"not": {}, "if": {}}}}
    worse = {"type": "function", "function": {"name": "g", "parameters": {"type": "array"}}}
    message = server.post("/v1/chat/completions", {**GOOD, "tools": [bad, worse]}).json()["error"]["message"]
    for part in ("tools.0.function.parameters: /not", "/if", "tools.1.function.parameters"):
        assert part in message
    both = {
        **GOOD,
        "guided_regex": "a",
        "guided_choice": ["b"],
        "ignore_eos": True,
        "tool_choice": "required",
    }
    message = server.post("/v1/chat/completions", both).json()["error"]["message"]
    for part in ("guided_choice: a text is kept to one form", "ignore_eos", "tool_choice"):
        assert part in message


def test_attacks_do_not_hold_up_others(server):
    """Refused while others are answered."""
    deep: Any = {"type": "integer"}
    for _ in range(150):
        deep = {"type": "array", "items": deep}
    wide = {"properties": {f"p{n}": {"type": "integer"} for n in range(1900)}}
    attacks = [
        schema_of(deep),
        schema_of(wide),
        schema_of({"allOf": [{"multipleOf": p} for p in (7, 11, 13, 17, 19, 23)]}),
        schema_of({"type": "string", "pattern": "(" * 60_000}),
        {"guided_regex": "(" * 60_000},
        {"guided_grammar": "start: start"},
        {"guided_choice": ["x" * 600] * 1000},
    ]
    with ThreadPoolExecutor(len(attacks)) as pool:
        replies = [pool.submit(server.post, "/v1/chat/completions", {**GOOD, **attack}) for attack in attacks]
        assert ask(server, max_tokens=5).choices
        assert {reply.result().status_code for reply in replies} <= {200, 400}
    assert replies[0].result().status_code == replies[2].result().status_code == 400
    until(server.free)
