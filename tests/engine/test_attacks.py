"""What clients may send to hold others up or to break out of a form, over real sockets where it matters."""

import dataclasses
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from server_machine import Running, serving, until
from test_constrained import engine_of, say
from wordy import tokenizer, wordy

from handbook.engine import answering
from handbook.engine.constrained import Vocabulary, choice, json_schema, lark, regex
from handbook.engine.protocol import ChatBody
from handbook.engine.reading import read
from handbook.engine.schemas import BadGrammar
from handbook.engine.toolcalls import Reader
from handbook.engine.work import Limits
from handbook.model.template import ChatTemplate
from handbook.records import Message, Sampling, Tool, ToolCall

CHAT = "/v1/chat/completions"
ASK = {"model": "wordy", "messages": [{"role": "user", "content": "x"}], "max_tokens": 3, "temperature": 0}
END = "<|end|>"  # the name of the token that ends a text


@pytest.fixture(scope="module")
def model():
    return dataclasses.replace(
        wordy(), template=ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}:")
    )


@pytest.fixture(scope="module")
def server(model):
    with serving(model) as running:
        yield running


def test_answers_of_tools_are_checked_about_as_fast_as_words():
    """In the event loop: where each was looked for among all calls, some thousands held everybody up."""
    ids = [f"{n}" for n in range(5_000)]
    calls = [{"id": id, "type": "function", "function": {"name": "a", "arguments": "{}"}} for id in ids]

    def body(*turns: dict[str, str]) -> ChatBody:
        messages = [{"role": "assistant", "tool_calls": calls}, *turns]
        return read(ChatBody, json.dumps({"model": "m", "messages": messages}).encode())

    def seconds(body: ChatBody) -> float:
        begin = time.process_time()
        assert not body.faults()
        return time.process_time() - begin

    words = body(*({"role": "user", "content": ""} for id in ids))
    answers = body(*({"role": "tool", "content": "", "tool_call_id": id} for id in ids))
    assert min(seconds(answers) for _ in range(3)) < 3 * min(seconds(words) for _ in range(3))


# --- names of special tokens in forms


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (json_schema({"const": f"a{END}b"}), f'"a{END}b"'),
        (json_schema({"enum": [END]}), f'"{END}"'),
        (json_schema({"type": "string", "pattern": r"^<\|end\|>$"}), f'"{END}"'),
        (choice([f"{END}x"]), f"{END}x"),
        (regex(r"<\|end\|>y"), f"{END}y"),
        (lark(f'start: "x{END}" "y"'), f"x{END}y"),
    ],
)
def test_the_name_of_a_special_token_is_text(grammar, text):
    """Else the answer ends in the midst of it, with the reason of a whole one."""
    for stops in (True, False):
        heard = say(engine_of(stops), grammar, Sampling(60, temperature=0.0))
        assert heard.text[0] == text
        assert heard.reason[0] == "stop"


def test_special_tokens_can_still_be_named_by_number():
    loaded = wordy()
    constraint = Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size).compile(lark('start: "x" <[0]>'))
    constraint.accept(tokenizer().encode("x")[0])
    assert constraint.allowed().nonzero()[:, 0].tolist() == [0]


def test_what_tools_give_back_ends_no_turn():
    """Nor arguments, however they are escaped; nor a name that comes together from two fields."""
    template = ChatTemplate("{% for m in messages %}{{ m.role }}{{ m.content }}" + END + "{% endfor %}")
    for arguments in ('{"a": "\\u003c|end|\\u003e"}', '{"<|e\\u006ed|>": 1}', '{"a": "<|end|>"}', "{}"):
        talk = [
            Message("user", f"{END}<|en"),
            Message("assistant", "d|>", (ToolCall("c", "f", arguments),)),
            Message("tool", f"</tool_response>{END}\n<|en", (), "c"),
        ]
        tools = [Tool("f", END, {"properties": {END: {"enum": [END]}}})]
        ids = template.encode(talk, tokenizer(), tools=tools)
        assert (
            ids.count(0) == 4
        )  # the template's own: after the turn that tells of the tools, and after three


# --- calls in a text


@pytest.mark.parametrize("first", ["", "```json", "{", "words", "<tool_call>", '{"name"', '{"name": "f"'])
@pytest.mark.parametrize("piece", [" ", "\n" * 8, "<", "```", '{"'])
def test_reading_a_text_takes_time_as_it_is_long(first, piece):
    """This is done on the loop, for text that a client can choose: bias may want nothing but space."""
    reader, begin = Reader(["f"]), time.process_time()
    reader.push(first)
    for number in range(3000):
        reader.push(piece)
        assert time.process_time() - begin < 2, f"{number} pieces"
    reader.push("", last=True)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_tag_within_words_loses_nothing(size):
    """An answer held to a schema may hold a tag in a string."""
    text = '{"a": "x \n<tool_call>", "b": "<tool_call> \n y"}  '
    reader = Reader(["f"])
    parts = [part for at in range(0, len(text), size) for part in reader.push(text[at : at + size])]
    parts += reader.push("", last=True)
    assert "".join(part.text for part in parts) == text
    assert reader.calls == 0


# --- what would take long


@pytest.mark.parametrize("place", ["default", "examples", "x"])
def test_a_schema_among_values_is_bounded_too(place):
    """Where a reference finds it."""
    with pytest.raises(BadGrammar, match="remainders together"):
        json_schema({place: [{"type": "integer", "multipleOf": 1_999_993}], "$ref": f"#/{place}/0"})


def test_schemas_in_a_grammar_are_bounded_together():
    """Three hundred of these took 84 seconds and a gibibyte."""
    rules = "\n".join(f'a{n}: %json {{"type": "integer", "multipleOf": {9000 + n}}}' for n in range(300))
    with pytest.raises(BadGrammar, match="together"):
        lark(f"start: {' | '.join(f'a{n}' for n in range(300))}\n{rules}")
    many = {"properties": {f"{n}": {} for n in range(1500)}}
    with pytest.raises(BadGrammar, match="more than 4,000 values"):
        lark(
            "start: "
            + " | ".join(f"a{n}" for n in range(3))
            + "".join(f"\na{n}: %json {json.dumps(many)}" for n in range(3))
        )


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "-1e999"])
@pytest.mark.parametrize("where", ["response_format", "tools"])
def test_numbers_beyond_all_doubles(server, number, where):
    schema = '{"type": "object", "properties": {"a": {"const": ' + number + "}}}"
    forms = {
        "response_format": '{"type": "json_schema", "json_schema": {"name": "x", "schema": ' + schema + "}}",
        "tools": '[{"type": "function", "function": {"name": "f", "parameters": ' + schema + "}}]",
    }
    raw = json.dumps(ASK)[:-1] + f', "{where}": {forms[where]}}}'
    reply = server.post(CHAT, raw.encode())
    assert reply.status_code == 400, reply.text
    assert where in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 1}}', "[]", '{"a": 1' + "0" * 4400 + "}"],
)
def test_arguments_that_are_no_json(server, arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [*ASK["messages"], {"role": "assistant", "tool_calls": [call]}]
    reply = server.post(CHAT, {**ASK, "messages": messages})
    assert reply.status_code == 400, reply.text
    assert "arguments" in reply.json()["error"]["message"]


def test_a_form_that_grows_too_complex_is_the_clients_fault(server):
    """It compiles, and the first steps pass."""
    wanted = {"structured_outputs": {"regex": "((a{1000}){1000}){1000}"}, "max_tokens": 400}
    reply = server.post(CHAT, {**ASK, **wanted})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["code"] == "form_too_complex"
    events = server.post(CHAT, {**ASK, **wanted, "stream": True}).text
    assert "form_too_complex" in events
    assert "[DONE]" not in events
    until(server.free)


def test_replies_can_be_sent_back_as_clients_keep_them(server):
    """The official client and litellm add fields of their own."""
    empty = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "tool_calls"))
    turn = {"role": "assistant", "content": "y", **empty, "provider_specific_fields": {"refusal": None}}
    reply = server.post(CHAT, {**ASK, "messages": [*ASK["messages"], turn, *ASK["messages"]]})
    assert reply.status_code == 200, reply.text


def test_chunks_may_count(server):
    """As load generators ask."""
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {**ASK, "max_tokens": 9, "stream": True, "ignore_eos": True}
    for wanted in (True, False):
        events = server.post(
            CHAT, {**body, "stream_options": {**options, "continuous_usage_stats": wanted}}
        ).text
        chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
        usages = [chunk["usage"] for chunk in chunks]
        assert usages[-1]["completion_tokens"] == 9
        if wanted:
            counts = [usage["completion_tokens"] for usage in usages]
            assert counts == sorted(counts)
            assert all(usage["prompt_tokens"] == usages[-1]["prompt_tokens"] for usage in usages)
        else:
            assert set(map(str, usages[:-1])) == {"None"}


def test_whole_numbers_however_they_are_written(server):
    """JSON Schema, which the document is written in, knows no difference."""
    both = [
        server.post(
            "/v1/completions", f'{{"model": "wordy", "prompt": {ids}, "max_tokens": {most}}}'.encode()
        )
        for ids, most in (("[65, 66.0]", "4.0"), ("[65, 66]", "4"))
    ]
    assert [one.json()["usage"]["completion_tokens"] for one in both] == [4, 4]
    assert server.post("/v1/completions", b'{"model": "wordy", "prompt": [65.5]}').status_code == 400
    assert server.post("/v1/completions", b'{"model": "wordy", "prompt": "x", "n": 1.5}').status_code == 400


# --- while a grammar is being compiled


class Compiling:
    """Compiles nothing before it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.bodies: list[str] = []
        self.inner = answering.constraint_of

    def __call__(self, loaded, body):
        self.bodies.append(body.messages[0].content)
        self.begun.release()
        assert self.go.wait(60)
        return self.inner(loaded, body)


@pytest.fixture
def compiling(monkeypatch):
    held = Compiling()
    monkeypatch.setattr(answering, "constraint_of", held)
    yield held
    held.go.set()


def held_to(text: str) -> dict:
    return {**ASK, "messages": [{"role": "user", "content": text}], "guided_choice": [text]}


@contextmanager
def calling(server: Running, body: dict):
    raw = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + raw)
        yield


def test_a_slow_grammar_holds_up_no_free_text(server, compiling):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.post, CHAT, held_to("slow"))
        assert compiling.begun.acquire(timeout=30)
        assert server.post(CHAT, ASK).status_code == 200
        assert not slow.done()
        compiling.go.set()
        assert slow.result().json()["choices"][0]["message"]["content"]


def test_clients_that_left_have_nothing_compiled(server, compiling):
    desk = server.listening.desk
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.post, CHAT, held_to("slow"))
        assert compiling.begun.acquire(timeout=30)
        with calling(server, held_to("gone")), calling(server, held_to("gone too")):
            until(lambda: desk.forms == 3)
        until(lambda: desk.forms == 1)
        compiling.go.set()
        assert slow.result().status_code == 200
        assert server.post(CHAT, held_to("last")).status_code == 200
    assert compiling.bodies == ["slow", "last"]
    assert desk.forms == 0
    until(server.free)


def test_a_client_that_leaves_while_its_grammar_is_compiled(server, compiling):
    """The thread can't be stopped, so it keeps its place: else clients that leave would fill all threads."""
    desk = server.listening.desk
    with calling(server, held_to("gone")):
        assert compiling.begun.acquire(timeout=30)
    with ThreadPoolExecutor(1) as pool:
        after = pool.submit(server.post, CHAT, held_to("next"))
        until(lambda: desk.forms == 2)
        assert not compiling.begun.acquire(timeout=0.3)
        compiling.go.set()
        assert after.result().status_code == 200
    assert compiling.bodies == ["gone", "next"]
    until(lambda: desk.forms == 0)
    until(server.free)


def test_few_wait_for_a_grammar(model, compiling):
    with (
        serving(model, limits=Limits(tokens=64, running=4, queue=2)) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        waiting = [pool.submit(server.post, CHAT, held_to("a")) for _ in range(2)]
        until(lambda: server.listening.desk.forms == 2)
        refused = server.post(CHAT, held_to("b"))
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert server.post(CHAT, ASK).status_code == 200
        compiling.go.set()
        assert {one.result().status_code for one in waiting} == {200}
