"""The page of training runs while one goes on: it grows by itself, keeps the reader's place, and is quiet."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from app.small_book import WordEmbedder, write
from playwright.sync_api import BrowserContext, expect

from browser.conftest import Visit, check, serving
from browser.test_look import AXE, RUN_AXE
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.settings import Settings


class Run:
    """A training run, as its files look from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.step = folder, 0
        folder.mkdir(parents=True)
        self.state("running")

    def state(self, state: str) -> None:
        process = {"pid": os.getpid(), "created": psutil.Process().create_time()}
        about = {"method": "sft", "model": "m", "trains": "LoRA r=8", "steps": 60, "state": state}
        (self.folder / "new").write_text(json.dumps({**about, "process": process, "changed": state}))
        (self.folder / "new").replace(self.folder / "run.json")

    def go(self, steps: int) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            for step in range(self.step + 1, self.step + steps + 1):
                row = {
                    "step": step,
                    "total": 2 - step / 50,
                    "rate": 1e-4,
                    "norm": 1,
                    "seconds": 1,
                    "tokens": 9,
                }
                held = {"held_out": 2.1 - step / 50} if step % 10 == 0 else {}
                file.write(json.dumps(row | held) + "\n")
        self.step += steps


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def address(tmp_path: Path, data: Path) -> Iterator[str]:
    settings = Settings(data=data, book=write(tmp_path / "book"))
    app = create_app(settings, chat=ScriptedChat(["x"]), embedder=WordEmbedder(), background=False)
    yield from serving(app)


def test_a_run_appears_grows_and_ends(context: BrowserContext, address: str, data: Path) -> None:
    visit = Visit(context.new_page(), address)
    page = visit.go("/training")
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    run = Run(data / "train" / "sft")
    run.go(20)
    expect(page.locator("#training-state")).to_contain_text("Step 20 of 60, runs now")
    plot = page.get_by_role("img", name="Loss")
    before = plot.inner_html()
    page.keyboard.press("Tab")
    summary = page.locator("summary", has_text="The last steps")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="The last steps")).to_be_visible()
    run.go(10)
    expect(page.locator("#training-state")).to_contain_text("Step 30 of 60")
    expect(page.get_by_role("region", name="The last steps")).to_be_visible()
    expect(summary).to_be_focused()
    assert plot.inner_html() != before
    run.go(30)
    run.state("done")
    expect(page.locator("#training-state")).to_contain_text("Step 60 of 60, done")
    expect(page.locator("#training-said")).to_contain_text("done")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    check(visit)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_run(
    context: BrowserContext, address: str, data: Path, theme: str
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in handbook/app/frontend brings it")
    Run(data / "train" / "sft").go(25)
    bypass = context.browser.new_context(bypass_csp=True, color_scheme=theme)  # type: ignore[union-attr,arg-type]
    page = Visit(bypass.new_page(), address).go("/training")
    page.locator("#training-steps").evaluate("each => each.open = true")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    bypass.close()
