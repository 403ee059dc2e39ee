"""A question of the book as a note of Anki: its guid, its fields in HTML, and the note type that shows them.

The guid is made of the question's id alone. Anki tells notes apart by it, so a second import updates the
note where it stands, and a package that comes back is recognised. HTML is reduced to a few tags without
attributes: a card has no style sheet of ours, and its links would lead nowhere. Formulas are marked as Anki's
MathJax wants them.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from handbook.practice.places import title_of, url_of

if TYPE_CHECKING:
    from lxml.html import HtmlElement

    from handbook.book.nouns import Book, Chapter
    from handbook.records import Question

PREFIX = "genai-lead-handbook:"  # of our guids
FIELDS = ("Question", "Answer", "Criteria", "Mistakes", "Follow-ups", "Where", "Level", "Id")
DECK = "GenAI Lead Handbook"
NOTE_TYPE = "GenAI Lead Handbook question"
BEGINNING = 1_577_836_800_000  # ms: 2020; ids of notes and cards look like the moments that Anki gives
SPAN = 4 * 365 * 86_400_000
TEXT = ("p", "ul", "ol", "li", "strong", "em", "code", "pre", "br", "blockquote", "sub", "sup")
KEPT = frozenset((*TEXT, "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"))
FRONT = '{{Question}}<p class="small">{{Level}}. Answer in your own words before you turn it.</p>'
BACK = """{{FrontSide}}<hr id="answer">{{Answer}}
<h4>A good answer</h4>{{Criteria}}
{{#Mistakes}}<h4>Mistakes to know</h4>{{Mistakes}}{{/Mistakes}}
{{#Follow-ups}}<h4>They may go on</h4>{{Follow-ups}}{{/Follow-ups}}
<p class="small">{{Where}}</p>"""
STYLE = """.card { font-family: serif; font-size: 18px; line-height: 1.5; max-width: 40em; margin: 0 auto; }
.small { font-size: 15px; opacity: 0.75; }
pre { overflow-x: auto; font-size: 15px; }
table { border-collapse: collapse; } th, td { border: 1px solid; padding: 0.2em 0.5em; }"""
TEMPLATE = (FRONT, BACK, STYLE)


def guid(question: str) -> str:
    return PREFIX + question


def number(*names: str) -> int:
    """A whole number that these names always have, as Anki's ids are: a moment in milliseconds."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return BEGINNING + int.from_bytes(digest[:8], "big") % SPAN


def fields(book: Book, chapter: Chapter, question: Question) -> tuple[str, ...]:
    """In the order of FIELDS."""
    from handbook.book.render import render_fragment

    def html(text: str) -> str:
        return simple(render_fragment(book, chapter, text))

    def items(texts: list[str]) -> str:
        return f"<ul>{''.join(f'<li>{_bare(html(each))}</li>' for each in texts)}</ul>" if texts else ""

    criteria = [f"{each.yes}{' **(a must)**' if each.must else ''}" for each in question.criteria]
    mistakes = [f"*{each.wrong.strip()}* {each.correction}" for each in question.misconceptions]
    follow_ups = [each.ask for each in question.follow_ups]
    where = f"{escaped(title_of(book, question))}: <code>{escaped(url_of(book, question))}</code>"
    return (
        html(question.prompt),
        html(question.answer),
        items(criteria),
        items(mistakes),
        items(follow_ups),
        f"The handbook answers it in {where}",
        question.level.capitalize(),
        question.id,
    )


def tags(question: Question) -> str:
    """As Anki keeps them: apart by spaces, and one at either end."""
    part, _, slug = question.chapter.partition("/")
    return f" handbook::{part}::{slug} level::{question.level} kind::{question.kind} "


def simple(html: str) -> str:
    """HTML of a page reduced to KEPT, formulas between MathJax's brackets, code with its line breaks."""
    from lxml import html as trees

    root = trees.fragment_fromstring(html, create_parent="div")
    for each in list(root.iter()):
        if not isinstance(each.tag, str):  # a comment
            each.drop_tree()
        elif each.get("data-tex") is not None:
            _formula(each)
    for each in list(root.iter()):
        if each is root:
            continue
        if each.tag not in KEPT:
            each.drop_tag()
        else:
            each.attrib.clear()
    text: str = trees.tostring(root, encoding="unicode")
    return text.removeprefix("<div>").removesuffix("</div>").replace("\x1f", " ").strip()


def _formula(each: HtmlElement) -> None:
    tex = str(each.get("data-tex"))
    for child in list(each):
        each.remove(child)
    opening, closing = (r"\[", r"\]") if each.tag == "div" else (r"\(", r"\)")
    each.text = f"{opening}{tex}{closing}"


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(html: str) -> str:
    """The text by which Anki sorts and compares first fields."""
    from html import unescape

    return unescape(re.sub(r"<[^>]*>", "", html)).strip()


def checksum(html: str) -> int:
    """Of a first field: the first 32 bits of the SHA-1 of its text."""
    return int(hashlib.sha1(plain(html).encode(), usedforsecurity=False).hexdigest()[:8], 16)


def _bare(html: str) -> str:
    found = re.fullmatch(r"<p>(.*)</p>", html, re.DOTALL)
    return found[1] if found and "<p>" not in found[1] else html
