"""Pages as HTML: well-formed, addressed, escaped, with nothing that a strict content policy refuses."""

import re
import xml.etree.ElementTree as ET

import pytest

from handbook.book.load import open_book
from handbook.book.render import render, render_fragment, render_inline

from .tiny import CHAPTER, FOLDER, Tiny


def page(tiny: Tiny) -> str:
    book = tiny.open()
    return render(book, book.chapters["one"]).html


def tree(html: str) -> ET.Element:
    """Strict: what comes out is also well-formed XML."""
    return ET.fromstring(f"<main>{html}</main>")


def test_addresses_match_the_paragraphs(tiny: Tiny) -> None:
    book = tiny.open()
    chapter = book.chapters["one"]
    ids = [e.get("id") for e in tree(page(tiny)).iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {p.anchor for p in chapter.paragraphs} | {s.id for s in chapter.sections} <= set(ids)


def test_every_link_on_the_page_leads_somewhere(tiny: Tiny) -> None:
    root = tree(page(tiny))
    ids = {e.get("id") for e in root.iter()}
    targets = [e.get("href", "") for e in root.iter("a")]
    assert {t[1:] for t in targets if t.startswith("#")} <= ids
    assert {e.get("aria-describedby") for e in root.iter("a") if e.get("aria-describedby")} <= ids
    for expected in (
        f"/code/{tiny.package}.sums#add",
        "/book/part/one/lab",
        "/book/part/one/lab#plot",
        "/book/part/one/questions#why-add",
        "/exercise/adding",
        "/book/part/two",
        "https://example.org/?a=1&b=2",
        "/references#lovelace1843",
    ):
        assert expected in targets


def test_sections_nest(tiny: Tiny) -> None:
    root = tree(page(tiny))
    assert root.find("./section[@id='first']/section[@id='deeper']/h3") is not None


def test_claim_note_follows_its_block_once(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "Before any heading.", "Again [7](claim:the-sum).\n\nBefore any heading.")
    html = page(tiny)
    assert html.count('id="note-claim-the-sum"') == 1
    assert html.count('href="#note-claim-the-sum"') == 2
    assert html.index('id="note-claim-the-sum"') < html.index('id="top-p2"')
    for part in (
        "a desk",
        "1843-09-01",
        "== 7",
        "<code>handbook verify part/one</code>",
        'data-machine="a desk"',
    ):
        assert part in html


@pytest.mark.parametrize(
    ("text", "math"),
    [
        ("$q$ at position 3", ["q"]),  # text that ends with a digit
        ("$1.5$", ["1.5"]),
        ("$q$ and $k$ at 3", ["q", "k"]),
        ("$5 and $6", []),
        ("from $5/$6", []),
        ("3$q$", []),
    ],
)
def test_dollars_around_mathematics_and_before_prices(tiny: Tiny, text: str, math: list[str]) -> None:
    tiny.swap(CHAPTER, "Before any heading.", f"{text}\n\n| a | b |\n|---|---|\n| {text} | 4 |\n")
    root = tree(page(tiny))
    paragraph, cell = root.find(".//p"), root.find(".//td")
    for element in (paragraph, cell):
        assert element is not None
        assert [span.get("data-tex") for span in element.iter("span") if span.get("class") == "math"] == math


def test_math_is_escaped(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "$a + b$", '$a <b> "c" & d$')
    root = tree(page(tiny))
    (inline,) = [e for e in root.iter("span") if e.get("class") == "math"]
    assert inline.get("data-tex") == inline.text == 'a <b> "c" & d'
    (block,) = [e for e in root.iter("div") if e.get("class") == "math block"]
    assert (block.get("data-tex"), block.get("id")) == ("a < b", "first-p3")


HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,hello)",
    "[x](vbscript:x)",
    '[x](https://e.org/"onmouseover="alert(1))',
    "![x](https://e.org/track.png)",
    "![x](javascript:alert(1))",
    '`<b>` and ``` "><script>` ```',
    '$\\href{javascript:alert(1)}{"><script>}$',
    '[x](lab:"><script>)',
    '[x](code:json:"><b>)',
    "{#a onclick=alert(1) style=color:red}\ntext",
    '```python"><script>\ncode </code><script>\n```',
    "::: ask <script>x</script>\ntext\n:::",
    "a[^1]\n\n[^1]: <script>x</script>",
    "| <i>a</i> |\n|--:|\n| [b](javascript:1) |",
    "<https://e.org/?<script>>",
    "&lt;script&gt; &#60;script&#62;",
]
ELEMENTS = set(
    """
    main section h2 h3 p a span em strong code pre div aside figure figcaption dl dt dd time cite ul ol li
    table thead tbody tr th td blockquote hr sup br s
    """.split()  # noqa: SIM905
)
ATTRIBUTES = re.compile(
    r"id|class|href|rel|role|tabindex|scope|start|title|datetime|aria-[a-z]+|data-(tex|claim|cite|machine)"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_comes_through(tiny: Tiny, text: str) -> None:
    tiny.swap(CHAPTER, "![Two bars](figure:two-bars)\n", "")
    tiny.swap(CHAPTER, "Before any heading.", text)
    book = tiny.open()
    chapter = book.chapters["one"]
    for html in (
        render(book, chapter).html,
        render_fragment(book, chapter, text),
        render_inline(book, chapter, text),
    ):
        for element in tree(html).iter():
            assert element.tag in ELEMENTS, html
            for name, value in element.attrib.items():
                assert ATTRIBUTES.fullmatch(name), f"{name} in {html}"
                if name == "href":
                    assert re.match(r"https?://|mailto:|/[a-z]|#", value), value


def test_tables_carry_classes_not_styles(tiny: Tiny) -> None:
    html = page(tiny)
    assert '<th scope="col" class="align-right">' in html
    assert '<td class="align-left">4' in html
    assert "style=" not in html


def test_figure_is_inlined_with_its_own_ids(tiny: Tiny) -> None:
    html = page(tiny)
    assert '<svg role="img" aria-labelledby="fig-two-bars-caption"' in html
    assert 'id="fig-two-bars-a"' in html
    assert "drawn by" not in html


def test_unsafe_figure_is_not_inlined(tiny: Tiny) -> None:
    tiny.swap(f"{FOLDER}/figures/two-bars.svg", "<rect", "<script/><rect")
    assert tiny.faults("unsafe-figure")
    assert "script" not in page(tiny)


def test_code_by_symbol(tiny: Tiny) -> None:
    root = tree(page(tiny))
    (code,) = [e for e in root.iter("figure") if e.get("class") == "code"]
    assert code.find("./figcaption/a").get("href") == f"/code/{tiny.package}.sums#add"  # type: ignore[union-attr]
    text = "".join(code.find("./pre").itertext())  # type: ignore[union-attr]
    assert text.splitlines()[0] == "def add(a: int, b: int) -> int:"


def test_dangling_link_is_text(tiny: Tiny) -> None:
    tiny.swap(CHAPTER, "chapter:two", "chapter:three")
    assert '<span class="dangling">the second</span>' in page(tiny)


def test_cache_sees_every_dependency(tiny: Tiny) -> None:
    """What a page shows from other files (a claim's machine, a source, a figure) is not served stale."""
    first = page(tiny)
    assert page(tiny) is first
    for file, old, new in (
        (f"{FOLDER}/claims.toml", "a desk", "a bench"),
        ("book/references.bib", "Memoirs", "Letters"),
        (f"{FOLDER}/figures/two-bars.svg", "var(--ink)", "var(--accent)"),
    ):
        tiny.swap(file, old, new)
        second = page(tiny)
        assert second is not first
        assert new in second
        first = second


def test_fragment_leads_to_the_chapter_for_claims_and_sources(tiny: Tiny) -> None:
    book = tiny.open()
    html = render_fragment(
        book, book.chapters["one"], "[7](claim:the-sum), [L](cite:lovelace1843)\n\n## Example"
    )
    assert 'href="/book/part/one#note-claim-the-sum"' in html
    assert 'href="/references#lovelace1843"' in html
    assert "<h3>Example</h3>" in html
    assert render_inline(book, book.chapters["one"], "*so* $x$").startswith("<em>so</em> <span")


def test_real_book_is_well_formed() -> None:
    book = open_book()
    for chapter in book.chapters.values():
        root = tree(render(book, chapter).html)
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        assert len(ids) == len(set(ids)), chapter.path
        assert not [e for e in root.iter() if "style" in e.attrib or e.tag.endswith("script")]
