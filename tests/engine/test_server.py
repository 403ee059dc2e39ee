"""The server over real sockets: what the official client gets, and what everybody gets who does it wrong."""

import asyncio
import base64
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from server_machine import LONG, Running, serving, talking, until

from handbook.chat import HttpChat
from handbook.engine.described import up_to
from handbook.engine.generate import stream
from handbook.engine.served import Closing
from handbook.engine.work import Limits
from handbook.errors import ChatError
from handbook.model.load import Loaded
from handbook.records import Message, Sampling

KEY = "sk-tiny-0123456789"


class Vectors:
    """Embeds a text as its length and its first letter; takes no more than 40 letters."""

    name = "vectors"

    def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        if any(len(text) > 40 for text in texts):
            raise ValueError("too long")
        rows = np.array([[len(text), ord(text[0])] for text in texts], np.float32)
        return rows, sum(map(len, texts))


@pytest.fixture(scope="module")
def tiny(loaded: Loaded) -> Loaded:
    return talking(loaded)


@pytest.fixture(scope="module")
def server(tiny: Loaded) -> Iterator[Running]:
    with serving(tiny, embedder=Vectors(), body_limit=100_000) as running:
        yield running


def alone(tiny: Loaded, text: str, sampling: Sampling) -> str:
    """What the plain generation says, without engine and server."""
    return "".join(delta.text for delta in stream(tiny, tiny.tokenizer.encode(text), sampling))


def said(text: str) -> str:
    return f"u:{text}\na:"


# --- answers


def test_chat_says_what_plain_generation_says(server, tiny):
    reply = server.chat("hello", max_tokens=20)
    assert reply.choices[0].message.content == alone(tiny, said("hello"), Sampling(20, temperature=0))
    assert (reply.object, reply.model, reply.choices[0].finish_reason) == (
        "chat.completion",
        "tiny",
        "length",
    )
    assert reply.choices[0].message.role == "assistant"
    assert reply.usage.prompt_tokens == len(said("hello"))
    assert (reply.usage.completion_tokens, reply.usage.total_tokens) == (20, 20 + len(said("hello")))


def test_the_cache_is_told(server):
    text = "a text of its own, long enough for some pages of the cache, " * 2
    first, second = server.chat(text), server.chat(text)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens == (len(said(text)) - 1) // 16 * 16
    assert first.choices[0].message.content == second.choices[0].message.content


def test_content_may_come_in_parts_and_developers_are_heard_as_system(server):
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    body = {"model": "tiny", "max_tokens": 9, "temperature": 0}
    roles = [server.post("/v1/chat/completions", {**body, "messages": [{"role": role, "content": content}]})
             for role, content in (("developer", parts), ("system", "hello"))]  # fmt: skip
    first, second = (one.json()["choices"][0]["message"]["content"] for one in roles)
    assert first == second


def test_streams_say_the_same_in_pieces_and_usage_last(server):
    whole = server.chat("stream", max_tokens=30)
    chunks = list(server.chat("stream", max_tokens=30, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks[:-1]].count("length") == 1
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 30
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None and chunk.choices for chunk in server.chat("stream", stream=True))


def test_streams_end_with_done(server):
    body = {"model": "tiny", "prompt": "x", "max_tokens": 3, "stream": True}
    reply = server.post("/v1/completions", body)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = reply.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: ")) for event in events[:-2])


def test_completions_of_texts_and_of_tokens(server, tiny):
    sampling = Sampling(8, temperature=0)
    expected = [alone(tiny, text, sampling) for text in ("one", "three")]
    create = server.client.completions.create
    for prompt in (["one", "three"], [list(map(int, tiny.tokenizer.encode(t))) for t in ("one", "three")]):
        reply = create(model="tiny", prompt=prompt, max_tokens=8, temperature=0)
        assert [choice.text for choice in reply.choices] == expected
    assert create(model="tiny", prompt="one", max_tokens=8, temperature=0).choices[0].text == expected[0]
    ids = tiny.tokenizer.encode("three")
    assert create(model="tiny", prompt=ids, max_tokens=8, temperature=0).choices[0].text == expected[1]
    assert create(model="tiny", prompt="one", temperature=0).usage.completion_tokens == 16


def test_samples_are_numbered_by_prompt_and_differ(server):
    options = {"model": "tiny", "max_tokens": 10, "temperature": 1.5, "seed": 7}
    create = server.client.completions.create
    both = create(prompt=["first", "second"], n=3, **options)
    assert [choice.index for choice in both.choices] == list(range(6))
    assert len({choice.text for choice in both.choices}) == 6
    assert both.usage.prompt_tokens == len("first") + len("second")
    assert both.usage.completion_tokens == 60
    second = create(prompt="second", n=3, **options)
    assert [choice.text for choice in second.choices] == [choice.text for choice in both.choices[3:]]
    streamed = [""] * 3
    for chunk in create(prompt="second", n=3, stream=True, **options):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == [choice.text for choice in second.choices]


def test_seeds_repeat(server):
    texts = [server.chat(temperature=1.2, seed=seed).choices[0].message.content for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    unseeded = {server.chat(temperature=2).choices[0].message.content for _ in range(3)}
    assert len(unseeded) == 3


def test_stops_cut_the_text(server):
    whole = server.chat(temperature=1, seed=3, max_tokens=30).choices[0].message.content
    cut = whole[4:6]
    reply = server.chat(temperature=1, seed=3, max_tokens=30, stop=["never said", cut])
    assert reply.choices[0].message.content == whole[: whole.index(cut)]
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.completion_tokens < 30
    pieces = server.chat(temperature=1, seed=3, max_tokens=30, stop=cut, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in pieces) == whole[: whole.index(cut)]


def test_options_reach_the_engine(server, tiny):
    """Each changes what is said as the plain generation's own option does."""
    base = {"temperature": 1.3, "seed": 11, "max_tokens": 25}
    changes = [
        {"top_p": 0.3},
        {"presence_penalty": 2.0},
        {"frequency_penalty": 1.5},
        {"extra_body": {"top_k": 3}},
        {"extra_body": {"min_p": 0.2}},
        {"extra_body": {"repetition_penalty": 3.0}},
        {"logit_bias": {"65": 100}},
    ]
    usual = server.chat(**base).choices[0].message.content
    for change in changes:
        flat = {**change.get("extra_body", {}), **{k: v for k, v in change.items() if k != "extra_body"}}
        if "logit_bias" in flat:
            flat["logit_bias"] = {65: 100.0}
        text = server.chat(**base, **change).choices[0].message.content
        assert text == alone(tiny, said("hello"), Sampling(**base, **flat)), change
        assert text != usual, change
    same = server.chat(**base, extra_body={"top_k": -1}).choices[0].message.content
    assert same == usual


def test_logprobs(server, tiny):
    reply = server.chat(max_tokens=6, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    assert len(reply) == 6
    for each in reply:
        assert each.logprob == each.top_logprobs[0].logprob  # greedy
        assert each.token == each.top_logprobs[0].token
        tops = [top.logprob for top in each.top_logprobs]
        assert tops == sorted(tops, reverse=True)
        assert each.bytes == (None if "\ufffd" in each.token else list(each.token.encode()))
    bare = server.chat(max_tokens=6, logprobs=True).choices[0].logprobs.content
    assert [(one.token, one.logprob, one.top_logprobs) for one in bare] == [
        (one.token, one.logprob, []) for one in reply
    ]
    assert server.chat().choices[0].logprobs is None
    streamed = [
        one for chunk in server.chat(max_tokens=6, logprobs=True, stream=True)
        if chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content
    ]  # fmt: skip
    assert [one.logprob for one in streamed] == [one.logprob for one in reply]
    old = server.client.completions.create(
        model="tiny", prompt="abc", max_tokens=4, temperature=0, logprobs=2
    )
    told = old.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 4
    assert told.text_offset == [sum(map(len, told.tokens[:n])) for n in range(4)]
    options = {"model": "tiny", "prompt": "abc", "max_tokens": 4, "temperature": 0, "logprobs": 2}
    chunks = [c.choices[0].logprobs for c in server.client.completions.create(stream=True, **options)]
    assert [offset for one in chunks if one for offset in one.text_offset] == told.text_offset


def test_embeddings(server):
    create = server.client.embeddings.create
    reply = create(model="vectors", input=["abc", "z"])  # the client asks for base64
    assert [one.embedding for one in reply.data] == [[3.0, 97.0], [1.0, 122.0]]
    assert reply.usage.prompt_tokens == 4
    assert create(model="vectors", input="abc", encoding_format="float").data[0].embedding == [3.0, 97.0]
    raw = server.post("/v1/embeddings", {"model": "vectors", "input": "abc", "encoding_format": "base64"})
    packed = base64.b64decode(raw.json()["data"][0]["embedding"])
    assert np.frombuffer(packed, "<f4").tolist() == [3.0, 97.0]
    for wrong, status in (
        ({"input": "x" * 41}, 400),
        ({"input": [1, 2]}, 400),
        ({"input": "a", "dimensions": 1}, 400),
        ({"input": "a", "model": "tiny"}, 404),
    ):
        assert server.post("/v1/embeddings", {"model": "vectors", **wrong}).status_code == status


def test_models(server):
    assert [model.id for model in server.client.models.list()] == ["tiny", "vectors"]
    assert server.client.models.retrieve("tiny").owned_by == "handbook"
    with pytest.raises(openai.NotFoundError, match="no model 'huge'"):
        server.client.models.retrieve("huge")


def test_the_handbooks_own_client(server, tiny):
    sampling = Sampling(9, temperature=1.1, top_k=20, min_p=0.05, top_p=0.9, repetition_penalty=1.2, seed=5)
    chat = HttpChat(f"{server.url}/v1", "tiny")
    deltas = list(chat.stream([Message("user", "hello")], sampling))
    assert "".join(delta.text for delta in deltas) == alone(tiny, said("hello"), sampling)
    assert deltas[-1].usage.completion_tokens == 9
    with pytest.raises(ChatError, match="no model 'huge'"):
        list(HttpChat(f"{server.url}/v1", "huge").stream([Message("user", "hello")]))


def test_many_at_once_say_what_each_says_alone(server, tiny):
    def ask(number: int) -> tuple[str, str, str]:
        text = f"question {number % 7} " * (1 + number % 5)
        streamed = server.chat(text, max_tokens=5 + number, stream=True)
        heard = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
        return text, heard, server.chat(text, max_tokens=5 + number).choices[0].message.content

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(24)))
    for number, (text, streamed, whole) in enumerate(answers):
        assert streamed == whole == alone(tiny, said(text), Sampling(5 + number, temperature=0))
    until(server.free)


# --- wrong use

GOOD = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


def fault(reply: httpx.Response, status: int) -> dict:
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in error["message"]
    return error


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'{"model": "\xff\xfe"}', "not JSON"),
        (b'{"model": "\\ud800"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 90_000, "recursion"),
        (b'{"a":' * 15_000 + b"1" + b"}" * 15_000, "recursion"),
        (b'{"temperature": NaN}', "not JSON"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"seed": 1e400}', "seed"),
        (json.dumps(GOOD).encode() + b"x", "not JSON"),
    ],
)
def test_malformed_bodies(server, raw, says):
    assert says in fault(server.post("/v1/chat/completions", raw), 400)["message"]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [None]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "y": 1}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "user", "content": "x", "colour": 1}]}, "messages.0.colour"),
        ({"model": 5}, "model"),
        ({"n": 0}, "n"),
        ({"n": 33}, "n"),  # more than run at once
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"seed": 1 << 63}, "seed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": []}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stop": 5}, "stop"),
        ({"stop": "x" * 1000}, "stop"),
        ({"logit_bias": {"256": 1}}, "logit_bias"),
        ({"logit_bias": {"65": 101}}, "logit_bias.65"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"every": 1}}, "stream_options.every"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"store": True}, "store"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"beam_width": 4}, "beam_width"),
    ],
)  # fmt: skip
def test_wrong_fields(server, wrong, param):
    error = fault(server.post("/v1/chat/completions", {**GOOD, **wrong}), 400)
    assert error["param"] == param
    assert param in error["message"]
    assert error["type"] == "invalid_request_error"


def test_all_faults_at_once(server):
    wrong = {**GOOD, "temperature": 9, "stop": [""], "tools": [1], "colour": 1, "n": "x"}
    wrong["messages"] = [{"role": "nobody", "content": 4, "mood": 1}]
    error = fault(server.post("/v1/chat/completions", wrong), 400)
    for name in (
        "temperature",
        "stop",
        "tools",
        "colour",
        "n:",
        "messages.0.role",
        "messages.0.content",
        "mood",
    ):
        assert name in error["message"]
    assert error["param"] is None
    many = {**GOOD, **{f"x{n}": 1 for n in range(5000)}}
    assert "and 4980 more" in fault(server.post("/v1/chat/completions", many), 400)["message"]


def test_what_changes_nothing_is_taken(server):
    harmless = {
        "user": "me", "metadata": {"a": "b"}, "service_tier": "auto", "store": False, "tools": [],
        "audio": None,
        "response_format": {"type": "text"}, "tool_choice": "none", "parallel_tool_calls": True, "stop": None,
        "modalities": ["text"], "logprobs": False, "prompt_cache_key": "k", "stream_options": None,
    }  # fmt: skip
    reply = server.post("/v1/chat/completions", {**GOOD, **harmless})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "is empty"),
        ([], "prompt"),
        ([""], "is empty"),
        (["a", 1], "prompt"),
        ([[]], "prompt"),
        ([1.5], "prompt"),
        ([True], "prompt"),
        (None, "prompt"),
        ([256], "no token 256"),
        ([-1], "no token -1"),
        ([10**30], "no token 1000"),
        ({}, "prompt"),
    ],
)
def test_wrong_prompts(server, prompt, says):
    error = fault(server.post("/v1/completions", {"model": "tiny", "prompt": prompt}), 400)
    assert says in error["message"]


def test_what_does_not_fit_is_refused_and_the_rest_is_used(server, tiny):
    body = {"model": "tiny", "prompt": [65] * 2048}
    error = fault(server.post("/v1/completions", body), 400)
    assert error["code"] == "context_length_exceeded"
    assert "2048" in error["message"]
    body = {"model": "tiny", "prompt": ["a", "b" * 2000], "max_tokens": 100}
    assert "prompt.1" in fault(server.post("/v1/completions", body), 400)["message"]
    room = 2048 - len(said("x" * 2030))
    assert server.chat("x" * 2030, max_tokens=None).usage.completion_tokens == room
    with pytest.raises(openai.BadRequestError, match="14 more were asked for"):
        server.chat("x" * 2030, max_tokens=None, max_completion_tokens=room + 1)


def test_unknown_models_paths_and_methods(server):
    error = fault(server.post("/v1/chat/completions", {**GOOD, "model": "huge"}), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    fault(server.http.get("/v2/nothing"), 404)
    fault(server.http.get("/v1/chat/completions"), 405)
    fault(server.http.options("/v1/chat/completions"), 405)


def test_oversized_bodies(server):
    for content in (b"x" * 100_001, (b"y" * 60_000 for _ in range(20))):
        error = fault(server.http.post("/v1/chat/completions", content=content), 413)
        assert "100,000" in error["message"]
    assert fault(server.post("/v1/chat/completions", b"x" * 3_000_000), 413)
    assert server.post("/v1/chat/completions", GOOD).status_code == 200


def test_a_template_that_refuses_and_none(loaded, tiny):
    with serving(loaded) as bare:
        assert "no chat template" in fault(bare.post("/v1/chat/completions", GOOD), 400)["message"]


def test_other_hosts_and_origins(server):
    for host in ("evil.example", "127.0.0.1.evil.example", "", f"evil.example:{server.port}"):
        fault(server.http.get("/v1/models", headers={"Host": host}), 421)
    for host in ("localhost", f"LOCALHOST:{server.port}", "[::1]:80", "127.0.0.1:9"):
        assert server.http.get("/v1/models", headers={"Host": host}).status_code == 200
    for origin in ("http://evil.example", "null", "https://127.0.0.1"):
        reply = server.post("/v1/chat/completions", GOOD, headers={"Origin": origin})
        fault(reply, 403)
        assert not [name for name in reply.headers if name.startswith("access-control")]
    same = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.post("/v1/chat/completions", GOOD, headers=same).status_code == 200


def test_the_key(tiny):
    with serving(tiny, key=KEY, loopback=False) as server:
        for given in (None, "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer", "Bearer \xff"):
            headers = {} if given is None else {"Authorization": given.encode("latin-1")}
            for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
                error = fault(server.http.get(path, headers=headers), 401)
                assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")
                assert KEY not in error["message"]
        with pytest.raises(openai.AuthenticationError):
            server.chat()
        assert server.http.get("/health").status_code == 200
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY) as client:
            assert [model.id for model in client.models.list()] == ["tiny"]
        right = {"Authorization": f"bearer {KEY}", "Host": "serving.example"}
        assert server.http.get("/v1/models", headers=right).status_code == 200


def test_a_mistake_inside_is_not_shown(tiny, caplog):
    class Broken:
        name = "broken"

        def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
            raise RuntimeError("secret detail")

    with serving(tiny, embedder=Broken()) as server:
        error = fault(server.post("/v1/embeddings", {"model": "broken", "input": "x"}), 500)
        assert "secret" not in error["message"]
        assert server.chat().choices


def test_a_step_that_fails(tiny, caplog):
    with serving(tiny) as server:
        run, server.engine.executor.run = server.engine.executor.run, None
        assert fault(server.post("/v1/chat/completions", GOOD), 500)["code"] == "engine_failed"
        events = server.post("/v1/chat/completions", {**GOOD, "stream": True}).text.strip().split("\n\n")
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_failed"
        server.engine.executor.run = run
        assert server.chat().choices[0].finish_reason == "length"
        assert server.free()


@pytest.mark.parametrize("streaming", [True, False])
def test_a_step_that_fails_ends_all_samples(tiny, caplog, streaming):
    """Also before the prompt was read, when they are one sequence yet."""
    with serving(tiny) as server:
        server.engine.executor.run = None
        answer = server.post("/v1/chat/completions", {**GOOD, "n": 3, "stream": streaming})
        assert "engine_failed" in answer.text
        until(lambda: 'reason="error"} 3' in server.http.get("/metrics").text)


# --- clients that go, queues that are full, servers that end


def request_of(body: dict) -> bytes:
    raw = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_a_client_that_hangs_up_frees_its_pages(tiny, streaming, n):
    """It would take 15 seconds to say it all."""
    body = {**GOOD, "max_tokens": LONG, "stream": streaming, "n": n, "ignore_eos": True}
    with serving(tiny, delay=0.01) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(request_of(body))
            until(lambda: server.engine.pages.available < server.engine.pages.count)
            if streaming:
                heard = b""
                while heard.count(b"data:") < 2 + n:
                    heard += client.recv(4096)
            assert not server.free()
        until(server.free)
        assert figures(server)["handbook_continuations_total length"] == 0, "it was not said to its end"
        assert not server.listening.desk.jobs
        assert server.chat().choices  # and the server goes on


def test_a_client_that_hangs_up_while_it_waits(tiny):
    with serving(tiny, delay=0.01, limits=Limits(tokens=64, running=1)) as server:
        stream = server.chat(max_tokens=LONG, stream=True)
        next(stream)
        queue = server.engine.scheduler.queue
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(request_of(GOOD))
            until(lambda: len(queue) == 1)
        until(lambda: len(queue) == 0)
        assert len(server.engine.scheduler) == 1
        stream.close()
        until(server.free)


def test_a_client_that_hangs_up_within_its_body(tiny):
    with serving(tiny) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(request_of(GOOD)[:-10])
            time.sleep(0.1)
        assert server.chat().choices
        assert not server.listening.desk.jobs


def test_a_full_queue(tiny):
    with serving(tiny, delay=0.01, limits=Limits(tokens=64, running=1, queue=2)) as server:
        stream = server.chat(max_tokens=LONG, stream=True)
        next(stream)
        waiting = [threading.Thread(target=server.chat, kwargs={"max_tokens": 1}) for _ in range(2)]
        for thread in waiting:
            thread.start()
        until(lambda: len(server.engine.scheduler.queue) == 2)
        reply = server.post("/v1/chat/completions", GOOD)
        error = fault(reply, 429)
        assert (error["code"], error["type"]) == ("queue_full", "rate_limit_error")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        two = server.post("/v1/completions", {"model": "tiny", "prompt": ["a", "b"]})
        fault(two, 429)
        until(lambda: len(server.engine.scheduler) == 3)  # nothing of it stayed
        with pytest.raises(openai.RateLimitError):
            server.chat()
        stream.close()
        for thread in waiting:
            thread.join(20)
        assert server.chat().choices
        until(server.free)


def test_prompts_are_taken_all_or_none(tiny):
    with serving(tiny, delay=0.01, limits=Limits(tokens=64, running=1, queue=2)) as server:
        fault(server.post("/v1/completions", {"model": "tiny", "prompt": ["a", "b", "c"]}), 429)
        until(server.free)
        assert server.post("/v1/completions", {"model": "tiny", "prompt": ["a", "b"]}).status_code == 200


def test_draining_finishes_what_runs_and_takes_nothing_in(tiny):
    with serving(tiny, delay=0.01) as server:
        stream = server.chat(max_tokens=600, stream=True)  # six seconds, more than what is asked meanwhile
        next(stream)
        server.listening.handle_exit(signal.SIGTERM, None)
        error = fault(server.post("/v1/chat/completions", GOOD), 503)
        assert error["code"] == "shutting_down"
        assert server.http.get("/health").json() == {"status": "draining"}
        server.engine.executor.seconds = 0
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        server.thread.join(30)
        assert not server.thread.is_alive()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port))


def elsewhere(begin):
    """What a coroutine returns or raises, run in a thread: this one may have a browser's loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(begin())).result(30)


def test_what_comes_in_while_draining_begins(tiny):
    """It passed the first look; the desk looks again where nothing can come between."""
    with serving(tiny) as server:
        desk = server.listening.desk
        desk.draining = True
        with pytest.raises(Closing):
            elsewhere(lambda: desk.take("x", [[1, 2]], Sampling(3)))
        assert not desk.jobs
        assert server.free()
        desk.draining = False


def test_draining_has_an_end(tiny):
    with serving(tiny, delay=0.01, drain=0.3) as server:
        events: list[str] = []

        def listen() -> None:
            body = {**GOOD, "max_tokens": LONG, "stream": True, "ignore_eos": True}
            events.extend(server.post("/v1/chat/completions", body).text.strip().split("\n\n"))

        thread = threading.Thread(target=listen)
        thread.start()
        until(lambda: bool(server.engine.scheduler.running))
        begin = time.monotonic()
        server.listening.handle_exit(signal.SIGTERM, None)
        thread.join(30)
        server.thread.join(30)
        assert 0.3 <= time.monotonic() - begin < 12
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "shutting_down"
        assert server.free()


# --- figures


def figures(server: Running) -> dict[str, float]:
    reply = server.http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(reply.text):
        assert family.documentation
        for sample in family.samples:
            found[sample.name + "".join(f" {v}" for k, v in sample.labels.items() if k != "le")] = (
                sample.value
            )
    return found


def test_metrics(tiny):
    with serving(tiny, delay=0.002) as server:
        before = figures(server)
        assert before["handbook_continuations_total cancelled"] == 0
        text = "the same beginning for both of them"
        server.chat(text, max_tokens=10)
        server.chat(text, max_tokens=10)
        stream = server.chat("another", max_tokens=LONG, stream=True)
        next(stream)
        during = figures(server)
        assert during["handbook_running"] == 1
        assert 0 < during["handbook_cache_use"] < 1
        stream.close()
        until(lambda: figures(server)["handbook_continuations_total cancelled"] == 1)
        after = figures(server)
    assert after["handbook_continuations_total length"] == 2
    assert after["handbook_time_to_first_token_seconds_count"] == 3
    assert after["handbook_request_seconds_count"] == 2
    assert after["handbook_time_per_output_token_seconds_count"] == 2
    assert 0 < after["handbook_time_per_output_token_seconds_sum"] < after["handbook_request_seconds_sum"]
    assert after["handbook_prompt_tokens_total"] == 2 * len(said(text)) + len(said("another"))
    assert after["handbook_prefix_cache_hit_tokens_total"] == (len(said(text)) - 1) // 16 * 16
    assert after["handbook_output_tokens_total"] > 20
    assert after["handbook_queue"] == after["handbook_running"] == after["handbook_cache_use"] == 0
    assert after["handbook_steps_total"] > 0
    assert after["handbook_draft_tokens_total"] >= after["handbook_draft_tokens_accepted_total"]
    assert after["handbook_preemptions_total"] == 0


@pytest.mark.models
def test_smollm2_answers_two_at_once(smollm2):
    with serving(smollm2, memory=64 << 20) as server, ThreadPoolExecutor(2) as pool:

        def ask(country: str) -> str:
            question = [{"role": "user", "content": f"What is the capital of {country}?"}]
            reply = server.client.chat.completions.create(
                model=smollm2.name, messages=question, max_tokens=16, temperature=0
            )
            return reply.choices[0].message.content

        france, germany = pool.map(ask, ("France", "Germany"))
    assert "Paris" in france
    assert "Berlin" in germany


def test_pieces_that_all_came_before_anybody_looked(tiny):
    """An engine can be faster than the loop that waits for it."""
    with serving(tiny) as server:
        take = server.listening.desk.take

        async def late(*args, **options):
            job = await take(*args, **options)
            while job.open:
                await asyncio.sleep(0.005)
            return job

        server.listening.desk.take = late
        for streaming in (False, True):
            body = {**GOOD, "max_tokens": 9, "temperature": 0, "stream": streaming}
            reply = server.post("/v1/chat/completions", body)
            assert '"finish_reason":"length"' in reply.text
        text = server_text(reply.text)
    assert text == alone(tiny, said("hi"), Sampling(9, temperature=0))


def server_text(events: str) -> str:
    """The text of a stream with one choice."""
    chunks = [json.loads(event.removeprefix("data: ")) for event in events.strip().split("\n\n")[:-1]]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def test_the_document_says_what_is_taken(server):
    document = server.http.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/health", "/metrics", "/v1/models", "/v1/models/{name}", "/v1/chat/completions", "/v1/completions",
        "/v1/embeddings",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    chat = schemas["ChatBody"]
    assert chat["required"] == ["model", "messages"]
    assert chat["additionalProperties"] is False
    assert chat["properties"]["model"]["enum"] == ["tiny"]
    assert chat["properties"]["n"]["anyOf"][0]["maximum"] == 32
    assert '"maximum": 255' in json.dumps(schemas["TextBody"]["properties"]["prompt"])
    (bias,) = schemas["TextBody"]["properties"]["logit_bias"]["anyOf"][0]["patternProperties"]
    assert [n for n in range(3000) if re.search(bias, str(n))] == list(range(256))
    for last in (0, 7, 10, 99, 101, 999, 1000, 2047):
        assert [n for n in range(12_000) if re.search(up_to(last), str(n))] == list(range(last + 1))
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert named <= set(schemas)
