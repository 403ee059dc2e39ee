"""The three Chats: scripted, over HTTP against a real server with faults, and our own engine."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from time import perf_counter

import pytest
from openai_server import KEY, PREFILL, WORDS, State, serving

from handbook.chat import Chat, Forming, HttpChat, LocalChat, ScriptedChat, open_chat
from handbook.embed import HttpEmbedder
from handbook.errors import ChatError, ModelUnavailable
from handbook.records import Message, Sampling, Usage
from handbook.settings import Settings

ASK = (Message("system", "Be short."), Message("user", "Count."))

SCHEMA = {
    "type": "object",
    "properties": {"capital": {"enum": ["Paris", "Lyon"]}, "sure": {"type": "boolean"}},
    "required": ["capital", "sure"],
    "additionalProperties": False,
}


def said(chat: Chat, sampling: Sampling | None = None) -> str:
    stream = chat.stream(ASK) if sampling is None else chat.stream(ASK, sampling)
    return "".join(delta.text for delta in stream)


def test_importing_the_seams_loads_nothing_heavy() -> None:
    heavy = {"torch", "tokenizers", "openai", "huggingface_hub", "transformers", "safetensors"}
    code = f"import sys; import handbook.chat, handbook.embed; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_opening_a_chat_asks_nobody() -> None:
    assert isinstance(open_chat(Settings(model="no-such-model")), LocalChat)
    remote = open_chat(Settings(model="plain", chat_url="http://127.0.0.1:9/v1", chat_key="k"))
    assert isinstance(remote, HttpChat)
    assert remote.name == "plain"


# --- scripted


def test_scripted_says_its_replies_in_pieces_and_remembers() -> None:
    chat = ScriptedChat(["A reply  in\nfour pieces. ", ""])
    sampling = Sampling(max_tokens=5)
    deltas = list(chat.stream(ASK, sampling))
    assert "".join(delta.text for delta in deltas) == "A reply  in\nfour pieces. "
    assert len(deltas) == 6
    assert deltas[-1].usage == Usage(3, 5, 0.0, 0.0)
    assert all(delta.usage is None for delta in deltas[:-1])
    assert said(chat) == ""
    assert chat.asked == [(ASK, sampling), (ASK, Sampling())]


def test_scripted_raises_what_it_is_told_to_and_when_it_has_no_reply_left() -> None:
    chat = ScriptedChat([ChatError("The server is down.")])
    with pytest.raises(ChatError, match="server is down"):
        said(chat)
    with pytest.raises(ChatError, match="has 1 replies and was asked 2 times"):
        said(chat)


def test_scripted_remembers_what_forms_it_was_to_be_held_to() -> None:
    chat: Forming = ScriptedChat(["{}"])
    assert "".join(delta.text for delta in chat.form(ASK, SCHEMA)) == "{}"
    assert isinstance(chat, ScriptedChat)
    assert (chat.schemas, len(chat.asked)) == ([SCHEMA], 1)


# --- over HTTP


@pytest.fixture(scope="module")
def server() -> Iterator[State]:
    with serving() as state:
        yield state


@pytest.mark.parametrize("key", ["sk-private", "sk-private\n"])
def test_http_never_repeats_the_key(server: State, key: str) -> None:
    with pytest.raises(ChatError, match=r"refused the key \(401: Incorrect") as caught:
        said(HttpChat(server.url, "echo", key))
    assert "sk-private" not in str(caught.value)
    with pytest.raises(ModelUnavailable, match="Incorrect") as unavailable:
        HttpEmbedder(server.url, "echo", key).embed(["x"])
    assert "sk-private" not in str(unavailable.value)


def test_http_shows_the_address_without_its_secrets() -> None:
    chat = HttpChat("http://me:hunter2@127.0.0.1:9/v1?key=hunter3", "m")
    with pytest.raises(ChatError, match=r"Nothing answers at http://127\.0\.0\.1:9/v1 ") as caught:
        said(chat)
    assert "hunter" not in str(caught.value)


@pytest.mark.alone
def test_http_streams_and_takes_the_servers_usage(server: State) -> None:
    chat = HttpChat(server.url, "plain")
    begin = perf_counter()
    deltas = list(chat.stream(ASK))
    took = perf_counter() - begin
    assert [delta.text for delta in deltas] == [*WORDS, ""]
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 11)
    assert usage.prefill_seconds >= PREFILL
    assert 0 <= usage.decode_seconds < usage.prefill_seconds + usage.decode_seconds <= took


def test_http_counts_the_pieces_where_the_server_sends_no_usage(server: State) -> None:
    usage = list(HttpChat(server.url, "no-usage").stream(ASK))[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (0, 5)


def test_http_sends_what_it_was_asked_to(server: State) -> None:
    chat = HttpChat(server.url, "plain", key=KEY)
    said(
        chat, Sampling(max_tokens=9, temperature=0.0, top_k=40, top_p=0.9, min_p=0.1, seed=3, stop=("x", "y"))
    )
    sent = server.requests[-1]
    assert sent["messages"] == [{"role": m.role, "content": m.content} for m in ASK]
    expected = {
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["x", "y"],
        "stream": True,
    }
    assert {key: sent[key] for key in expected} == expected
    assert (sent["top_k"], sent["min_p"]) == (40, 0.1)
    assert server.keys[-1] == f"Bearer {KEY}"
    said(chat)
    assert not {"top_k", "min_p", "repetition_penalty", "top_p", "seed", "stop"} & set(server.requests[-1])


def test_http_asks_for_a_form_as_openai_does(server: State) -> None:
    chat = HttpChat(server.url, "plain")
    list(chat.form(ASK, SCHEMA))
    assert server.requests[-1]["response_format"]["json_schema"]["schema"] == SCHEMA
    said(chat)
    assert "response_format" not in server.requests[-1]


def test_http_does_not_give_the_environments_key_to_another_server(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's secret")
    said(HttpChat(server.url, "plain"))
    assert "secret" not in server.keys[-1]


@pytest.mark.parametrize(
    ("model", "what", "remedy"),
    [
        ("locked", r"refused the key \(401: Incorrect API key", "HANDBOOK_CHAT_KEY"),
        ("unknown", r"no model 'unknown'.*does not exist", "chat_url"),
        ("busy", "takes no more for now", "Wait"),
        ("cut", "broke off after 1 pieces", "Send it again"),
        ("garbage", "not in OpenAI's format", "chat_url"),
        ("fault", "failed in its reply .*out of memory", "log"),
        ("page", "broke off after 0 pieces|not in OpenAI's format", "."),
    ],
)
def test_http_faults_say_what_to_do(server: State, model: str, what: str, remedy: str) -> None:
    with pytest.raises(ChatError, match=what) as caught:
        said(HttpChat(server.url, model))
    assert remedy in caught.value.remedy


def test_http_a_refused_option_is_said(server: State) -> None:
    assert said(HttpChat(server.url, "strict"))
    with pytest.raises(ChatError, match=r"answered 400 .*top_k"):
        said(HttpChat(server.url, "strict"), Sampling(top_k=5))


def test_http_nobody_there() -> None:
    with pytest.raises(ChatError, match="Nothing answers at") as caught:
        said(HttpChat("http://127.0.0.1:9/v1", "plain"))
    assert "Start the server" in caught.value.remedy


def test_http_silence_ends(server: State) -> None:
    with pytest.raises(ChatError, match=r"said nothing for 0\.3 s"):
        said(HttpChat(server.url, "silent", timeout=0.3))


def test_http_closing_the_iterator_stops_the_server(server: State) -> None:
    server.stopped.clear()
    stream = HttpChat(server.url, "endless").stream(ASK)
    assert next(stream).text == "on "
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]
    assert server.stopped.wait(30)


# --- our own engine


def test_local_without_weights_says_how_to_get_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    chat = open_chat(Settings(data=tmp_path_factory.mktemp("empty")))
    with pytest.raises(ModelUnavailable, match="handbook models get smollm2-135m-instruct"):
        said(chat)


@pytest.fixture(scope="module")
def local(model_settings: Settings, smollm2_path: object) -> LocalChat:
    return LocalChat(model_settings)


@pytest.mark.models
def test_local_speaks(local: LocalChat) -> None:
    sampling = Sampling(max_tokens=12, temperature=0.0)
    deltas = list(local.stream([Message("user", "What is the capital of France?")], sampling))
    assert "Paris" in "".join(delta.text for delta in deltas)
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.prompt_tokens > 10
    assert 0 < usage.completion_tokens <= 12
    assert usage.tokens_per_second > 0


@pytest.mark.models
def test_local_is_held_to_a_form(local: LocalChat) -> None:
    question = [Message("user", "What is the capital of France? Answer with a poem.")]
    reply = "".join(delta.text for delta in local.form(question, SCHEMA, Sampling(max_tokens=40)))
    value = json.loads(reply)
    assert list(value) == ["capital", "sure"]
    assert value["capital"] in ("Paris", "Lyon")
    with pytest.raises(ChatError, match="No reply can be held to this schema"):
        local.form(question, {"type": "nothing"})


@pytest.mark.models
def test_local_writes_replies_side_by_side_and_closing_one_frees_its_pages(local: LocalChat) -> None:
    engine = local.load().engine
    first = local.stream(ASK, Sampling(max_tokens=2000))
    next(first)
    assert list(local.stream(ASK, Sampling(max_tokens=1)))
    assert len(engine.asked) == 1
    first.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 30
    while engine.busy and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not engine.asked
    assert engine.pages.available == engine.pages.count


@pytest.mark.models
def test_local_does_not_read_again_what_was_said(local: LocalChat) -> None:
    long = Message("user", "Tell me about " + "tea and coffee, " * 100)
    told = [list(local.stream([long], Sampling(max_tokens=2, temperature=0.0)))[-1].usage for _ in range(4)]
    first, *again = [usage for usage in told if usage is not None]
    assert len(again) == 3
    assert {usage.completion_tokens for usage in again} == {first.completion_tokens}
    assert min(usage.prefill_seconds for usage in again) < first.prefill_seconds / 2


@pytest.mark.models
def test_local_says_when_a_conversation_is_too_long(local: LocalChat) -> None:
    with pytest.raises(ChatError, match="the model has room for 8,192"):
        list(local.stream([Message("user", "tea " * 9000)], Sampling(max_tokens=2)))


@pytest.mark.models
def test_local_serves_threads_in_turn(model_settings: Settings, smollm2_path: object) -> None:
    chat = LocalChat(model_settings)
    sampling = Sampling(max_tokens=4, temperature=0.0)
    replies: list[str] = []
    threads = [threading.Thread(target=lambda: replies.append(said(chat, sampling))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 3
    assert len(set(replies)) == 1
