"""The drill in a real browser: by mouse, by keyboard alone, without scripts, and with everything killed in
the middle of a sentence."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psutil
import pytest
from app.grader_stand_in import StandInGrader, opened
from app.small_book import write
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from browser.conftest import FLAGS, Visit, kept, serving
from browser.test_exercise_flow import Served
from browser.test_look import AXE, RUN_AXE
from handbook.settings import Settings

PAGE = "/drill/why-knead"
GOOD = "Proteins link up; it holds gas and takes long."  # three of four criteria
DECIDED = "You say that it is met."
WHOLE = "The proteins of the dough link up, and so it holds gas."


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, StandInGrader]]:
    """An app for all tests of this file: its address, its shelf, its grader."""
    folder, graders = tmp_path_factory.mktemp("drilled"), StandInGrader()
    settings = Settings(data=folder / "data", book=write(folder / "book"))
    app = opened(settings, graders, ["x"])
    for address in serving(app):
        yield address, app.state.shelf, graders


@pytest.fixture
def own(drilled: tuple[str, Any, StandInGrader]) -> Iterator[str]:
    """Its address; nothing was answered there yet."""
    drilled[1].database.delete_all()
    drilled[2].go.clear()
    yield drilled[0]
    drilled[2].go.set()


def graded(page: Page) -> Page:
    expect(page.locator("#graded-form")).to_be_visible()
    return page


def rated(page: Page, words: str) -> None:
    expect(page.locator("[name=rating]:checked")).to_have_value(words)


def ready_to_type(page: Page) -> None:
    """Keys before that are lost."""
    page.locator("html[data-ready]").wait_for(state="attached")
    expect(page.locator("#answer")).to_be_focused()


def test_by_mouse(own_visit: Visit) -> None:
    page = own_visit.go("/drill")
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is dough kneaded?")
    assert "network" not in page.content()
    page.locator("#answer").fill("It holds gas, and kneading warms it.")
    page.get_by_role("button", name="Grade it").click()
    expect(graded(page).locator(".graded-said")).to_contain_text("1 of 4 criteria met, 1 of 5 by weight.")
    expect(page.locator(".own-answer mark.quoted-met")).to_have_text("holds")
    expect(page.locator(".own-answer mark.quoted-wrong")).to_have_text("warms")
    expect(page.locator(".misconception")).to_contain_text("It builds a network.")
    expect(page.locator(".book-says")).to_contain_text("Kneading builds gluten")
    rated(page, "again")
    network = page.locator("[data-criterion=network]")
    network.get_by_label("met", exact=True).check()
    expect(network).to_contain_text(DECIDED)
    expect(network.locator("input:checked")).to_be_focused()
    rated(page, "hard")
    page.locator("[name=rating][value=good]").check()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#last")).to_contain_text("Counted as good")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Design an oven")
    page.get_by_role("button", name="Undo").click()
    expect(graded(page).locator("[data-criterion=network]")).to_contain_text(DECIDED)
    page.goto(own_visit.address + "/drill")
    expect(page.locator("main")).to_contain_text("2 new questions")


def test_by_keyboard_alone_to_the_end_and_back(own_visit: Visit) -> None:
    page = own_visit.go("/")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", level=1)).to_have_text("Drill")
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("Enter")
    ready_to_type(page)
    page.keyboard.type("Proteins; it holds gas, maybe. yn1u")
    page.keyboard.press("Control+Enter")
    rest = graded(page).locator("[data-criterion=rest]")
    expect(rest).to_be_focused()
    expect(page.locator("#said")).to_contain_text("1 waits for you")
    page.keyboard.press("Enter")  # it counts nothing while something is open
    expect(page.locator("#said")).to_contain_text("Criterion 4 waits for you")
    expect(page.locator(".confirm-said")).to_contain_text("Criterion 4 waits")  # for eyes too
    page.keyboard.press("y")
    expect(rest).to_contain_text(DECIDED)
    page.keyboard.press("1")
    expect(page.locator("[data-criterion=network]")).to_be_focused()
    expect(page.locator(".own-answer mark.chosen")).to_have_text("Proteins")
    page.keyboard.press("n")
    expect(page.locator("[data-criterion=network]")).to_contain_text("You say that it is not met.")
    rated(page, "again")
    page.keyboard.press("y")
    expect(page.locator("[data-criterion=network]")).to_contain_text("Met.")
    rated(page, "good")
    page.keyboard.press("r")
    rated(page, "easy")
    page.keyboard.press("Enter")
    expect(page.locator("#last")).to_contain_text("Counted as easy")
    ready_to_type(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Grade it")).to_be_focused()
    page.keyboard.press("u")
    expect(graded(page).locator("[data-criterion=rest]")).to_contain_text(DECIDED)
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Design an oven")
    ready_to_type(page)
    page.keyboard.type("Closes the vent, adds water, keeps and opens it.")
    page.keyboard.press("Control+Enter")
    graded(page)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("That is all for today.")
    expect(page.locator("main")).to_contain_text("2 answers in")
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("u")
    expect(graded(page).get_by_role("heading", level=1)).to_contain_text("Design an oven")


def test_a_long_grade_shows_that_it_works_and_is_stopped_by_keyboard(
    own_visit: Visit, drilled: tuple[str, Any, StandInGrader]
) -> None:
    page = own_visit.go(PAGE)
    ready_to_type(page)
    page.keyboard.type("slow proteins")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#work")).to_contain_text("Grading against 4 criteria.")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    page.wait_for_timeout(1200)  # news came meanwhile, and the page was changed beneath
    expect(stop).to_be_focused()
    page.reload()
    expect(page.locator("#work")).to_contain_text("Grading against 4 criteria.")
    page.locator("html[data-ready]").wait_for(state="attached")
    stop.focus()
    page.keyboard.press("Enter")
    expect(graded(page).locator(".graded-said")).to_contain_text("4 wait for you")
    for _ in range(4):
        page.keyboard.press("y")
    expect(page.locator(".judged-yes")).to_have_count(4)
    drilled[2].go.set()
    page.wait_for_timeout(300)
    expect(page.locator(".judged-yes")).to_have_count(4)


def test_quick_fingers_lose_no_decision(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    ready_to_type(page)
    page.keyboard.type("nothing of it")
    page.keyboard.press("Control+Enter")
    graded(page)
    for key in ("1", "y", "2", "y", "3", "y", "4", "y"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.locator("#last")).to_contain_text("Counted as easy")


def test_an_answer_that_counts_at_once_is_sent_though_its_decisions_are_on_their_way(
    own_visit: Visit,
) -> None:
    page, held = own_visit.go(PAGE), list[Route]()
    ready_to_type(page)
    page.keyboard.type("Proteins; it holds gas, maybe.")
    page.keyboard.press("Control+Enter")
    expect(graded(page).locator("[data-criterion=rest]")).to_be_focused()
    page.route("**/decide", lambda route: held.append(route))
    with page.expect_request("**/decide"):
        page.keyboard.press("y")
    page.route("**/token", lambda route: held.append(route))
    with page.expect_request("**/token"):
        page.keyboard.press("Enter")
    with page.expect_response("**/decide"):
        held[0].continue_()
    page.wait_for_timeout(300)  # what it says would come into the page
    held[1].continue_()
    expect(page.locator("#last")).to_contain_text("Counted as")


def test_a_page_that_is_older_than_the_last_words_shows_them(own_visit: Visit) -> None:
    """It was made while they were on their way."""
    page = own_visit.go(PAGE)
    ready_to_type(page)
    with kept(page, "Proteins"):
        page.keyboard.type("Proteins")
    old = page.context.request.get(page.url).text()
    with kept(page, "Proteins link up"):
        page.keyboard.type(" link up")
    page.route(f"**{PAGE}", lambda route: route.fulfill(body=old, content_type="text/html"))
    page.reload()
    page.locator("html[data-ready]").wait_for(state="attached")
    expect(page.locator("#answer")).to_have_value("Proteins link up")
    page.unroute(f"**{PAGE}")
    with kept(page, "Proteins link up."):
        page.keyboard.type(".")
    page.reload()
    expect(page.locator("#answer")).to_have_value("Proteins link up.")
    expect(page.get_by_role("button", name="Bring back the text before")).to_have_count(0)


def test_put_aside_and_back(own_visit: Visit) -> None:
    page = own_visit.go(PAGE)
    page.locator("#answer").fill("half a thought")
    page.get_by_role("button", name="Later").click()
    expect(page.locator("#last")).to_contain_text("It comes at the end.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Design an oven")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#answer")).to_have_value("half a thought")
    page.locator("html[data-ready]").wait_for(state="attached")
    page.get_by_role("button", name="Lay aside").click()
    expect(page.locator("#last")).to_contain_text("It is not asked any more.")
    page.goto(own_visit.address + "/drill")
    page.get_by_role("button", name="Ask it again").click()
    expect(page.locator("main")).to_contain_text("2 new questions")


def test_two_windows_lose_neither_text(context: BrowserContext, own: str) -> None:
    one = Visit(context.new_page(), own).go(PAGE)
    other = Visit(context.new_page(), own).go(PAGE)
    for page, words in ((one, "typed in one"), (other, "typed in the other")):
        with kept(page, words):
            page.locator("#answer").press_sequentially(words)
    page = Visit(context.new_page(), own).go(PAGE)
    expect(page.locator("#answer")).to_have_value("typed in the other")
    with page.expect_navigation():
        page.get_by_role("button", name="Bring back the text before").click()
    expect(page.locator("#answer")).to_have_value("typed in one")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    served.environment["HANDBOOK_GRADER"] = "none"
    served.start()
    yield served
    served.kill()


def end(folder: Path) -> None:
    """Kill the browser that keeps its profile there, without a warning."""
    mine = [each for each in psutil.process_iter() if str(folder) in " ".join(_command(each))]
    assert mine, "no browser runs"
    for each in mine:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(mine, 5)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_closed_laptop_loses_nothing_that_was_typed(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    """Server and browser are killed in the middle of a sentence; a moment of typing at most is gone."""
    profile, kind = tmp_path / "profile", browser.browser_type
    # The same program as the fixture's, which Playwright does not tell.
    program = psutil.Process(_server_of(browser)).exe()
    options: Any = {"executable_path": program, "args": list(FLAGS)}
    context = kind.launch_persistent_context(str(profile), **options)
    page = Visit(context.new_page(), served.address).go(PAGE)
    page.locator("#answer").click()
    told: list[str] = []  # drafts that the server has answered
    page.on(
        "requestfinished",
        lambda sent: told.append(sent.post_data or "") if sent.url.endswith("/draft") else None,
    )
    begin = time.monotonic()
    while time.monotonic() - begin < 6 or len(told) < 2:  # without a pause
        page.keyboard.type("gluten ")
    newest = parse_qs(told[-1])["answer"][0]
    served.kill()
    end(profile)
    served.start()
    context = kind.launch_persistent_context(str(profile), **options)
    page = Visit(context.new_page(), served.address).go(PAGE)
    assert newest
    assert page.locator("#answer").input_value().startswith(newest)
    context.close()


def _server_of(browser: Browser) -> int:
    """A process of the fixture's browser."""
    for process in psutil.Process().children(recursive=True):
        command = _command(process)
        if command and "--remote-debugging-pipe" in command and "--type=" not in " ".join(command):
            return process.pid
    raise AssertionError("no browser runs")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_typing_and_deciding_go_on_over_a_restart(context: BrowserContext, served: Served) -> None:
    page = Visit(context.new_page(), served.address).go(PAGE)
    with page.expect_response("**/draft"):
        page.locator("#answer").press_sequentially("The proteins of the dough link up")
    served.kill()
    page.locator("#answer").press_sequentially(", and so it holds gas.")
    expect(page.locator("#draft-said")).to_contain_text("What you type is kept in this browser.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#draft-said")).to_contain_text("kept in this browser")
    served.start()
    page.keyboard.press("Control+Enter")
    expect(graded(page).locator(".own-answer")).to_have_text(WHOLE)
    for key in ("1", "y", "2", "n"):
        page.keyboard.press(key)
    expect(page.locator("[data-criterion=gas]")).to_contain_text("You say that it is not met.")
    served.kill()
    served.start()
    page.reload()  # the grade is gone with the server
    expect(page.locator("#work")).to_contain_text("The handbook was started anew while that was graded.")
    expect(page.locator("#answer")).to_have_value(WHOLE)
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    expect(graded(page).locator("[data-criterion=network]")).to_contain_text(DECIDED)
    expect(page.locator("[data-criterion=gas]")).to_contain_text("You say that it is not met.")
    served.kill()
    served.start()
    for key in ("3", "y", "4", "y"):  # with a grade that the server does not know
        page.keyboard.press(key)
    expect(page.locator("[data-criterion=rest]")).to_contain_text(DECIDED)
    expect(page.locator(".judged-yes")).to_have_count(3)
    page.keyboard.press("Enter")
    expect(page.locator("#last")).to_contain_text("Counted as")


def test_without_scripts(browser: Browser, own: str, drilled: tuple[str, Any, StandInGrader]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{own}/drill")
    page.get_by_role("link", name="Start").click()
    page.fill("#answer", "slow: it holds gas")
    page.get_by_role("button", name="Grade it").click()
    expect(page.locator("#work")).to_contain_text("Grading against 4 criteria.")
    drilled[2].go.set()
    expect(page.locator(".graded-said")).to_contain_text("1 of 4 criteria met")  # it asks again by itself
    page.locator("[data-criterion=network]").get_by_label("met", exact=True).check()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#last")).to_contain_text("Counted as hard")
    page.get_by_role("button", name="I don").click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#last")).to_contain_text("Counted as again")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#graded-form")).to_be_visible()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_overflows(browser: Browser, own: str, theme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    context = browser.new_context(bypass_csp=True, color_scheme="dark" if theme == "dark" else "light")
    page = Visit(context.new_page(), own).go(PAGE)

    def look() -> None:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == []
        for width in (320, 390, 800, 1000, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width

    look()
    ready_to_type(page)
    page.keyboard.type(f"It warms, maybe. {GOOD} {'unbroken' * 40}")
    page.keyboard.press("Control+Enter")
    graded(page)
    look()
    page.keyboard.press("y")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#last")).to_be_visible()
    look()
    page.goto(f"{own}/drill")
    look()
    context.close()


def test_a_page_of_the_drill_weighs_less_than_400_kilobytes(context: BrowserContext, real: str) -> None:
    visit = Visit(context.new_page(), real)
    session = context.new_cdp_session(visit.page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    visit.go("/drill/order-without-positions")
    visit.page.wait_for_load_state("networkidle")
    assert 50_000 < sum(sizes) < 400_000
