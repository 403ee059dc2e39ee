"""Out and in by the keyboard alone: a download, the same file elsewhere, and taking it back."""

from pathlib import Path

from playwright.sync_api import Page, expect

from browser.conftest import Visit

CSV = "question,at,rating\nbake-design,2026-01-05T10:00:00Z,good\nnone-such,2026-01-05T10:00:00Z,good\n"


def focus(page: Page, selector: str) -> None:
    """By Tab, as somebody without a mouse comes there."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} can't be reached by Tab")


def test_import_and_undo_by_keyboard(own_visit: Visit, tmp_path: Path) -> None:
    page = own_visit.go("/export")
    focus(page, "a[href='/export/deck.apkg']")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".apkg")
    file = tmp_path / "mine.csv"
    file.write_text(CSV)
    focus(page, "#exchange-file")
    page.set_input_files("#exchange-file", file)
    focus(page, "form[action='/export/import'] button")
    page.keyboard.press("Enter")
    expect(page.locator(".said-done")).to_contain_text("Taken in.")
    expect(page.get_by_text("1 answer", exact=True)).to_be_visible()
    expect(page.get_by_text("Reviews of questions that this book does not have: 1")).to_be_visible()
    focus(page, "form[action$='/undo'] button")
    page.keyboard.press("Enter")
    expect(page.locator(".said-done")).to_contain_text("Taken back.")
    own_visit.go("/export")
    expect(page.get_by_role("link", name="mine.csv")).to_be_visible()
