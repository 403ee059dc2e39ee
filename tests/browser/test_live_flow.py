"""The live view as people use it: keyboard, play, scrub, knobs, a trace of one's own, the app's engine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app.small_book import WordEmbedder, write
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser.conftest import Visit, check, serving
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import run
from handbook.engine.trace import Recorder
from handbook.engine.tracefile import TraceWriter
from handbook.settings import Settings


def at(page: Page) -> int:
    return int(page.locator("#live-at").inner_text())


def test_step_by_step_with_the_keyboard(visit: Visit) -> None:
    page = visit.go("/engine")
    page.get_by_role("link", name="See the engine step by step").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Engine, step by step")
    page.locator("html[data-ready]").wait_for(state="attached")  # keys before that are lost
    expect(page.locator("#live-at")).to_have_text("1")
    before = page.locator(".cells").inner_html()
    for key, shown in (("ArrowRight", "2"), ("ArrowRight", "3"), ("ArrowLeft", "2")):
        page.keyboard.press(key)
        expect(page.locator("#live-at")).to_have_text(shown)
    assert page.locator(".cells").inner_html() != before
    page.keyboard.press("End")
    count = page.locator("#live-count").inner_text()
    expect(page.locator("#live-at")).to_have_text(count)
    expect(page.locator("#live-said")).to_contain_text(f"Step {count}:")
    page.keyboard.press("Home")
    expect(page.locator("#live-at")).to_have_text("1")
    page.get_by_role("button", name="Step on").focus()
    page.keyboard.press("Space")
    expect(page.locator("#live-at")).to_have_text("2")
    expect(page.get_by_role("button", name="Step on")).to_be_focused()


def test_playing_pausing_and_scrubbing(visit: Visit) -> None:
    page = visit.go("/engine/live?scenario=samples")
    page.get_by_label("Speed").select_option("5")
    page.locator("h1").click()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#live-at")).not_to_have_text(re.compile("^[1-2]$"))
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    stands = at(page)
    page.wait_for_timeout(200)
    assert at(page) == stands
    page.get_by_label("Speed").select_option("25")
    page.get_by_role("button", name="Play").click()
    count = page.locator("#live-count").inner_text()
    expect(page.locator("#live-at")).to_have_text(count)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    scrub = page.get_by_role("slider", name="Step", exact=True)
    scrub.focus()
    page.keyboard.press("Home")
    expect(page.locator("#live-at")).to_have_text("1")
    scrub.fill("20")
    expect(page.locator("#live-at")).to_have_text("21")
    expect(page.get_by_role("row", name=re.compile("poem 4"))).to_be_visible()


def test_a_knob_runs_it_anew_and_the_address_keeps_it(visit: Visit) -> None:
    page = visit.go("/engine/live?scenario=pressure")
    expect(page.locator("figcaption", has_text="32 pages of 16 positions")).to_be_visible()
    page.get_by_role("slider", name="Positions of a page").fill("8")
    expect(page.locator("figcaption", has_text="64 pages of 8 positions")).to_be_visible()
    expect(page).to_have_url(re.compile("page=8"))
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#live-at")).to_have_text("2")
    page.get_by_label("Move who makes room, don't recompute").check()
    expect(page).to_have_url(re.compile("swap=1"))
    page.reload()
    page.locator("html[data-ready]").wait_for(state="attached")
    expect(page.get_by_label("Move who makes room, don't recompute")).to_be_checked()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("figcaption", has_text="64 pages of 8 positions")).to_be_visible()


def test_opening_a_trace_of_ones_own(visit: Visit, tmp_path: Path) -> None:
    header, steps = run(SCENARIOS["prefix"], SCENARIOS["prefix"].knobs)
    writer = TraceWriter(tmp_path / "run.jsonl", header)
    for step in steps:
        writer(step)
    writer.close()
    (tmp_path / "novel.txt").write_text("It was a dark and stormy night.\n")
    page = visit.go("/engine/live")
    page.get_by_label("Trace file").set_input_files(tmp_path / "novel.txt")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("is no trace of this engine")
    page = visit.go("/engine/live")
    page.get_by_label("Trace file").set_input_files(tmp_path / "run.jsonl")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#live")).to_contain_text("A shared beginning")
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("End")
    expect(page.locator("#live-at")).to_have_text(str(len(steps)))
    visit.complaints = [each for each in visit.complaints if "400" not in each]


def test_without_scripts_links_do_the_steps(browser: Browser, small: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{small}/engine/live?scenario=prefix")
    for name, shown in (("Step on", "2"), ("Step on", "3"), ("Step back", "2"), ("Last step", "103")):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#live-at")).to_have_text(shown)
    page.get_by_label("Prompts in pieces").uncheck()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#live")).to_contain_text("Budget raised to")
    context.close()


def test_it_weighs_little(visit: Visit) -> None:
    session = visit.page.context.new_cdp_session(visit.page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page = visit.go("/engine/live")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#live-at")).to_have_text("2")
    page.wait_for_load_state("networkidle")
    assert 30_000 < sum(sizes) < 200_000


class WatchedChat(ScriptedChat):
    def __init__(self) -> None:
        super().__init__(["Hello"])
        self.recorder = Recorder()
        self.recorder.header, self.steps = run(SCENARIOS["samples"], SCENARIOS["samples"].knobs)


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[str, WatchedChat]]:
    chat = WatchedChat()
    settings = Settings(data=tmp_path / "data", book=write(tmp_path / "book"))
    app = create_app(settings, chat=chat, embedder=WordEmbedder(), background=False)
    for address in serving(app):
        yield address, chat


def test_following_the_apps_own_engine(context: BrowserContext, followed: tuple[str, WatchedChat]) -> None:
    address, chat = followed
    visit = Visit(context.new_page(), address)
    page = visit.go("/engine/live")
    page.get_by_role("link", name="This app's engine").click()
    expect(page.locator("#live-empty")).to_be_visible()
    page.locator("html[data-ready]").wait_for(state="attached")
    for step in chat.steps[:8]:
        chat.recorder(step)
    expect(page.locator("#live-at")).to_have_text("8")
    expect(page.locator("#live-empty")).to_have_count(0)
    page.wait_for_timeout(2500)  # the stream ended, and the browser came back
    chat.recorder(chat.steps[8])
    expect(page.locator("#live-at")).to_have_text("9")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#live-at")).to_have_text("8")
    chat.recorder(chat.steps[9])
    expect(page.locator("#live-count")).to_have_text("10")
    expect(page.locator("#live-at")).to_have_text("8")
    page.get_by_role("button", name="Follow").click()
    expect(page.locator("#live-at")).to_have_text("10")
    check(visit)  # and the app stops while the page still follows it
