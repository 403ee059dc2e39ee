"""The page of training runs: what it finds, how it tells their state, what it draws, news as they grow."""

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from handbook.app.panels import limits, panel
from handbook.app.web.rooms import training
from handbook.app.web.trainings import MOST_POINTS, Series, Trainings
from handbook.book.svg import unsafe
from handbook.settings import Settings

ME = {"pid": os.getpid(), "created": psutil.Process().create_time()}


def rows(steps: Iterable[int], every: int = 5) -> str:
    lines = []
    for step in steps:
        row = {"step": step, "total": 3 - step / 100, "text": 3 - step / 100, "rate": 1e-4, "norm": 1.0}
        row |= {"seconds": 0.5, "tokens": 1000}
        if step % every == 0:
            row["held_out"] = 3.5 - step / 100
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def made(settings: Settings, name: str, text: str, **about: Any) -> Path:
    folder = settings.data / "train" / name
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text(text)
    if about:
        (folder / "run.json").write_text(json.dumps(about))
    return folder


def test_without_a_run_it_says_how_to_begin_one(client: TestClient) -> None:
    html = client.get("/training").text
    assert "No run yet" in html
    assert "handbook train sft --data" in html
    assert 'href="/training"' in client.get("/").text
    found = client.get("/search.json", params={"q": "loss curves"}).json()["results"]
    assert "/training" in [each["url"] for each in found]


def test_a_run_and_the_list_of_all(client: TestClient, settings: Settings) -> None:
    made(settings, "tiny/dense", rows(range(1, 4)))
    made(settings, "sft", rows(range(1, 21)), method="sft", model="m", trains="LoRA r=8", steps=40,
         state="running", process=ME, trainable=10, parameters=1000, before={"held_out": 3.9})  # fmt: skip
    html = client.get("/training").text
    assert "SFT: m, LoRA r=8" in html, "what runs comes first"
    assert "Step 20 of 40, runs now; about 10 s left" in html
    for part in (
        "from 3.9",
        "3.3",
        "2 000".replace(" ", "\N{NARROW NO-BREAK SPACE}"),
        'href="/training?run=tiny/dense"',
    ):
        assert part in html, part
    assert html.count("<svg") == 4, "loss, rate, norm, speed"
    assert "(nats per token)" in html
    other = client.get("/training?run=tiny/dense").text
    assert "(nats per character)" in other
    assert "Follow the newest run" in other
    for wrong in ("none", "../..", "tiny"):
        assert client.get("/training", params={"run": wrong}).status_code == 404


def test_states(client: TestClient, settings: Settings) -> None:
    made(
        settings,
        "gone",
        rows([1]),
        method="sft",
        state="running",
        process=ME | {"created": 5.0},
        command="handbook train sft",
    )
    made(settings, "broke", rows([1]), method="dpo", state="failed", what="The loss is nan.")
    made(
        settings,
        "ready",
        rows([1]),
        method="sft",
        state="done",
        result="/r",
        **{"try": ["handbook serve", "handbook chat"]},
    )
    old = made(settings, "old", rows([1]))
    os.utime(old / "metrics.jsonl", (5, 5))
    states = {run.name: run.state for run in Trainings(settings.data / "train").all()}
    assert states == {"gone": "killed", "broke": "failed", "ready": "done", "old": "unknown"}
    html = client.get("/training?run=gone").text
    assert "ended from outside" in html
    assert "Go on: <code>handbook train sft</code>" in html
    assert "The loss is nan." in client.get("/training?run=broke").text
    ready = client.get("/training?run=ready").text
    assert "Saved in <code>/r</code>" in ready
    assert "Try it: <code>handbook serve</code>, or <code>handbook chat</code>" in ready


def test_what_cannot_be_read_is_passed_over(client: TestClient, settings: Settings) -> None:
    text = (
        'nonsense\n[1]\n{"step": "x"}\n{"step": 1e999}\n{"total": 1}\n\xff\n'
        + rows([1])
        + '{"step": 2, "total": NaN}\n{"step": 3'
    )
    made(settings, "<b>&", text, method="<i>", state=["x"])
    (settings.data / "train" / "empty").mkdir()
    html = client.get("/training").text
    assert "Step 2" in html
    assert "<b>" not in html.partition("<main")[2]
    assert "<i>" not in html.partition("<main")[2]
    big = made(settings, "big", rows([1]))
    (big / "run.json").write_text("[" * 100_000)
    assert client.get("/training?run=big").status_code == 200
    (big / "metrics.jsonl").write_text("")
    assert "No step is done yet" in client.get("/training?run=big").text


def test_a_file_is_read_on_and_anew_when_the_run_went_back(settings: Settings) -> None:
    folder = made(settings, "sft", rows(range(1, 11)) + '{"step": 11, "to')
    runs = Trainings(settings.data / "train")
    assert runs.all()[0].metrics.steps == 10, "a line that is still being written is left"
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('tal": 1.5}\n')
    (read,) = runs.all()
    assert (read.metrics.steps, read.metrics.series["total"].points[-1]) == (11, (11.0, 1.5))
    (folder / "new").write_text(rows(range(1, 6)))
    (folder / "new").replace(folder / "metrics.jsonl")
    (again,) = runs.all()
    assert (again.metrics.steps, len(again.metrics.series["total"].points)) == (5, 5)
    assert again.mark != read.mark


def test_a_long_run_keeps_few_points_and_their_means() -> None:
    series = Series()
    for step in range(1, 10_001):
        series.add(step, step * 2.0)
    assert MOST_POINTS / 2 <= len(series.points) < MOST_POINTS
    assert all(value == pytest.approx(2 * step) for step, value in series.points)
    gaps = [b[0] - a[0] for a, b in zip(series.points, series.points[1:], strict=False)]
    assert set(gaps) == {series.stride}


def test_news_come_when_a_file_grows(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LASTS", 0.3)
    monkeypatch.setattr(training, "LOOK", 0.02)
    folder = made(settings, "sft", rows(range(1, 4)), method="sft", state="done")
    html = client.get("/training").text
    address = re.search(r'data-follow="([^"]+)"', html)
    assert address
    url = address[1].replace("&amp;", "&")
    answer = client.get(url)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: runs" not in answer.text, "nothing new, nothing said"
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(rows([4]))
    news = client.get(url).text
    assert news.count("event: runs") == 1
    seen = re.search(r"^id: (\w+)$", news, re.M)
    assert seen
    data = json.loads(re.search(r"^data: (.*)$", news, re.M)[1])  # type: ignore[index]
    assert "Step 4" in data["html"]
    assert "event: runs" not in client.get(url, headers={"Last-Event-ID": seen[1]}).text
    assert client.get("/training/follow?run=none").status_code == 404
    assert client.get(url, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("values", [[], [2.0], [0.0] * 5, [1e-30, 1e30], [-3.0, 4.0] * 300, [5e-5] * 3])
@pytest.mark.parametrize("small", [True, False])
def test_a_panel_is_sound_for_any_values(values: list[float], small: bool) -> None:
    points = [(float(n + 1), value) for n, value in enumerate(values)]
    drawing = panel("<Loss>", "nats", points, points[-1:], 1000, small)
    assert not unsafe(drawing)
    for node in ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}polyline"):
        for pair in node.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 520
            assert 0 <= y <= 320


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (2.31, 2.34), (-5e-5, 3e-5), (3.0, 3.0), (0.0, 0.0), (1e9, 3e12)]
)
def test_an_axis_holds_its_values_on_round_numbers(low: float, high: float) -> None:
    bottom, top, ticks = limits([high, low])
    assert bottom <= low <= high <= top
    assert (ticks[0], ticks[-1]) == (pytest.approx(bottom), pytest.approx(top))
    assert 3 <= len(ticks) <= 8
