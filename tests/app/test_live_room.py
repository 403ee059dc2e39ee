"""The live view's room: scripted runs by address, frames, a trace of one's own, the app's own engine."""

import io
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.conftest import BASE
from app.small_book import WordEmbedder
from handbook.app.web import create_app
from handbook.app.web.rooms import live
from handbook.chat import ScriptedChat
from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import Knobs, run
from handbook.engine.trace import Recorder
from handbook.engine.tracefile import TraceWriter
from handbook.settings import Settings

Token = Callable[[], str]


class WatchedChat(ScriptedChat):
    """A chat whose engine has made some steps."""

    def __init__(self, count: int) -> None:
        super().__init__(["Hello"])
        self.recorder = Recorder(most=10)
        header, self.steps = run(SCENARIOS["samples"], Knobs(memory=512))
        self.recorder.header = header
        for step in self.steps[:count]:
            self.recorder(step)


@pytest.fixture
def trace(tmp_path: Path) -> bytes:
    header, steps = run(SCENARIOS["pressure"], SCENARIOS["pressure"].knobs)
    writer = TraceWriter(tmp_path / "t", header)
    for step in steps:
        writer(step)
    writer.close()
    return (tmp_path / "t").read_bytes()


def test_every_scenario_has_its_page(client: TestClient) -> None:
    html = client.get("/engine/live").text
    for name, scenario in SCENARIOS.items():
        assert f'href="/engine/live?scenario={name}"' in html
        own = client.get(f"/engine/live?scenario={name}").text
        assert escape(scenario.look.split(".")[0]).replace("&#x27;", "&#39;") in own
        assert 'id="live-frame"><div class="trace">' in own
    assert client.get("/engine/live?scenario=none").status_code == 404
    assert 'href="/engine/live"' in client.get("/engine").text


def test_the_address_holds_knobs_and_step(client: TestClient) -> None:
    html = client.get("/engine/live?scenario=prefix&set=1&page=8&memory=512&chunked=1&step=3").text
    assert "64 pages of 8 positions" in html
    assert 'name="share" value="1">' in html, "an unchecked box sends nothing"
    assert 'name="chunked" value="1" checked>' in html
    assert 'data-at="3"' in html
    back = re.search(r'href="(/engine/live\?[^"]*step=2)"', html)
    assert back
    assert 'data-at="2"' in client.get(back[1].replace("&amp;", "&")).text
    for beyond, at in (("99999", r'data-at="(\d+)"'), ("-3", 'data-at="(0)"'), ("x", 'data-at="(0)"')):
        assert re.search(at, client.get(f"/engine/live?step={beyond}").text)


def test_knobs_that_cannot_be(client: TestClient) -> None:
    answer = client.get("/engine/live?scenario=mixed&set=1&page=0&tokens=99999")
    assert answer.status_code == 400
    assert "page is 0, expected 1 to 256; tokens is 99999" in answer.text
    assert client.get("/engine/live?scenario=mixed&set=1&memory=<b>").status_code == 400
    raised = client.get("/engine/live?scenario=long-prompt&set=1&memory=256&tokens=16")
    assert "Memory raised to" in raised.text
    assert "Budget raised to" in raised.text


def test_frames_come_in_windows(client: TestClient) -> None:
    data = client.get("/engine/live/frames.json?scenario=mixed&from=32&count=32").json()
    assert list(data["frames"]) == [str(at) for at in range(32, 64)]
    last = data["last"]
    assert data["first"] == 0
    end = client.get(f"/engine/live/frames.json?from={last}&count=9999").json()
    assert list(end["frames"]) == [str(last)]
    many = client.get("/engine/live/frames.json?from=0&count=9999").json()
    assert len(many["frames"]) == live.FRAMES
    assert 'class="trace"' in many["frames"]["0"]


def test_a_trace_of_ones_own(client: TestClient, token: Token, trace: bytes) -> None:
    files = {"file": ("run.jsonl", io.BytesIO(trace), "application/octet-stream")}
    answer = client.post("/engine/live/open", data={"token": token()}, files=files)
    assert answer.status_code == 303
    html = client.get(answer.headers["location"]).text
    assert "32 pages of 16 positions" in html
    assert "Too little memory" in html
    key = answer.headers["location"].partition("trace=")[2]
    data = client.get(f"/engine/live/frames.json?trace={key}&from=100&count=2").json()
    assert list(data["frames"]) == ["100", "101"]
    assert client.get("/engine/live?trace=none").status_code == 400


def test_a_trace_that_was_cut_off_says_so(client: TestClient, token: Token, trace: bytes) -> None:
    files = {"file": ("run.jsonl", io.BytesIO(trace[: len(trace) // 2]), "text/plain")}
    answer = client.post("/engine/live/open", data={"token": token()}, files=files)
    assert "the run was killed, or still goes on" in client.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "got nothing"),
        (b"\x00\xff\x00\xff" * 50, "no trace of this engine"),
        (b'{"schema": "<script>"}\n', "no trace of this engine"),
        (b"x" * 1_200_000, "no trace of this engine"),
    ],
)
def test_what_is_no_trace_is_refused(client: TestClient, token: Token, data: bytes, says: str) -> None:
    files = {"file": ("x", io.BytesIO(data), "text/plain")}
    answer = client.post("/engine/live/open", data={"token": token()}, files=files)
    assert answer.status_code == 400
    assert says in answer.text
    assert "<script>" not in answer.text.partition("<main")[2]


def test_ids_in_a_trace_are_text(client: TestClient, token: Token, trace: bytes) -> None:
    bad = trace.replace(b"story 1", b"<img src=x onerror=alert(1)>")
    files = {"file": ("x", io.BytesIO(bad), "text/plain")}
    answer = client.post("/engine/live/open", data={"token": token()}, files=files)
    html = client.get(answer.headers["location"]).text
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_opening_needs_a_token_and_is_bounded(client: TestClient, trace: bytes, token: Token) -> None:
    files = {"file": ("x", io.BytesIO(trace), "text/plain")}
    assert client.post("/engine/live/open", files=files).status_code == 403
    large = trace + (b" " * (1 << 20) + b"\n") * 21
    files = {"file": ("x", io.BytesIO(large), "text/plain")}
    answer = client.post("/engine/live/open", data={"token": token()}, files=files)
    assert answer.status_code == 400
    assert "more than 20 MiB" in answer.text


def test_only_the_last_traces_are_kept(client: TestClient, token: Token, trace: bytes) -> None:
    places = []
    for _ in range(5):
        files = {"file": ("x", io.BytesIO(trace), "text/plain")}
        answer = client.post("/engine/live/open", data={"token": token()}, files=files)
        places.append(answer.headers["location"])
    assert client.get(places[0]).status_code == 400
    assert client.get(places[4]).status_code == 200


def test_a_chat_that_runs_elsewhere_cannot_be_followed(client: TestClient) -> None:
    html = client.get("/engine/live?own=1").text
    assert "runs in another program" in html
    assert "data-follow" not in html
    assert client.get("/engine/live/follow").status_code == 404
    assert client.get("/engine/live/frames.json?own=1").json()["frames"] == {}


def watched(settings: Settings, chat: WatchedChat) -> FastAPI:
    return create_app(settings, chat=chat, embedder=WordEmbedder(), background=False)


def test_the_apps_own_engine(settings: Settings) -> None:
    chat = WatchedChat(0)
    with TestClient(watched(settings, chat), base_url=BASE) as client:
        assert "It has made no step yet" in client.get("/engine/live?own=1").text
        for step in chat.steps:
            chat.recorder(step)
        html = client.get("/engine/live?own=1").text
        last = chat.steps[-1].n
        assert f'data-first="{last - 9}" data-last="{last}" data-at="{last}"' in html
        data = client.get(f"/engine/live/frames.json?own=1&from={last - 3}&count=32").json()
        assert list(data["frames"]) == [str(n) for n in range(last - 3, last + 1)]
        old = client.get("/engine/live/frames.json?own=1&from=1&count=1").json()
        assert list(old["frames"]) == [str(last - 9)], "the nearest that is still kept"


def test_following_streams_each_new_step_and_ends_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LASTS", 0.5)
    monkeypatch.setattr(live, "LOOK", 0.02)
    chat = WatchedChat(5)
    with TestClient(watched(settings, chat), base_url=BASE) as client:
        answer = client.get("/engine/live/follow")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.count("event: step") == 1, "nothing new, nothing said"
        assert answer.text.startswith("retry: 100\n\nid: 5\n")
        assert '"first": 1, "last": 5' in answer.text
        again = client.get("/engine/live/follow", headers={"Last-Event-ID": "5"})
        assert "event: step" not in again.text
        chat.recorder(chat.steps[5])
        again = client.get("/engine/live/follow", headers={"Last-Event-ID": "5"})
        assert "id: 6\n" in again.text


def test_other_sites_cannot_follow(client: TestClient) -> None:
    for path in ("/engine/live/follow", "/engine/live/frames.json"):
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_its_style_sheet_changes_its_address_with_its_rules(client: TestClient) -> None:
    address = re.search(r'href="(/engine/live\.css\?v=\w+)"', client.get("/engine/live").text)
    assert address
    sheet = client.get(address[1])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "immutable" in sheet.headers["cache-control"]
    assert ".cells" in sheet.text


def test_it_is_found_by_the_palette(client: TestClient) -> None:
    results = client.get("/search.json", params={"q": "step by step"}).json()["results"]
    assert ("page", "/engine/live") in [(each["kind"], each["url"]) for each in results]
