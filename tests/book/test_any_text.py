"""Whatever an author types, the chapter opens, and the page is well-formed and harmless."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handbook.book import blocks, markdown
from handbook.book.load import open_book
from handbook.book.render import Context, _page, render_fragment

from .test_render import ATTRIBUTES, ELEMENTS, tree

PIECES = [
    "\n", "\n\n", " ", "  ", "    ", "- ", "1. ", "> ", "# ", "## T {#t}", "### U {#u}", "{#a}",
    "{#b .c}", "{", "}", "$", "$$", "$x$", "\\frac", "\\", "`", "```", "```python",
    "```python code=handbook.errors:HandbookError", "~~~", "*", "**", "_", "[", "]", "(", ")",
    "[a](claim:first-token-attention-share)", "[b](cite:vaswani2017)", "[c](javascript:x)", "[d](#a)",
    "[e](lab:)", "![f](figure:g)", "![h](https://e.org)", "[^1]", "[^1]: note", ":::", "::: ask T",
    "::::", "::: definition", "::: odd", "| a | b |", "|---|--:|", "<b>", "<!-- -->", "&amp;",
    "<https://e.org>", "---", "word", "é", "日本", "🙂", "\u200f", "\t", "===", "[ref]: javascript:x",
    "[ref]", "<", ">", "\"", "'",
]  # fmt: skip
BOOK = open_book()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text(text: str) -> None:
    faults: list[tuple[str, int]] = []

    def report(kind: str, line: int, what: str, remedy: str) -> None:
        faults.append((kind, line))

    page = blocks.read(markdown.parse(text), text, report)
    lines = max(1, len(text.splitlines()))
    assert all(1 <= line <= lines + 1 for _, line in faults), faults
    assert all(1 <= link.line <= lines + 1 for link in page.links)
    real = BOOK.chapters["transformer-deep-dive"]
    chapter = replace(
        real,
        text=text,
        blocks=tuple(page.blocks),
        links=tuple(page.links),
        anchors=page.anchors,
        paragraphs=tuple(page.paragraphs),
    )
    html = _page(Context(BOOK, chapter, notes=[]))
    ids = [e.get("id") for e in tree(html).iter() if e.get("id")]
    if not any(kind == "duplicate-id" for kind, _ in faults):
        assert len(ids) == len(set(ids)), html
    for one in (html, render_fragment(BOOK, chapter, text)):
        for element in tree(one).iter():
            assert element.tag in ELEMENTS | {"h1", "h4"}, one
            assert all(ATTRIBUTES.fullmatch(name) for name in element.attrib), one
            assert not element.get("href", "/").lower().startswith("javascript"), one
