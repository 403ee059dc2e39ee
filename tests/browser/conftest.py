"""A real server on a free port and a real Chromium; skipped, with the reason, where there is no browser."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn
from app.small_book import WordEmbedder, write
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from handbook.app.web import create_app
from handbook.app.web.assets import built
from handbook.chat import ScriptedChat
from handbook.settings import Settings

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
REPLY = (
    "Kneading builds gluten, a network of proteins that holds gas [1]. "
    "The moon is made of $n^2$ cheeses, not $5 or $6 [9]."
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


def serve(settings: Settings) -> Iterator[str]:
    chat = ScriptedChat([REPLY] * 50)
    yield from serving(create_app(settings, chat=chat, embedder=WordEmbedder(), background=False))


def serving(app: FastAPI) -> Iterator[str]:
    """The address of an app on a free port; at the end, that it stops."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started and time.monotonic() < end:
        time.sleep(0.02)
    assert server.started
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)
    listener.close()
    assert not thread.is_alive(), "the app did not stop"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app over the small book."""
    folder = tmp_path_factory.mktemp("small")
    yield from serve(Settings(data=folder / "data", book=write(folder / "book")))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app over the handbook's own book."""
    yield from serve(Settings(data=tmp_path_factory.mktemp("real") / "data"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one file. While it is open an event loop runs in this thread, and what other files test
    (ingestions by DBOS) refuses to be called from one."""
    if built("app.js") is None:
        pytest.fail("the front end is not built; pip install -e . builds it")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(NAMES)} is on the PATH")
    expect.set_options(timeout=40_000)  # a busy machine is no fault
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, and what went wrong on it."""

    page: Page
    address: str
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self._see(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self._hear(line.type, line.text))

    def _see(self, url: str) -> None:
        host = self.address.removeprefix("http://")
        if not url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:")):
            self.foreign.append(url)

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" or "Content Security Policy" in text:
            self.complaints.append(text)

    def go(self, path: str) -> Page:
        self.page.goto(self.address + path)
        self.page.locator("html[data-ready]").wait_for(state="attached")
        return self.page


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(40_000)
    yield context
    context.close()


def kept(page: Page, text: str) -> AbstractContextManager[Any]:
    """Until the server has answered a draft that is all of this text: parts of it may be sent before, since
    typing takes a busy machine longer than a draft waits."""

    def whole(url: str, sent: str | None) -> bool:
        return url.endswith("/draft") and [text] in parse_qs(sent or "").values()

    return page.expect_response(lambda answer: whole(answer.url, answer.request.post_data))


def says_later(page: Page, place: Locator, words: str) -> None:
    """What a page shows of something that was sent while another page went: asked for anew until then."""
    end = time.monotonic() + 40
    while not re.search(words, place.inner_text()) and time.monotonic() < end:
        page.wait_for_timeout(100)
        page.reload()
    expect(place).to_contain_text(re.compile(words))


def beside(note: Locator, line: Locator) -> None:
    """A note comes to its line with the next frame, and again when fonts and formulas are there."""
    end = time.monotonic() + 20
    while abs(note.bounding_box()["y"] - line.bounding_box()["y"]) >= 30:
        assert time.monotonic() < end, "the note does not stand beside its line"
        note.page.wait_for_timeout(50)


def check(visit: Visit) -> None:
    assert visit.foreign == []
    assert visit.complaints == []


@pytest.fixture
def visit(context: BrowserContext, small: str) -> Iterator[Visit]:
    """A page on the small book; at the end, that nothing left the origin and nothing complained."""
    visit = Visit(context.new_page(), small)
    yield visit
    check(visit)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[str]:
    """Address of an app over the small book that no other test has visited."""
    yield from serve(Settings(data=tmp_path / "data", book=write(tmp_path / "book")))


@pytest.fixture
def own_visit(context: BrowserContext, own: str) -> Iterator[Visit]:
    """The same in an app of the test's own, for what depends on what was read before."""
    visit = Visit(context.new_page(), own)
    yield visit
    check(visit)


@pytest.fixture
def real_visit(context: BrowserContext, real: str) -> Iterator[Visit]:
    """The same on the handbook's own book."""
    visit = Visit(context.new_page(), real)
    yield visit
    check(visit)
