"""The drawing of a step: everything in words too, nothing that a page's policy refuses, nothing unescaped."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import Knobs, run
from handbook.engine.trace import Header, Step, Text
from handbook.lab.serving import view

VOID = {"line", "polyline"}


class Reader(HTMLParser):
    """Raises AssertionError for what doesn't close, and for styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.classes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style")
        for name, value in attrs:
            assert name != "style"
            assert not name.startswith("on")
            if name == "class":
                self.classes += (value or "").split()
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_step_is_drawn_and_every_class_has_a_rule(name: str) -> None:
    header, steps = run(SCENARIOS[name], replace(SCENARIOS[name].knobs, swap=True, page=8))
    speeds = view.rates_of(steps)
    rules = view.style()
    for at in range(0, len(steps), 9):
        reader = parsed(view.frame(header, steps[at], speeds, at))
        for each in set(reader.classes) - {"pages", "trace-map"}:
            assert f".{each}" in rules, each


def test_a_cell_says_who_holds_it_without_colour() -> None:
    header, steps = run(SCENARIOS["prefix"], Knobs())
    step = next(step for step in steps if len(step.running) == 3 and step.idle)
    html = view.block_map(header, step)
    cells = re.findall(r'<b(?: class="([^"]*)")?(?: title="([^"]*)")?>([^<]*)</b>', html)[: header.pages]
    assert len(cells) == header.pages
    letters = {view.letter(number) for number in step.running}
    shared = [text for kind, _, text in cells if kind == "shared"]
    assert set(shared) == {"3"}
    assert {text for kind, _, text in cells if kind.startswith("h")} == letters
    assert [text for kind, _, text in cells if kind in ("", "cached")] == [""] * (
        len([0 for kind, *_ in cells if kind in ("", "cached")])
    )
    assert sum(kind == "cached" for kind, *_ in cells) == len(step.idle)
    title = next(title for kind, title, _ in cells if kind == "shared")
    assert title.startswith("page 0: question ")
    assert f"{len(shared)} shared" in html
    assert f"{len(step.idle)} cached" in html


def test_the_table_tells_all_that_the_picture_shows() -> None:
    header, steps = run(SCENARIOS["pressure"], replace(SCENARIOS["pressure"].knobs, swap=True))
    step = next(step for step in steps if step.preempted)
    html = view.frame(header, step)
    for text in step.texts.values():
        assert text.request in html
        assert f"{text.computed} of {text.tokens}" in html
    assert f"{view.letter(step.preempted[0])} had to make room." in html
    assert "moved out" in html
    assert f"Swapped out <span>{len(step.swapped)}</span>" in html
    assert "makes room" in html


def test_ids_out_of_a_file_stay_text() -> None:
    bad = '<img src=x onerror="alert(1)">&"\''
    header = Header(model=bad, pages=2, page=4, tokens=4, running=2)
    text = Text(0, bad, 0, 1, 1, 2, 1, 0, 0, "running", (1,))
    step = Step(1, 0.0, 0.1, (), {0: text}, (0,), (), 0, frozenset())
    html = view.frame(header, step, [1.0])
    assert "<img" not in html
    assert 'onerror="' not in html
    parsed(html)


def test_large_caches_are_drawn_up_to_a_limit() -> None:
    header = Header(model="m", pages=100_000, page=4, tokens=4, running=2)
    step = Step(1, 0.0, 0.1, (), {}, (), (), 0, frozenset({99_999}))
    html = view.block_map(header, step)
    assert html.count("<b") < view.MOST_CELLS + 10
    assert "100,000 pages" in html
    assert "The first 2,048 are drawn" in html
    assert "1 cached" in html


@pytest.mark.parametrize(
    ("numbers", "says"),
    [((), ""), ((3,), "3"), ((3, 4, 5, 9), "3–5, 9"), ((9, 3, 4), "9, 3–4"), ((5, 4), "5, 4")],  # noqa: RUF001
)
def test_runs_of_pages(numbers: tuple[int, ...], says: str) -> None:
    assert view.pages(numbers) == says


def test_rates_are_taken_over_the_last_steps() -> None:
    assert view.rates([0, 4, 4], [0.5, 0.5, 1.0]) == [0.0, 4.0, 4.0]
    assert view.rates([1], [0.0]) == [0.0]
    constant = view.rates([2] * 30, [0.01] * 30)
    assert constant == pytest.approx([200.0] * 30)
    late = view.rates([0] * 20 + [8], [1.0] * 21)
    assert late[-1] == pytest.approx(8 / view.SPAN)


def test_the_line_of_speeds_marks_where_one_stands() -> None:
    speeds = [float(n) for n in range(900)]
    first, last = view.sparkline(speeds, 0), view.sparkline(speeds, 899)
    assert 'x1="0"' in first
    assert f'x1="{view.WIDTH}"' in last
    assert "<strong>899</strong>" in last
    assert last.count(",") < view.POINTS + 20
    parsed(view.sparkline([0.0], 0))
