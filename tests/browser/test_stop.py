"""Stopping the handbook while a lab is open in the browser, or was: its kernels must not keep the process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from app.small_book import write
from playwright.sync_api import BrowserContext, expect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
BREAD = "/book/basics/bread"


@pytest.fixture
def handbook(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`handbook open` on the small book: the process and its address."""
    environment = {
        **os.environ,
        "HANDBOOK_DATA": str(tmp_path / "data"),
        "HANDBOOK_BOOK": str(write(tmp_path / "book")),
        "HANDBOOK_FETCH": "false",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "handbook", "open", "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        try:
            assert process.stdout
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found
            yield process, found[0]
        finally:
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stays", [True, False], ids=["open", "left"])
def test_it_stops_after_a_lab_was_opened(
    handbook: tuple[subprocess.Popen[str], str], context: BrowserContext, stays: bool, sent: signal.Signals
) -> None:
    process, address = handbook
    page = context.new_page()
    page.goto(f"{address}{BREAD}/lab")
    expect(page.frame_locator("iframe").get_by_text("Kneaded for")).to_be_visible(timeout=60_000)
    if not stays:
        page.goto(f"{address}/progress")
    process.send_signal(sent)
    said = process.communicate(timeout=60)[1]
    assert said == ""
    assert process.returncode == (0 if sent is signal.SIGINT else -sent)
