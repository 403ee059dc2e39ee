"""Stage 1: what a parser loses without saying so. Pages are made here, of the book's own text: a PDF set in
two columns, lines broken at hyphens, a web page with its frame."""

import html
import re
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest

from handbook.lab.rag.chapters import shelf
from handbook.rag.ingest import parse
from handbook.rag.sentences import split
from handbook.rag.text import words

COLUMN = 44  # characters of a line
LINES = 50  # of a page
LEFT, RIGHT, TOP, LEADING, SIZE = 60, 320, 740, 13, 9
Line = tuple[float, float, str]  # left, baseline, text


@cache
def prose(small: bool = True) -> str:
    """A chapter's sentences that are made of plain words: what Helvetica can set and a reader compare."""
    text = shelf(small).documents[0].text
    found = (" ".join(line.split()) for line in text.split("\n\n") if not line.startswith("#"))
    plain = (
        line for line in found if re.fullmatch(r"[\w\s.,;:?!'()%-]+", line, re.ASCII) and "_" not in line
    )
    return " ".join(line for line in plain if line.endswith("."))


def broken(text: str, width: int = COLUMN, hyphens: bool = False) -> list[str]:
    """The text in lines. hyphens: a word of six letters and more that does not fit is cut in two."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            room = width - len(line) - 2
            if hyphens and len(word) > 5 and word.isalpha() and 1 < room < len(word) - 1:
                line, word = f"{line} {word[:room]}-", word[room:]
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def pages(lines: Sequence[str], across: bool) -> list[list[Line]]:
    """Two columns a page. across: in the file the rows come one after the other, left and right; else the
    left column comes first, as it is read. On paper both look the same."""
    found = []
    for start in range(0, len(lines), 2 * LINES):
        left, right = lines[start : start + LINES], lines[start + LINES : start + 2 * LINES]
        columns = [
            [(at, TOP - LEADING * row, text) for row, text in enumerate(column)]
            for at, column in ((LEFT, left), (RIGHT, right))
        ]
        if across:
            rows = zip_longest(*columns)
            found.append([line for row in rows for line in row if line is not None])
        else:
            found.append([*columns[0], *columns[1]])
    return found


def pdf(pages: Sequence[Sequence[Line]]) -> bytes:
    """The smallest PDF that shows them, in Helvetica."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for page in pages:
        drawn = "\n".join(
            f"BT /F {SIZE} Tf {left} {base} Td ({_escaped(text)}) Tj ET" for left, base, text in page
        )
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>"
            f"/Contents {len(objects) + 2} 0 R>>"
        )
        objects.append(f"<</Length {len(drawn)}>>\nstream\n{drawn}\nendstream")
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>"
    out, places = "%PDF-1.4\n", []
    for number, said in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{said}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    begun = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}"
    out += f"{begun}trailer\n<</Size {len(places) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF\n"
    return out.encode("latin-1")


def _escaped(text: str) -> str:
    return text.replace("(", "\\(").replace(")", "\\)")


def whole(text: str, found: str) -> float:
    """Share of a text's sentences that stand in what was read, white space aside."""
    read = " ".join(found.split())
    sentences = split(text)
    return sum(" ".join(one.split()) in read for one in sentences) / len(sentences)


@cache
def _read(small: bool, across: bool, hyphens: bool = False) -> str:
    return parse(pdf(pages(broken(prose(small), hyphens=hyphens), across)), "paper.pdf").text


def parse_columns_kept(small: bool = True) -> float:
    """Sentences that survive where the file has the columns row by row."""
    return whole(prose(small), _read(small, across=True))


def parse_down_kept(small: bool = True) -> float:
    """And where it has them one after the other."""
    return whole(prose(small), _read(small, across=False))


def parse_columns_letters(small: bool = True) -> float:
    """Letters that survive in the first case, counted: what a count of characters would say."""
    return _letters(_read(small, across=True)) / _letters(prose(small))


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def parse_hyphens_lost(small: bool = True) -> float:
    """Share of the words that full text no longer finds as they are, where lines end in hyphens and are put
    together as they stand."""
    left = words("\n".join(broken(prose(small), hyphens=True)))
    return 1 - _common(words(prose(small)), left)


def parse_hyphens_mended(small: bool = True) -> float:
    """The same after our reader of PDF, which puts them together again."""
    return 1 - _common(words(prose(small)), words(_read(small, across=False, hyphens=True)))


def _common(own: Sequence[str], found: Sequence[str]) -> float:
    from collections import Counter

    return (Counter(own) & Counter(found)).total() / len(own)


def page(small: bool = True) -> tuple[str, str]:
    """A web page around the first paragraphs of a chapter, and its content. The frame is that of many sites:
    a menu, a notice about cookies, related pages, scripts, a footer."""
    said = split(prose(small))[:40]
    content = [" ".join(said[start : start + 4]) for start in range(0, len(said), 4)]
    names = ["Home", "Products", "Pricing", "Customers", "Partners", "Blog", "Careers", "Contact"] * 3
    menu = "".join(f'<li><a href="/t/{n}">{name}</a></li>' for n, name in enumerate(names))
    related = "".join(
        f'<a href="/r/{n}">Ten things nobody tells you about topic {n}: read more</a>' for n in range(12)
    )
    script = "var a = window.analytics || []; a.push(['track', 'view', {page: 'article'}]);" * 12
    body = "".join(f"<p>{html.escape(one)}</p>" for one in content)
    made = f"""<!doctype html><html lang="en"><head><title>An article</title>
<style>.menu li {{ color: red }}</style>
<script>{script}</script></head><body><nav class="menu"><ul>{menu}</ul></nav>
<div class="cookie-banner"><p>We use cookies to improve your experience. By clicking accept you agree to our
terms and to the processing of your data by our partners.</p><button>Accept all</button></div>
<main><article><h1>An article</h1>{body}</article></main><aside>{related}</aside>
<footer><ul>{menu}</ul><p>All rights reserved. Terms, privacy, imprint.</p></footer></body></html>"""
    return made, "\n\n".join(content)


def parse_page_noise(small: bool = True) -> float:
    """Share of the page's words that are not its content where tags are taken off and nothing else."""
    made, content = page(small)
    stripped = words(html.unescape(re.sub(r"<[^>]*>", " ", made)))
    return 1 - _common(stripped, words(content))


def parse_page_left(small: bool = True) -> float:
    """The same of what our reader gives."""
    made, content = page(small)
    return 1 - _common(words(parse(made.encode(), "article.html").text), words(content))


def parse_page_kept(small: bool = True) -> float:
    """Share of the content's words that our reader gives."""
    made, content = page(small)
    return _common(words(content), words(parse(made.encode(), "article.html").text))
