"""An exercise in a real browser, on the real judge: write, fail, mend, pass; nothing typed is ever lost."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from app.small_book import WordEmbedder, write
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser.conftest import Visit, check, kept, says_later, serving
from browser.test_look import AXE, RUN_AXE
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.settings import Settings

PAGE = "/exercise/adding"
WRONG = "def add(a, b):\nreturn abs(a + b)"
RIGHT = "def add(a, b):\nreturn a + b"
LOOP = "def add(a, b):\nwhile True:\npass"
QUICK = 30_000


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """An app for all tests of this file, with one warm worker; its address, and its shelf."""
    folder = tmp_path_factory.mktemp("judged")
    settings = Settings(data=folder / "data", book=write(folder / "book"))
    app = create_app(settings, chat=ScriptedChat(["x"]), embedder=WordEmbedder(), background=False)
    for address in serving(app):
        yield address, app.state.shelf


@pytest.fixture
def own(judged: tuple[str, Any]) -> str:
    """Its address; nothing was tried there yet."""
    judged[1].database.delete_all()
    return judged[0]


def editor(page: Page) -> None:
    """Focus in the editor, all of it selected."""
    page.locator(".editor .cm-content").click()
    page.keyboard.press("Control+a")


def text_of(page: Page) -> str:
    found: str = page.evaluate("document.querySelector('.editor').editorView.state.doc.toString()")
    return found


def test_write_fail_mend_pass_and_the_solution_appears(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    expect(page.locator("#solution")).to_contain_text("It opens, with a commentary, when every test passes.")
    editor(page)
    page.keyboard.type(WRONG)
    page.get_by_role("button", name="Run all tests").click()
    verdicts = page.locator("#verdicts")
    expect(verdicts).to_contain_text("1 of 2 tests passed", timeout=QUICK)
    expect(page.locator("#said")).to_contain_text("1 of 2 tests passed")
    failed = page.locator(".verdicts > .failed")
    expect(failed).to_have_count(1)
    row = failed.locator("tr", has=page.locator("th", has_text="value"))
    expect(row.locator("td").first).to_have_text("-3")
    expect(row.locator("td").last).to_have_text("3")
    verdicts.get_by_role("link").first.click()
    expect(failed).to_be_in_viewport()
    editor(page)
    page.keyboard.type(RIGHT)
    page.get_by_role("button", name="Run all tests").click()
    expect(verdicts).to_contain_text("2 of 2 tests passed. Solved.", timeout=QUICK)
    expect(page.locator("#solution pre").first).to_contain_text("return a + b")
    expect(page.locator("#standing")).to_contain_text("due in 2 days")
    expect(page.locator("#attempts li")).to_have_count(2)
    page.goto(own_visit.address + "/exercises")
    expect(page.locator("tr", has_text="Adding")).to_contain_text("solved")


def test_all_of_it_by_keyboard(own_visit: Visit) -> None:
    page = own_visit.go("/")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", level=1)).to_have_text("Exercises")
    page.get_by_role("link", name="Adding").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Adding")
    page.locator("html[data-ready]").wait_for(state="attached")
    hint = page.get_by_role("button", name="Open hint 1 of 3")
    hint.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#hint-1")).to_be_focused()
    expect(page.locator("#hint-1")).to_contain_text("Look at the arguments.")
    expect(page.get_by_role("button", name="Open hint 2 of 3")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Open hint 2 of 3")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(WRONG)
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#verdicts")).to_contain_text("1 of 1 visible tests passed", timeout=QUICK)
    page.keyboard.press("Control+a")
    page.keyboard.type(RIGHT)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#verdicts")).to_contain_text("2 of 2 tests passed", timeout=QUICK)
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Run all tests")).to_be_focused()
    page.locator("#snippet").focus()
    page.keyboard.type("add(20, 3)")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#tried dd").first).to_have_text("23", timeout=QUICK)
    expect(page.locator("#tried dd").last).to_have_text("23")
    page.locator("#solution").get_by_role("button", name="Do it again").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("#solution")).to_contain_text("It opens")
    assert "NotImplementedError" in text_of(page)


def test_an_endless_loop_is_stopped_by_keyboard(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    editor(page)
    page.keyboard.type(LOOP)
    page.keyboard.press("Control+Enter")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_visible(timeout=QUICK)
    page.keyboard.press("Escape")
    expect(stop).to_be_focused()
    page.wait_for_timeout(1200)  # news came meanwhile, and the page was changed beneath
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#verdicts")).to_contain_text("Stopped after", timeout=QUICK)
    expect(page.get_by_role("button", name="Run all tests")).to_be_focused()
    expect(page.locator("#attempts")).to_contain_text("Every run is kept here")  # a stopped one is not
    editor(page)
    page.keyboard.type(RIGHT)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#verdicts")).to_contain_text("2 of 2 tests passed", timeout=QUICK)


def test_hints_come_one_after_the_other_and_count(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    for number, words in ((1, "Look at"), (2, "Use"), (3, "Return")):
        page.get_by_role("button", name=f"Open hint {number} of 3").click()
        expect(page.locator(f"#hint-{number}")).to_contain_text(words)
    expect(page.locator("#hints button")).to_have_count(0)
    page.reload()
    expect(page.locator("#hint-3")).to_be_visible()


def test_giving_up_asks_once(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    page.locator("summary", has_text="Give up").click()
    expect(page.locator("#solution")).to_contain_text("comes again tomorrow")
    page.get_by_role("button", name="Yes, show the solution").click()
    expect(page.locator("#solution pre").first).to_contain_text("return a + b")
    expect(page.locator("#standing")).to_contain_text("due tomorrow")


def test_attempts_are_compared_and_restored_and_restoring_is_undone(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    for code, said in ((WRONG, "1 of 2"), (RIGHT, "2 of 2")):
        editor(page)
        page.keyboard.type(code)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#verdicts")).to_contain_text(f"{said} tests passed", timeout=QUICK)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.evaluate("window.setTimeout = () => 0")  # so that no draft is sent before the page is left
    page.keyboard.type("  # and then")
    page.get_by_role("link", name="Compare and restore").click()
    expect(page.locator(".diff-gone code")).to_have_text("    return abs(a + b)")
    expect(page.locator(".diff-new code")).to_have_text("    return a + b")
    page.get_by_label("new: what is in the editor").check()
    page.get_by_label("old: attempt 2").check()
    page.get_by_role("button", name="Compare").click()
    says_later(page, page.locator(".diff-new code"), r"return a \+ b\s+# and then$")
    page.get_by_role("link", name="attempt 1").click()
    expect(page.locator(".failed")).to_have_count(1)
    page.get_by_role("button", name="Put it into the editor").click()
    page.locator("html[data-ready]").wait_for(state="attached")
    expect(page.locator(".editor .cm-content")).to_contain_text("return abs(a + b)")
    assert text_of(page).rstrip() == "def add(a, b):\n    return abs(a + b)"
    with page.expect_navigation():
        page.get_by_role("button", name="Bring back the text before").click()
    expect(page.locator(".editor .cm-content")).to_contain_text("# and then")


def test_a_draft_is_there_in_another_browser(browser: Browser, own: str) -> None:
    first = browser.new_context()
    page = Visit(first.new_page(), own).go(PAGE)
    editor(page)
    with kept(page, "half an idea"):
        page.keyboard.type("half an idea")
    first.close()  # its storage goes with it
    second = browser.new_context()
    page = Visit(second.new_page(), own).go(PAGE)
    expect(page.locator(".editor .cm-content")).to_have_text("half an idea")
    expect(page.locator("#draft-said")).to_be_empty()
    second.close()


def test_two_windows_lose_neither_text(context: BrowserContext, own: str) -> None:
    one = Visit(context.new_page(), own).go(PAGE)
    other = Visit(context.new_page(), own).go(PAGE)
    editor(one)
    with kept(one, "typed in one"):
        one.keyboard.type("typed in one")
    editor(other)
    with kept(other, "typed in the other"):
        other.keyboard.type("typed in the other")
    page = Visit(context.new_page(), own).go(PAGE)
    expect(page.locator(".editor .cm-content")).to_have_text("typed in the other")
    with page.expect_navigation():
        page.get_by_role("button", name="Bring back the text before").click()
    expect(page.locator(".editor .cm-content")).to_have_text("typed in one")


def lasting_port() -> int:
    """A free port that the system gives to nobody meanwhile: it lies below those that it chooses from."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


class Served:
    """`handbook open` on the small book, at one port, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = lasting_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "HANDBOOK_DATA": str(folder / "data"),
            "HANDBOOK_BOOK": str(write(folder / "book")),
            "HANDBOOK_FETCH": "false",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "handbook", "open", "--no-browser", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self.environment)
        end = time.monotonic() + 90
        while time.monotonic() < end:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/token", timeout=2):
                return
            time.sleep(0.05)
        raise AssertionError("it did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    served.start()
    yield served
    served.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_draft_survives_a_killed_server_and_a_closed_page(context: BrowserContext, served: Served) -> None:
    page = Visit(context.new_page(), served.address).go(PAGE)
    editor(page)
    with page.expect_response("**/draft"):
        page.keyboard.type("kept by both")
    served.kill()
    page.keyboard.type(", kept here")
    said = page.locator("#draft-said")
    expect(said).to_contain_text("What you type is kept in this browser.")
    page.close()
    served.start()
    page = Visit(context.new_page(), served.address).go(PAGE)
    expect(page.locator(".editor .cm-content")).to_have_text("kept by both, kept here")
    expect(page.locator("#draft-said")).to_contain_text("What you typed last is back")
    fresh = context.browser.new_context()  # type: ignore[union-attr]
    end = time.monotonic() + 60
    while time.monotonic() < end:  # it was sent by itself
        other = Visit(fresh.new_page(), served.address).go(PAGE)
        if text_of(other) == "kept by both, kept here":
            break
        other.close()
    else:
        raise AssertionError("the server never got it")
    fresh.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_the_handbook_stops_while_something_runs_and_leaves_nothing_behind(
    context: BrowserContext, served: Served
) -> None:
    page = Visit(context.new_page(), served.address).go(PAGE)
    editor(page)
    page.keyboard.type(LOOP)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=QUICK)
    page.wait_for_timeout(1500)
    assert served.process is not None
    handbook, end = psutil.Process(served.process.pid), time.monotonic() + 60
    while not (born := handbook.children(recursive=True)) and time.monotonic() < end:
        time.sleep(0.05)
    assert born, "the submission's processes"
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
    _, alive = psutil.wait_procs(born, 30)
    assert alive == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_typing_goes_on_over_a_restart_of_the_server(context: BrowserContext, served: Served) -> None:
    page = Visit(context.new_page(), served.address).go(PAGE)
    editor(page)
    with page.expect_response("**/draft"):
        page.keyboard.type(WRONG)
    served.kill()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#verdicts")).to_contain_text("The handbook does not answer.")
    page.keyboard.type(" ")
    expect(page.locator("#draft-said")).to_contain_text("What you type is kept in this browser.")
    served.start()
    expect(page.locator("#draft-said")).to_have_text("Kept.")
    page.keyboard.press("Control+Enter")  # with a token of before, which is replaced
    expect(page.locator("#verdicts")).to_contain_text("1 of 2 tests passed", timeout=QUICK)


def test_without_scripts_it_runs_hints_and_gives_up(browser: Browser, own: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(own + PAGE)
    page.fill("#code", "def add(a, b):\n    return abs(a + b)\n")
    page.fill("#snippet", "add(1, -5)")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#tried dd").first).to_have_text("4", timeout=QUICK)
    expect(page.locator("#tried dd").last).to_have_text("-4")
    page.get_by_role("button", name="Run all tests").click()
    expect(page.locator("#verdicts")).to_contain_text("1 of 2 tests passed", timeout=QUICK)
    page.get_by_role("button", name="Open hint 1 of 3").click()
    expect(page.locator("#hint-1")).to_be_visible()
    page.locator("summary", has_text="Give up").click()
    page.get_by_role("button", name="Yes, show the solution").click()
    expect(page.locator("#solution pre").first).to_contain_text("return a + b")
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#code")).to_have_value(re.compile("NotImplementedError"))
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_verdicts_and_attempts(browser: Browser, own: str, theme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    context = browser.new_context(bypass_csp=True, color_scheme="dark" if theme == "dark" else "light")
    page = Visit(context.new_page(), own).go(PAGE)
    for code in (WRONG, RIGHT):
        editor(page)
        page.keyboard.type(code)
        page.keyboard.press("Control+Enter")
        said = "1 of 2" if code == WRONG else "2 of 2"
        expect(page.locator("#verdicts")).to_contain_text(f"{said} tests passed", timeout=QUICK)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == []
        for width in (390, 800, 890, 1000, 1130, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    for path in ("/attempts", "/attempts?old=starter"):
        page.goto(own + PAGE + path)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_page_that_is_left_while_it_runs_finds_its_run_again(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    editor(page)
    page.keyboard.type(LOOP)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=QUICK)
    run = page.locator("#tests").get_attribute("data-run")
    page.goto(f"{own_visit.address}{PAGE}?run={run}")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#verdicts")).to_contain_text("Stopped after", timeout=QUICK)
    check(own_visit)
