"""Documents of one's own in a browser: a folder added and followed, asked, its citation opened, voted on, and
deleted; and the same without scripts."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from browser.conftest import Visit, check, says_later
from browser.test_look import AXE, RUN_AXE, open_everything

TEA = "# Tea\n\n## Green\n\nGreen tea wants water of seventy degrees. It steeps for two minutes.\n"
ASKED = "Which water does green tea want, and of how many degrees?"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "My notes"
    folder.mkdir()
    (folder / "tea.md").write_text(TEA)
    (folder / "torn.pdf").write_bytes(b"%PDF-1.4\nno more of it")
    return folder


def test_a_folder_is_added_asked_opened_and_deleted(context: BrowserContext, own: str, notes: Path) -> None:
    visit = Visit(context.new_page(), own)
    page = visit.go("/corpora")
    page.get_by_label("A folder or file on this machine").fill(str(notes))
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My notes")
    expect(page.locator(".ingestion-state")).to_contain_text("Done", timeout=60_000)
    expect(page.locator("#corpus-now .document-list").first).to_contain_text("Not read.")
    expect(page.locator("#corpus-now .document-list").first).to_contain_text("tea.md")

    page.get_by_role("textbox", name="Ask").fill(ASKED)
    page.keyboard.press("Enter")
    cite = page.locator(".answer a.cite-link").first
    expect(cite).to_have_attribute("href", re.compile("^/corpora/my-notes/passage/"))
    hood = page.get_by_role("complementary", name="Under the hood")
    step = hood.locator("summary", has_text="Retrieve")
    step.focus()
    page.keyboard.press("Enter")
    expect(hood.get_by_role("link", name="Its code").first).to_be_visible()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        open_everything(visit)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#feedback")).to_contain_text("Noted: it answered this.")
    with page.expect_request(lambda request: "/signals?" in request.url):
        cite.click()
    expect(page.locator("mark#passage")).to_contain_text("Green tea wants water of seventy degrees.")

    page.get_by_role("navigation", name="Rooms").get_by_role("link", name="Corpora").click()
    page.get_by_role("link", name="My notes", exact=True).click()
    says_later(page, page.locator("#signals"), "Opened most")
    page.get_by_label("To delete the corpus").fill("my-notes")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The corpus was deleted.")).to_be_visible()
    assert (notes / "tea.md").is_file()
    check(visit)


def test_it_all_works_without_scripts_and_for_everybody(browser: Browser, own: str, notes: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(40_000)
    page = context.new_page()
    page.goto(f"{own}/corpora")
    page.get_by_label("Or files").set_input_files([notes / "tea.md", notes / "torn.pdf"])
    page.get_by_label("Title").fill("My notes")
    page.get_by_role("button", name="Add").click()
    for _ in range(600):
        if page.locator(".ingestion-state[data-state=done]").count():
            break
        page.wait_for_timeout(100)
        page.reload()
    page.get_by_role("textbox", name="Ask").fill(ASKED)
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#feedback")).to_contain_text("Noted: it did not answer this.")
    asked = page.url
    page.locator(".answer a.cite-link").first.click()
    expect(page).to_have_url(re.compile("/corpora/my-notes/passage/"))
    passage = page.url
    page.goto(f"{own}/corpora/my-notes")
    expect(page.locator("#signals")).to_contain_text(re.compile("Did not\\s*1"))
    says_later(page, page.locator("#signals"), r"Citations opened\s*1")
    context.close()
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    for theme in ("light", "dark"):
        looking = browser.new_context(bypass_csp=True, color_scheme=theme)
        visit = Visit(looking.new_page(), own)
        for path in (asked, passage, f"{own}/corpora", f"{own}/corpora/my-notes"):
            visit.go(path.removeprefix(own))
            open_everything(visit)
            visit.page.evaluate(AXE.read_text(encoding="utf-8"))
            assert visit.page.evaluate(RUN_AXE) == [], path
            visit.page.set_viewport_size({"width": 390, "height": 844})
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390, path
        looking.close()
