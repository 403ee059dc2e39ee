"""How it looks and whom it serves: colours, narrow windows, no scripts, assistive technology."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import handbook.app
from browser.conftest import Visit, check

BREAD = "/book/basics/bread"
CHAPTER = "/book/architectures/transformer-deep-dive"
ROOMS = (
    "/",
    "/plan",
    "/diagnostic",
    "/export",
    "/book",
    BREAD,
    "/book/basics/tea",
    f"{BREAD}/questions",
    "/exercises",
    "/exercise/adding",
    "/exercise/adding/attempts",
    "/drill",
    "/drill?only=tea",
    "/drill/why-knead",
    "/ask",
    "/ask?q=Why+does+kneading+build+gluten,+a+network+of+proteins+that+holds+gas?",
    "/ask?q=Who+won+the+cup+in+1974",
    "/corpora",
    "/engine",
    "/engine/live?scenario=prefix&step=40",
    "/engine/live?scenario=pressure&step=120&set=1&page=4&swap=1&chunked=1&share=1&memory=512",
    "/engine/live?own=1",
    "/code",
    "/code/handbook.records",
    "/references",
    "/zoo",
    "/zoo?view=memory&sort=-cache",
    "/zoo?compare=llama-2-7b,phi-2,deepseek-v3",
    "/zoo/deepseek-v3",
    "/search?q=dough",
    "/training",
    "/progress",
    "/about?doctor=1",
    "/no-such-page",
)
REAL = ("/book", CHAPTER, f"{CHAPTER}/questions", "/references", "/code/handbook.model.attention")
AXE = Path(handbook.app.__file__).parent / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`);
}"""


def open_everything(visit: Visit) -> None:
    """Disclosures and notes open, so that nothing hides from the look."""
    visit.page.evaluate(
        """() => {
          for (const each of document.querySelectorAll("details")) each.open = true;
          for (const each of document.querySelectorAll(".claim-note")) each.classList.add("open");
        }"""
    )


def faults(browser: Browser, address: str, path: str, theme: str) -> list[str]:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        bypass_csp=True,
    )
    try:
        visit = Visit(context.new_page(), address)
        visit.go(path)
        open_everything(visit)
        visit.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = visit.page.evaluate(RUN_AXE)
    finally:
        context.close()
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ROOMS)
def test_axe_finds_nothing_serious(browser: Browser, small: str, path: str, theme: str) -> None:
    assert faults(browser, small, path, theme) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", REAL)
def test_axe_finds_nothing_serious_in_the_real_book(
    browser: Browser, real: str, path: str, theme: str
) -> None:
    assert faults(browser, real, path, theme) == []


@pytest.mark.parametrize("path", ROOMS)
def test_nothing_overflows_a_phone(visit: Visit, path: str) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.go(path)
    open_everything(visit)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.complaints = [each for each in visit.complaints if "404" not in each]


@pytest.mark.parametrize("path", REAL)
def test_nothing_of_the_real_book_overflows_or_complains(real_visit: Visit, path: str) -> None:
    for width in (390, 1280):
        real_visit.page.set_viewport_size({"width": width, "height": 844})
        real_visit.go(path)
        assert real_visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert real_visit.page.locator(".math-fault").count() == 0


@pytest.mark.parametrize("module", ["handbook.model.attention", "handbook.lab.transformer.attention"])
def test_a_module_name_breaks_after_its_dots(real_visit: Visit, module: str) -> None:
    real_visit.page.set_viewport_size({"width": 390, "height": 844})
    page = real_visit.go(f"/code/{module}")
    lines = page.evaluate(
        """() => {
          const walk = document.createTreeWalker(document.querySelector("h1"), NodeFilter.SHOW_TEXT);
          const range = document.createRange(), lines = {};
          while (walk.nextNode()) for (let i = 0; i < walk.currentNode.length; i += 1) {
            range.setStart(walk.currentNode, i); range.setEnd(walk.currentNode, i + 1);
            const at = Math.round(range.getBoundingClientRect().bottom / 8);
            lines[at] = (lines[at] ?? "") + walk.currentNode.data[i];
          }
          return Object.entries(lines).sort((a, b) => a[0] - b[0]).map((line) => line[1]);
        }"""
    )
    assert "".join(lines) == module
    assert len(lines) > 1
    assert all(line.endswith(".") for line in lines[:-1]), lines


def test_the_reading_column_holds_62_to_72_characters(real_visit: Visit) -> None:
    page = real_visit.go(CHAPTER)
    page.evaluate("document.fonts.ready.then(() => true)")
    lengths = page.evaluate(
        """() => [...document.querySelectorAll("article p[id]")].flatMap((p) => {
          if (p.querySelector(".math") || p.textContent.length < 300 || p.closest(".box, .note")) return [];
          const range = document.createRange(), lines = new Map();
          const walk = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) for (let i = 0; i < walk.currentNode.length; i += 1) {
            range.setStart(walk.currentNode, i); range.setEnd(walk.currentNode, i + 1);
            const box = range.getClientRects()[0];
            if (box) lines.set(Math.round(box.bottom / 8), (lines.get(Math.round(box.bottom / 8)) ?? 0) + 1);
          }
          return [...lines.values()].slice(0, -1);
        })"""
    )
    lengths.sort()
    assert len(lengths) > 20
    assert 62 <= lengths[len(lengths) // 2] <= 72
    size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('article p[id]')).fontSize)")
    assert 17 <= size <= 19


def test_contents_fold_into_a_disclosure_on_a_phone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go(BREAD)
    contents = page.locator("#contents")
    expect(contents).to_be_hidden()
    page.get_by_role("button", name="Contents").click()
    expect(contents).to_be_visible()
    contents.get_by_role("link", name="Resting").click()
    expect(page).to_have_url(re.compile("#resting"))
    expect(contents).to_be_hidden()


def test_notes_fold_under_their_line_on_a_phone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go(BREAD)
    expect(page.locator(".math:not([data-set])")).to_have_count(0)  # what stands below moves until then
    note = page.locator("#note-claim-kneading-time")
    expect(note).to_be_hidden()
    page.locator("a.claim[data-claim=kneading-time]").click()
    expect(note).to_be_visible()
    paragraph = page.locator("#gluten").bounding_box()
    assert note.bounding_box()["y"] >= paragraph["y"] + paragraph["height"] - 1
    assert note.bounding_box()["width"] <= 390


def test_dark_follows_the_system_and_a_choice_lasts(browser: Browser, small: str) -> None:
    context = browser.new_context(color_scheme="dark")
    visit = Visit(context.new_page(), small)
    page = visit.go("/")

    def paper() -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    assert paper() == "rgb(23, 24, 27)"
    page.get_by_role("button", name="Use light colours").click()
    assert paper() == "rgb(251, 250, 246)"
    page.reload()
    assert paper() == "rgb(251, 250, 246)"
    expect(page.get_by_role("button", name="Use dark colours")).to_be_visible()
    check(visit)
    context.close()


@pytest.mark.parametrize("path", [path for path in ROOMS if path != "/no-such-page"])
def test_no_room_leaves_the_origin_or_breaks_its_policy(visit: Visit, path: str) -> None:
    page = visit.go(path)
    page.wait_for_load_state("networkidle")


def test_everything_works_without_scripts(browser: Browser, own: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(own + BREAD)
    page.locator("a.claim[data-claim=water-share]").click()
    expect(page.locator("#note-claim-water-share")).to_be_visible()
    page.get_by_role("button", name="Mark the chapter read").click()
    expect(page.locator("#reading-marks")).to_contain_text("3 of 3 sections read")
    page.get_by_role("button", name="Mark it unread").click()
    expect(page.locator("#reading-marks")).to_contain_text("0 of 3 sections read")
    page.goto(own + "/exercise/adding")
    page.fill("#code", "def add(a, b):\n    return a + b\n")
    page.get_by_role("button", name="Run all tests").click()
    expect(page.locator("#verdicts")).to_contain_text("2 of 2 tests passed")
    page.goto(own + "/engine")
    page.fill("#chat-message", "Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn-assistant")).to_contain_text("cheese")
    context.close()


def test_little_moves_while_a_chapter_loads(real_visit: Visit) -> None:
    """Cumulative layout shift of the visible page; below 0.1 counts as good (web.dev/cls)."""
    page = real_visit.page
    page.add_init_script(
        """window.shift = 0;
        new PerformanceObserver((list) => {
          for (const each of list.getEntries()) window.shift += each.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    real_visit.go(CHAPTER)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.1


def test_a_chapter_weighs_less_than_400_kilobytes(real_visit: Visit) -> None:
    """Bytes over the wire for page, styles, scripts and fonts, with an empty cache, without the lab."""
    session = real_visit.page.context.new_cdp_session(real_visit.page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    real_visit.go(CHAPTER)
    real_visit.page.wait_for_load_state("networkidle")
    assert len(sizes) > 8
    assert 50_000 < sum(sizes) < 400_000


def test_skip_link_and_focus_are_visible(visit: Visit) -> None:
    page = visit.go("/book")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the text")
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width == "2px"
