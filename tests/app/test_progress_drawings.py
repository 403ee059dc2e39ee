"""The drawings of progress say what they are given, by place and by shape; hostile titles stay text."""

import datetime as dt
import re
from types import SimpleNamespace
from typing import Any

from handbook.app.loads import load_chart
from handbook.app.mapping import concept_map
from handbook.app.readied import LEFT, RIGHT, readiness_chart
from handbook.book.pen import WIDTH
from handbook.practice.diagnostic import Standing
from handbook.practice.readiness import Readiness
from handbook.practice.workload import Load

EVIL = "<script>&"


def test_a_whisker_reaches_from_low_to_high_with_its_dot_in_the_middle() -> None:
    rows = [Readiness("a", EVIL, 0.2, 0.6, (), asked=1), Readiness("b", "Other", None, None, ())]
    svg = readiness_chart(rows)
    across = WIDTH - LEFT - RIGHT
    dot = re.findall(r'<circle cx="([\d.]+)"', svg)
    assert [float(each) for each in dot] == [round(LEFT + 0.4 * across, 1)]
    assert f'points="{LEFT + 0.2 * across:.4g},' in svg
    assert "nothing asked yet" in svg
    assert "0.20 to 0.60, by 1 answer; Other: nothing asked yet." in svg
    assert "<script>" not in svg
    assert readiness_chart([]) == ""


def book(**needs: tuple[str, ...]) -> Any:
    """A graph of chapters with two sections each; `empty` is not written."""
    concepts = {
        f"{slug}#{n}": SimpleNamespace(
            id=f"{slug}#{n}", chapter=slug, title=f"{EVIL}{n}", written=slug != "empty"
        )
        for slug in needs
        for n in (1, 2)
    }
    return SimpleNamespace(
        chapters=needs,
        titles=dict.fromkeys(needs, EVIL),
        of=lambda slug: [each for each in concepts.values() if each.chapter == slug],
    )


def test_the_map_has_a_column_a_depth_and_a_mark_a_section_by_shape() -> None:
    graph = book(one=(), two=("one",), empty=("two", "one"))
    sections = {
        "one#1": Standing("solid", 0.7, 0.9, ()),
        "one#2": Standing("shaky", 0.1, 0.3, ()),
        "two#1": Standing("unknown", 0.1, 0.9, ()),
        "two#2": Standing("solid", 0.7, 0.9, ()),
    }
    svg = concept_map(graph, sections)
    assert svg.count(": solid</title>") == 2
    assert svg.count(": shaky</title>") == 1
    assert svg.count(": unknown</title>") == 1
    assert len(re.findall(r'<path d="M[\d.]+ [\d.]+v10h10z"', svg)) == 2  # the shaky one, and the legend's
    assert len(re.findall(r'<path d="M[\d.]+ [\d.]+C', svg)) == 3  # what rests on what
    assert svg.count("not written yet") == 1
    assert "2 solid, 1 shaky" in svg
    assert "<script>" not in svg
    columns = {float(x) for x in re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="232"', svg)}
    assert len(columns) == 3


def test_a_circle_of_chapters_still_draws() -> None:
    assert concept_map(book(one=("two",), two=("one",)), {}).startswith("<svg")
    assert concept_map(book(), {}) == ""


def test_bars_are_as_high_as_their_days_are_full() -> None:
    start = dt.date(2027, 1, 1)
    loads = [Load(start + dt.timedelta(days=n), reviews, 0.0) for n, reviews in enumerate((4.0, 0.0, 2.0))]
    svg = load_chart(loads)
    heights = [float(each) for each in re.findall(r'height="([\d.]+)" fill="var\(--accent', svg)]
    assert len(heights) == 2
    assert heights[0] == 2 * heights[1]
    assert "6 reviews from 2027-01-01 to 2027-01-03; most on 2027-01-01: 4." in svg
    assert load_chart([]) == load_chart([Load(start, 0.0, 0.0)]) == ""
