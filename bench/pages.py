"""How fast the app starts and serves, and how much a page weighs.

Starts `handbook open` on a free port some times over and measures from process start to the first page;
then requests each room; then loads the chapter in a headless browser with an empty cache and adds up what
came over the wire. JSON keys: start_seconds and pages.*.ms (median, low, high), weight.bytes by type (null
without a browser).

    handbook bench pages [--starts 5] [--requests 30] [--json]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from handbook.hardware.probe import probe

CHAPTER = "/book/architectures/transformer-deep-dive"
ROOMS = ("/", "/book", CHAPTER, f"{CHAPTER}/questions", "/ask", "/search?q=kv+cache", "/references", "/about")
BROWSERS = ("/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def app() -> Iterator[tuple[str, float]]:
    """The app in a process of its own: its address, and seconds from start to the whole first page."""
    command = [sys.executable, "-m", "handbook", "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HANDBOOK_FETCH": "false"}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1].rstrip("/")
        get(address + "/")
        yield address, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(20)


def get(url: str) -> float:
    """Seconds for one page, whole. A new connection each time, as a reader's first click has."""
    import urllib.request

    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as page:
        page.read()
    return time.perf_counter() - began


def spread(values: list[float], scale: float = 1.0) -> dict[str, float]:
    scaled = [value * scale for value in values]
    return {
        "median": round(statistics.median(scaled), 3),
        "low": round(min(scaled), 3),
        "high": round(max(scaled), 3),
        "samples": len(scaled),
    }


def weigh(url: str) -> dict[str, int] | None:
    """Bytes over the wire by kind of resource, cache empty. None without playwright or a browser."""
    browser_path = next((path for path in BROWSERS if os.path.exists(path)), None)  # noqa: PTH110
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser_path is None:
        return None
    kinds: dict[str, str] = {}
    weight: dict[str, int] = {}

    def seen(event: dict[str, Any]) -> None:
        kinds[event["requestId"]] = event["type"]

    def done(event: dict[str, Any]) -> None:
        kind = kinds.get(event["requestId"], "Other").lower()
        weight[kind] = weight.get(kind, 0) + int(event["encodedDataLength"])

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", seen)
        session.on("Network.loadingFinished", done)
        page.goto(url, wait_until="networkidle")
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(1000)
        browser.close()
    return {**weight, "total": sum(weight.values())}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench pages", description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    starts = []
    for _ in range(arguments.starts - 1):
        with app() as (_, seconds):
            starts.append(seconds)
    with app() as (address, seconds):
        starts.append(seconds)
        pages = {}
        for room in ROOMS:
            first = get(address + room)
            times = [get(address + room) for _ in range(arguments.requests)]
            pages[room] = {"first_ms": round(first * 1000, 1), "ms": spread(times, 1000)}
        weight = weigh(address + CHAPTER)
    report = {
        "schema": "handbook.bench.pages/1",
        "machine": probe().label,
        "date": date.today().isoformat(),
        "start_seconds": spread(starts),
        "pages": pages,
        "weight": weight,
    }
    if arguments.json:
        print(json.dumps(report, indent=2))
        return 0
    print(f"{report['machine']}, {report['date']}")
    print(f"start to first page: {report['start_seconds']}")
    for room, row in pages.items():
        print(f"{room:<48} first {row['first_ms']:7.1f} ms, then {row['ms']['median']:6.1f} ms")
    print(f"weight of the chapter: {weight}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
