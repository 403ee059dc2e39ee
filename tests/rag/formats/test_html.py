import pytest

from handbook.rag.formats.faults import Unreadable
from handbook.rag.formats.html import read
from handbook.rag.ingest import parse
from handbook.rag.nouns import Parsed

LINKS = "".join(f'<li><a href="/{i}">Another page number {i}</a></li>' for i in range(40))
PAGE = f"""<!DOCTYPE html><html lang="en-GB"><head><title>On
 Caches &amp; Co</title><meta name="author" content="Ada"><style>p {{color: red}}</style></head><body>
<header>The Site</header><nav><ul>{LINKS}</ul></nav>
<main><h1>Caches<a href="#c">¶</a></h1>
<p>Keep what <b>was</b>&nbsp;dear,<br>and <code>drop()</code> the rest.</p>
<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul><ol><li>first</li></ol>
<pre><code>def f():
    return 1
</code></pre>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<script>document.write("not this")</script>
<p hidden>nor this</p><div style="display: NONE">nor that</div></main>
<footer>All rights</footer></body></html>"""


def outlined(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_the_marked_content_as_blocks() -> None:
    parsed = parse(PAGE.encode(), "https://example.org/caches")
    assert outlined(parsed) == [
        ("heading", "Caches"),
        ("paragraph", "Keep what was dear,\nand drop() the rest."),
        ("list", "- one\n  - inner\n- two"),
        ("list", "1. first"),
        ("code", "def f():\n    return 1"),
        ("table", "a | b\n1 | 2"),
    ]
    assert (parsed.kind, parsed.title, parsed.language) == ("html", "On Caches & Co", "en")
    assert parsed.metadata == {"author": "Ada"}


def test_a_page_full_of_links_is_trafilaturas() -> None:
    words = "The cache keeps what was dear to compute, and drops what nobody asked for in a while. " * 4
    body = f"<ul>{LINKS}</ul><div><h2>Caches</h2><p>{words}</p><p>{words}</p></div><ul>{LINKS}</ul>"
    parsed = parse(f"<html><body>{body}</body></html>".encode())
    assert parsed.metadata["read"] == "trafilatura"
    assert parsed.text.count("dear to compute") == 8
    assert "Another page" not in parsed.text
    assert {kind for kind, _ in outlined(parsed)} >= {"paragraph"}


def test_a_page_with_few_links_is_read_whole() -> None:
    header = '<header><a href="/">Home</a></header>'
    page = f"<html><body>{header}<div>One <i>thing</i><div>Two</div>three</div></body></html>"
    assert outlined(parse(page.encode())) == [
        ("paragraph", "One thing"),
        ("paragraph", "Two"),
        ("paragraph", "three"),
    ]


def test_a_text_in_an_envelope_is_no_code() -> None:
    parsed = parse(b"<html>\n<pre>\n\nTwo Square-Root Approximations\n\nCACM November, 1958\n</pre></html>")
    assert outlined(parsed) == [
        ("paragraph", "Two Square-Root Approximations"),
        ("paragraph", "CACM November, 1958"),
    ]


def test_a_layout_of_tables_is_read_cell_by_cell() -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    page = f"<table><tr><td><h2>Left</h2><p>Words.</p></td><td>{inner}</td></tr></table>"
    assert outlined(parse(f"<html>{page}</html>".encode())) == [
        ("heading", "Left"),
        ("paragraph", "Words."),
        ("table", "x | y"),
    ]


def test_a_page_of_scripts_alone_is_refused() -> None:
    with pytest.raises(Unreadable, match="500 scripts"):
        read(
            b"<html><body><div id=root></div>" + b"<script>var a = 'text';</script>" * 500 + b"</body></html>"
        )


def test_a_page_full_of_scripts_is_read_around_them() -> None:
    scripts = "<script>if (a < b) { document.write('<p>no</p>'); }</script><style>x{}</style>" * 2000
    draft = read(f"<html><body>{scripts}<p>Yes.{scripts}</p>{scripts}</body></html>".encode())
    assert draft.text == "Yes."


@pytest.mark.parametrize("depth", [300, 100_000])
def test_elements_without_end_are_read_or_told(depth: int) -> None:
    page = (
        "<html><body><p>Before.</p>"
        + "<div>" * depth
        + "deep"
        + "</div>" * depth
        + "<p>After.</p></body></html>"
    )
    draft = read(page.encode())
    assert draft.text.startswith("Before.")
    assert "deep" in draft.text or draft.lost


def test_elements_that_are_hidden_by_the_thousand_take_no_time() -> None:
    draft = read(b"<html>" + b"<p hidden>x</p>y" * 200_000)
    assert draft.text == "y" * 200_000


def test_entities_load_and_expand_nothing() -> None:
    bomb = '<!DOCTYPE html [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/hosts">]>'
    text = read(f"<?xml version='1.0'?>{bomb}<html><body><p>&b; &f; end</p></body></html>".encode()).text
    assert "end" in text
    assert "xxxxxxxxxx" not in text.replace(bomb, "")
    assert "localhost" not in text


def test_the_encoding_that_a_page_declares() -> None:
    page = '<html><head><meta charset="windows-1251"></head><body><p>Файл читается.</p></body></html>'
    assert read(page.encode("cp1251")).text == "Файл читается."
    assert (
        parse("<html><p>Größe".encode("latin-1"), "x", media="text/html; charset=ISO-8859-1").text == "Größe"
    )


def test_what_is_left_out_is_counted() -> None:
    draft = read(b"<html><p>Text</p><img src=a><img src=b><iframe src=c></iframe></html>")
    assert draft.lost == ["2 pictures", "1 frames"]
