"""What is computed into the book: filled code and claims, drawn figures; and the small pieces that do it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.book import atomic, bounds, draw, fill, svg, symbols
from handbook.book.claims import Measured, format
from handbook.errors import BookError, DiskFull

from .tiny import CHAPTER, FOLDER, Tiny

QUESTIONS = f"{FOLDER}/questions.yaml"


def test_fill_brings_everything_up_to_date(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "    return a + b", "    return 'old'")
    tiny.swap(CHAPTER, "[7](claim", "[?](claim")
    tiny.swap(QUESTIONS, "[7](claim", "[?](claim")
    assert {f.kind for f in tiny.faults()} == {"stale-code", "stale-claim"}
    changed = fill.fill(tiny.open())
    assert sorted(p.name for p in changed) == ["one.md", "questions.yaml"]
    assert tiny.faults() == []
    assert fill.fill(tiny.open()) == ()


def test_fill_keeps_the_indent_of_a_fence(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "Before any heading.", "- item\n\n  ```python code=CODE.sums:Adder.twice\n  ```")
    fill.fill(tiny.open())
    assert "  ```python" in tiny.text(CHAPTER)
    assert "\n  def twice(self, a: int) -> int:\n      return add(a, a)\n  ```\n" in tiny.text(CHAPTER)
    assert tiny.faults() == []


def test_fill_leaves_unknown_symbols_and_open_fences_alone(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "code=CODE.sums:add", "code=CODE.sums:gone")
    tiny.file(CHAPTER).write_text(
        tiny.text(CHAPTER) + f"\n```python code={tiny.package}.sums:add\nlast line\n"
    )
    before = tiny.text(CHAPTER)
    assert fill.fill(tiny.open()) == ()
    assert tiny.text(CHAPTER) == before


def test_fill_escapes_what_markdown_would_read(tiny: Tiny) -> None:
    tiny.swap(f"{FOLDER}/claims.toml", "{value:.0f}", "*{value:.0f}* < 8")
    fill.fill(tiny.open())
    assert r"[\*7\* \< 8](claim:the-sum)" in tiny.text(CHAPTER)
    assert tiny.faults("stale-claim") == []


def test_draw_writes_only_what_changed(tiny: Tiny) -> None:
    assert draw.draw(tiny.open()) == ()
    tiny.swap(f"{FOLDER}/figures.py", "var(--ink)", "var(--accent)")
    assert [f.kind for f in tiny.faults()] == ["stale-figure"]
    (written,) = draw.draw(tiny.open())
    assert "var(--accent)" in written.read_text()
    assert tiny.faults() == []


def test_draw_reports_every_failure_and_writes_the_rest(tiny: Tiny) -> None:
    tiny.put(
        f"{FOLDER}/figures.py",
        tiny.text(f"{FOLDER}/figures.py")
        + "\ndef broken() -> str:\n    return 1 / 0\n"
        + "\ndef hostile() -> str:\n    return '<svg><script/></svg>'\n",
    )
    with pytest.raises(BookError, match=r"2 figures.*broken: ZeroDivisionError.*hostile: "):
        draw.draw(tiny.open())
    assert not any(f.file.endswith("two-bars.svg") for f in tiny.faults("stale-figure"))


def test_figure_that_nothing_draws_or_shows(tiny: Tiny) -> None:
    tiny.put(f"{FOLDER}/figures/extra.svg", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
    assert {f.kind for f in tiny.faults()} == {"stale-figure", "unused-figure"}
    tiny.file(f"{FOLDER}/figures/extra.svg").unlink()
    tiny.file(f"{FOLDER}/figures/two-bars.svg").unlink()
    assert {f.kind for f in tiny.faults()} == {"stale-figure", "dangling-link"}


XMLNS = 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"<svg {XMLNS}><script>x</script></svg>", "<script>"),
        (f"<svg {XMLNS}><foreignObject/></svg>", "<foreignObject>"),
        (f"<svg {XMLNS}><style>a</style></svg>", "<style>"),
        (f"<svg {XMLNS}><image/></svg>", "<image>"),
        (f'<svg {XMLNS}><a href="javascript:x"/></svg>', "<a>"),
        (f'<svg {XMLNS}><g style="fill:red"/></svg>', "style"),
        (f'<svg {XMLNS}><g onclick="x"/></svg>', "onclick"),
        (f'<svg {XMLNS}><use href="https://e.org/x.svg#a"/></svg>', "outside"),
        (
            f'<svg {XMLNS} xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="x.svg#a"/></svg>',
            "outside",
        ),
        (f'<svg {XMLNS}><g fill="url(https://e.org/x)"/></svg>', "outside"),
        (f'<!DOCTYPE svg [<!ENTITY a "b">]><svg {XMLNS}/>', "document type"),
        (f"<svg {XMLNS}><desc><g><![CDATA[><img src='x'>]]></g></desc></svg>", "CDATA"),
        (f"<svg {XMLNS}><?x ><img src='x'> ?></svg>", "processing instruction"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "viewBox"),
        ("<svg viewBox='0 0 1 1'/>", "root"),
        ("<svg", "well-formed"),
    ],
)
def test_unsafe_svg(text: str, what: str) -> None:
    assert any(what in found for found in svg.unsafe(text)), svg.unsafe(text)


def test_inline_svg_renames_ids_and_what_refers_to_them() -> None:
    text = (
        f'<?xml version="1.0"?><!-- c --><svg {XMLNS} role="x" id="r"><title id="t">T</title>'
        '<defs><marker id="a"/></defs>'
        '<g aria-labelledby="t" fill="url(#a)"/><use href="#a"/></svg>'
    )
    assert svg.unsafe(text) == ()
    out = svg.inline(text, "p-", "cap")
    assert out.startswith(f'<svg role="img" aria-labelledby="cap" {XMLNS}>')
    for piece in ('id="p-a"', "url(#p-a)", 'href="#p-a"', 'aria-labelledby="p-t"'):
        assert piece in out
    assert "<!--" not in out


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        (">= 3", [3, 4.5], [2.99]),
        ("<= 1e-5", [1e-5, 0, -1], [2e-5]),
        ("== 23040", [23040, 23040.001], [23041, 0]),
        ("2..9", [2, 5, 9], [1.9, 9.1]),
        ("-1..-0.5", [-1, -0.7], [0]),
        ("> 0 and < 1", [0.5], [0, 1]),
        (">= 1_000 and 2..5_000", [1000], [999, 5001]),
    ],
)
def test_bounds(text: str, holds: list[float], fails: list[float]) -> None:
    bound = bounds.parse(text)
    assert all(bound.holds(x) for x in holds)
    assert not any(bound.holds(x) for x in [*fails, float("nan")])


@pytest.mark.parametrize(
    "text", ["", "3", ">= x", "9..2", ">= 3 or <= 1", "__import__('os')", ">= 3 and", "=> 3"]
)
def test_bounds_that_are_not_understood(text: str) -> None:
    with pytest.raises(ValueError, match=r"comparison|empty"):
        bounds.parse(text)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_say_what_python_says(limit: float, value: float) -> None:
    assert bounds.parse(f">= {limit!r}").holds(value) == (value >= limit)
    assert bounds.parse(f"< {limit!r}").holds(value) == (value < limit)


def test_claim_text() -> None:
    measured = Measured(1234.5, 1000.0, 2000.0, 3, False, "m", "d", "c")
    assert format("{value:,.0f} bytes ({low:.0f} to {high:.0f})", measured) == "1,234 bytes (1000 to 2000)"
    for text in ("{0}", "{machine}", "{value!r}", "{value:{low}}", "{value.__class__}", "{"):
        with pytest.raises(ValueError, match=r"."):
            format(text, measured)


def test_source_by_symbol(tiny: Tiny) -> None:
    module = f"{tiny.package}.sums"
    add = symbols.source(f"{module}:add")
    assert add.text == 'def add(a: int, b: int) -> int:\n    """The sum."""\n    return a + b'
    assert (add.line, add.docstring, add.kind) == (9, "The sum.", "function")
    method = symbols.source(f"{module}:Adder.twice")
    assert method.text.startswith("def twice(self")
    assert symbols.source(f"{module}:LIMIT").text == "LIMIT = 3"
    assert symbols.source(module).docstring.startswith("Sums.")
    assert [s.symbol.partition(":")[2] for s in symbols.outline(module)] == ["add", "Adder", "Adder.twice"]
    assert symbols.names(module) == ("LIMIT", "add", "Adder")
    for wrong in (f"{module}:none", f"{module}:Adder.none", f"{tiny.package}.none:x", "no.such:x", "..:x"):
        with pytest.raises(symbols.UnknownSymbol):
            symbols.source(wrong)


def test_source_takes_decorators_along(tiny: Tiny) -> None:
    tiny.module.write_text('"""Sums."""\nimport functools\n\n@functools.cache\ndef one():\n    return 1\n')
    found = symbols.source(f"{tiny.package}.sums:one")
    assert (found.text, found.line) == ("@functools.cache\ndef one():\n    return 1", 4)


def test_source_of_the_model_imports_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from handbook.book.symbols import source, modules;"
        "assert 'def ' in source('handbook.book.load:open_book').text; list(modules());"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    path = tmp_path / "a.md"
    path.write_text("before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No room left"):
        atomic.write(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_status_is_json(tiny: Tiny) -> None:
    from handbook.book.status import status

    assert json.loads(json.dumps(status(tiny.open())))[0]["chapter"] == "part/one"
