"""Onboarding, the diagnostic, the plan, today and progress in a real browser: by mouse, by keyboard alone,
without scripts, and with everything killed in the middle of a sentence."""

import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from app.grader_stand_in import StandInGrader, opened
from app.small_book import write
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from browser.conftest import FLAGS, Visit, kept, serving
from browser.test_drill_flow import _server_of, end
from browser.test_exercise_flow import Served
from browser.test_look import AXE, RUN_AXE
from handbook.settings import Settings

PROMPT = "Why is dough kneaded?"
SECOND = "Design an oven"
SENTENCE = "Kneading links proteins, so the dough keeps its gas for hours."
GOOD = "Proteins link up; it holds gas and takes long."  # three of four criteria


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, StandInGrader]]:
    """An app for all tests of this file: its address, its shelf, its grader."""
    folder, graders = tmp_path_factory.mktemp("planned"), StandInGrader()
    settings = Settings(data=folder / "data", book=write(folder / "book"))
    app = opened(settings, graders, ["x"])
    for address in serving(app):
        yield address, app.state.shelf, graders


@pytest.fixture
def own(planned: tuple[str, Any, StandInGrader]) -> Iterator[str]:
    """Its address; nothing was planned or answered there yet."""
    planned[1].database.delete_all()
    planned[2].go.clear()
    yield planned[0]
    planned[2].go.set()


def day(number: int) -> dt.date:
    return dt.date.today() + dt.timedelta(days=number)


def ready(page: Page) -> Page:
    page.locator("html[data-ready]").wait_for(state="attached")
    return page


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)
    ready(page)
    if words in (PROMPT, SECOND):
        expect(page.locator("#answer")).to_be_focused()  # keys before that are lost


def test_from_nothing_to_a_plan_to_today_by_mouse(own_visit: Visit) -> None:
    page = own_visit.go("/")
    page.get_by_role("link", name="a plan", exact=True).click()
    heading(page, "Plan")
    page.get_by_label("Date of the interview").fill(day(30).isoformat())
    page.get_by_label("Hours a week").fill("5")
    page.get_by_label(f"{day(3):%A}").uncheck()  # today has time
    page.locator("#plan-level").select_option("senior")
    page.locator("#plan-role").select_option("platform")
    page.get_by_label("Breakfast").check()
    page.get_by_role("button", name="Make the plan").click()
    expect(page.locator(".said-done")).to_have_text("Your plan stands.")
    expect(page.locator("main")).to_contain_text("30 days to the interview")
    page.locator(".plan-holds summary").first.click()
    expect(page.locator(".plan-holds").first).to_contain_text("Bread: Kneading")
    page.get_by_role("link", name="or start today").click()
    heading(page, "Today")
    rows = page.locator(".session > li")
    page.get_by_role("button", name="mark done").last.click()
    expect(page.locator(".session-done")).to_have_count(1)
    page.get_by_role("button", name="done, undo").click()
    expect(page.get_by_role("button", name="mark done").last).to_be_visible()
    expect(page.locator(".session-done")).to_have_count(0)
    expect(rows.nth(1)).to_be_visible()
    page.get_by_role("link", name="Start", exact=True).click()
    expect(page).to_have_url(f"{own_visit.address}/book/basics/bread#kneading")


def test_all_of_it_by_keyboard(own_visit: Visit, planned: tuple[str, Any, StandInGrader]) -> None:
    page = own_visit.go("/")
    page.keyboard.press("p")
    heading(page, "Plan")
    page.locator("#plan-date").focus()
    page.keyboard.type(f"{day(20):%m%d%Y}")
    page.locator("#plan-hours").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator(".said-done")).to_have_text("Your plan stands.")
    assert planned[1].study.plan().date == day(20)
    ready(page)
    page.keyboard.press("Enter")  # take the diagnostic
    heading(page, "Diagnostic")
    expect(page.get_by_role("button", name="Begin")).to_be_focused()
    page.keyboard.press("Enter")
    heading(page, PROMPT)
    expect(page.locator("#answer")).to_be_focused()
    page.keyboard.press("Control+Enter")  # nothing was typed: it is said here, and nothing is sent
    expect(page.locator("#draft-said")).to_contain_text("There is no answer yet")
    expect(page.locator("#answer")).to_be_focused()
    page.keyboard.type(f"{GOOD} pu1")
    page.keyboard.press("Control+Enter")
    heading(page, SECOND)
    expect(page.locator(".diagnostic-last")).to_contain_text("3 of 4 criteria met.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Next")).to_be_focused()
    page.keyboard.press("u")
    heading(page, PROMPT)
    expect(page.locator("#answer")).to_have_value(f"{GOOD} pu1")
    page.keyboard.press("Control+Enter")
    heading(page, SECOND)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="I don")).to_be_focused()
    page.keyboard.press("Enter")
    heading(page, "That was the last question")
    page.keyboard.press("Enter")
    heading(page, "What the diagnostic found")
    expect(page.locator("main")).to_contain_text("2 questions answered")
    page.keyboard.press("Enter")
    heading(page, "Today")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(f"{own_visit.address}/")


def test_a_grade_is_corrected_where_it_is_shown(own_visit: Visit) -> None:
    page = own_visit.go("/diagnostic")
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    assert "network" not in page.content()
    page.locator("#answer").fill("It holds gas.")
    page.get_by_role("button", name="Next").click()
    heading(page, SECOND)
    page.locator("#answer").fill("typed meanwhile")
    page.get_by_text("What was found in it").click()
    network = page.locator("[data-criterion=network]")
    expect(network).to_contain_text("Not met.")
    network.get_by_label("met", exact=True).check()
    page.get_by_role("button", name="Take my corrections").click()
    expect(page.locator(".diagnostic-last")).to_contain_text("2 of 4 criteria met.")
    expect(page.locator("#answer")).to_have_value("typed meanwhile")
    page.goto(own_visit.address + "/progress")
    expect(page.locator("main")).to_contain_text("It said not met, you said met.")


def test_a_long_grade_shows_that_it_works_and_a_stopped_one_is_rated_by_a_key(
    own_visit: Visit, planned: tuple[str, Any, StandInGrader]
) -> None:
    page = own_visit.go("/diagnostic")
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    page.keyboard.type("slow proteins")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#grading-words")).to_have_text("Grading against 4 criteria.")
    ready(page)
    page.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("A model answer")
    ready(page)
    page.keyboard.press("3")
    heading(page, SECOND)
    expect(page.locator(".diagnostic-last")).to_contain_text("You rated it “good”.")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    heading(page, PROMPT)
    expect(page.locator("#answer")).to_have_value("slow proteins")
    planned[2].go.set()
    page.keyboard.press("Control+Enter")
    heading(page, SECOND)  # it goes on by itself


def test_a_page_is_ready_when_the_scripts_of_its_room_are(own_visit: Visit) -> None:
    """They are a file of their own, which may come late: a key pressed before that would be lost."""
    page, held = own_visit.page, list[Route]()
    page.route("**/plan-*.js", lambda route: held.append(route))
    with page.expect_request("**/plan-*.js"):
        page.goto(own_visit.address + "/plan", wait_until="commit")
    expect(page.get_by_role("button", name="Use dark colours")).to_be_visible()  # app.js has run
    expect(page.locator("html[data-ready]")).to_have_count(0)
    held[0].continue_()
    ready(page)


def test_paused_and_resumed_the_time_stands_still(own_visit: Visit) -> None:
    page = own_visit.go("/diagnostic")
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    page.keyboard.type("half a thought")
    page.wait_for_timeout(2200)
    page.get_by_role("button", name="Pause").click()
    heading(page, "Today")
    page.get_by_role("link", name="Go on with it").click()
    heading(page, PROMPT)
    expect(page.locator("#answer")).to_have_value("half a thought")
    assert 1 <= int(page.locator("[name=seconds]").input_value()) < 30
    expect(page.locator("#time-left")).to_have_text("About 20 of 20 minutes are left.")
    page.get_by_role("button", name="Leave it out").click()
    expect(page.locator(".diagnostic-last")).to_contain_text("Left out: it says nothing.")
    page.get_by_role("button", name="End it here").click()
    heading(page, "What the diagnostic found")
    page.get_by_role("link", name="Make the plan").click()
    heading(page, "Plan")


def test_the_plan_is_moved_spread_taken_back_and_carried_away(own_visit: Visit, tmp_path: Path) -> None:
    page = own_visit.go("/plan")
    page.get_by_role("button", name="Make the plan").click()
    expect(page.locator("main")).to_contain_text("No interview date yet.")
    page.get_by_label("The interview moves to").fill(day(12).isoformat())
    page.get_by_role("button", name="Move it").click()
    expect(page.locator("main")).to_contain_text("12 days to the interview")
    expect(page.locator(".plan-interview")).to_have_count(1)
    page.get_by_label("No time from").fill(day(1).isoformat())
    page.get_by_label("to", exact=True).fill(day(3).isoformat())
    page.get_by_role("button", name="Spread it").click()
    expect(page.locator(".plan-notes")).to_contain_text("days with time are left")
    expect(page.locator("td.plan-away")).to_have_count(3)
    with page.expect_download() as carried:
        page.get_by_role("link", name="Export plan").click()
    file = tmp_path / "plan.json"
    carried.value.save_as(file)
    assert json.loads(file.read_text())["plan"]["date"] == day(12).isoformat()
    said = page.locator("main").inner_text()
    assert all(said.count(line) == 1 for line in page.locator(".plan-notes li").all_inner_texts())
    ready(page)
    page.keyboard.press("u")  # takes the last change back
    expect(page.locator("td.plan-away")).to_have_count(0)
    expect(page.locator("#history + ul")).to_contain_text("taken back")
    page.locator("#plan-file").set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("td.plan-away")).to_have_count(3)
    page.get_by_text("Hours, days, level, role, path").click()
    page.get_by_label("Hours a week").fill("0")
    page.get_by_role("button", name="Change the plan").click()
    expect(page.locator("main")).to_contain_text("The plan has no time in it")


def test_two_windows_lose_neither_text(context: BrowserContext, own: str) -> None:
    one = Visit(context.new_page(), own).go("/diagnostic")
    one.get_by_role("button", name="Begin").click()
    heading(one, PROMPT)
    other = Visit(context.new_page(), own).go("/diagnostic")
    for page, words in ((one, "typed in one"), (other, "typed in the other")):
        with kept(page, words):
            page.locator("#answer").press_sequentially(words)
    page = Visit(context.new_page(), own).go("/diagnostic")
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


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_closed_laptop_loses_nothing_that_was_typed(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    """Server and browser are killed in the middle of a sentence; a second of typing at most is gone."""
    profile, kind = tmp_path / "profile", browser.browser_type
    options: Any = {"executable_path": psutil.Process(_server_of(browser)).exe(), "args": list(FLAGS)}
    context = kind.launch_persistent_context(str(profile), **options)
    page = Visit(context.new_page(), served.address).go("/diagnostic")
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    kept: list[str] = []  # drafts that the server has answered
    page.on(
        "requestfinished",
        lambda sent: kept.append(sent.post_data or "") if sent.url.endswith("/draft") else None,
    )
    begin, typed = time.monotonic(), ""
    while time.monotonic() - begin < 2.5:  # without a pause
        page.locator("#answer").press_sequentially("gluten ")
        typed += "gluten "
    until = typed
    for _ in range(400):  # about a second; longer on a machine that does much else
        if any(each.count("gluten") == until.count("gluten") for each in kept):
            break
        page.wait_for_timeout(50)
    page.locator("#answer").press_sequentially("and more")
    served.kill()
    end(profile)
    served.start()
    context = kind.launch_persistent_context(str(profile), **options)
    page = Visit(context.new_page(), served.address).go("/")
    page.get_by_role("link", name="Go on with it").click()
    heading(page, PROMPT)
    assert page.locator("#answer").input_value().startswith(until)
    context.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_an_answer_is_sent_once_the_handbook_is_there_again(context: BrowserContext, served: Served) -> None:
    page = Visit(context.new_page(), served.address).go("/diagnostic")
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    with page.expect_response("**/draft"):
        page.locator("#answer").press_sequentially("Kneading links proteins, so the dough")
    served.kill()
    page.locator("#answer").press_sequentially(" keeps its gas for hours.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#draft-said")).to_contain_text("What you type is kept in this browser.")
    expect(page.locator("#answer")).to_have_value(SENTENCE)
    served.start()
    page.reload()
    ready(page)
    expect(page.locator("#answer")).to_have_value(SENTENCE)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".own-answer")).to_have_text(SENTENCE)
    served.kill()
    served.start()
    page.reload()  # the grading is gone with the server; the answer is a draft
    ready(page)
    expect(page.locator("#answer")).to_have_value(SENTENCE)


def test_without_scripts(browser: Browser, own: str, planned: tuple[str, Any, StandInGrader]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{own}/plan")
    page.get_by_role("button", name="Make the plan").click()
    page.get_by_role("link", name="Take the diagnostic").click()
    page.get_by_role("button", name="Begin").click()
    page.fill("#answer", "slow: it holds gas")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("main")).to_contain_text("Your answer is being graded.")
    planned[2].go.set()
    expect(page.get_by_role("heading", level=1)).to_contain_text(SECOND)  # it asks again by itself
    page.get_by_role("button", name="I don").click()
    page.get_by_role("button", name="See what it says").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("What the diagnostic found")
    page.get_by_role("link", name="s session").click()
    page.get_by_role("button", name="mark done").first.click()
    expect(page.locator(".session-done").first).to_be_visible()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_overflows(
    browser: Browser, own: str, theme: str, planned: tuple[str, Any, StandInGrader]
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    context = browser.new_context(bypass_csp=True, color_scheme="dark" if theme == "dark" else "light")
    visit = Visit(context.new_page(), own)
    page = visit.page

    def look() -> None:
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == [], page.url
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)

    visit.go("/plan")
    look()
    planned[1].study.start(date=day(25), hours=3.0, level="senior", role="lead")
    visit.go("/diagnostic")
    look()
    page.get_by_role("button", name="Begin").click()
    heading(page, PROMPT)
    page.keyboard.type(f"It warms, maybe. {GOOD} {'endless' * 40}")
    page.keyboard.press("Control+Enter")
    heading(page, SECOND)
    look()
    page.locator("#answer").fill("broken, closes the vent")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#rate-form")).to_be_visible()
    look()
    page.get_by_role("button", name="Parts of it").click()
    heading(page, "That was the last question")
    page.get_by_role("button", name="See what it says").click()
    heading(page, "What the diagnostic found")
    look()
    for path in ("/", "/plan", "/progress"):
        visit.go(path)
        look()
    context.close()


@pytest.mark.parametrize("path", ["/plan", "/progress", "/diagnostic"])
def test_a_page_weighs_less_than_400_kilobytes(context: BrowserContext, real: str, path: str) -> None:
    visit = Visit(context.new_page(), real)
    session = context.new_cdp_session(visit.page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    visit.go(path)
    visit.page.wait_for_load_state("networkidle")
    assert 50_000 < sum(sizes) < 400_000
