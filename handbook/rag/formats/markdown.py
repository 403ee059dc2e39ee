"""Markdown: the source as written, so that what is cited can be found in the file.

Two things leave the text: the front matter, which is metadata, and comments on lines of their own (CommonMark
0.31, section 4.6, kind 2), which no reader of the page sees and which are therefore a place for instructions
to models.
"""

import re
import tomllib
from bisect import bisect_right

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.plain import text_of
from handbook.rag.nouns import Block
from handbook.rag.outline import markdown_blocks, title

MATTER = 64 << 10  # characters of a front matter; what is longer is text
_YAML = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_TOML = re.compile(r"\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"([A-Za-z][\w .-]{0,60}?)[ \t]*:(?:[ \t]+(.*))?")
_COMMENT = re.compile(r"^ {0,3}<!--(?!-?>)", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*\n?")


def read(data: bytes, declared: str = "") -> Draft:
    """A Markdown file; its title is its front matter's, else its first heading."""
    draft = Draft()
    text = _without_matter(clean(text_of(data, draft, declared)), draft)
    blocks = markdown_blocks(text)
    if "<!--" in text and (shown := _shown(text, blocks, draft)) is not text:
        text, blocks = shown, markdown_blocks(shown)
    draft.text, draft.blocks = text, list(blocks)
    draft.title = draft.metadata.pop("title", "") or draft.metadata.pop("Title", "")
    if not draft.title:
        first = next((block for block in blocks if block.kind == "heading"), None)
        draft.title = one_line(title(text, first)) if first else ""
    draft.language = draft.metadata.get("lang", "") or draft.metadata.get("language", "")
    return draft


def _without_matter(text: str, draft: Draft) -> str:
    """The text after its front matter. YAML is read a line at a time, as far as names with plain values and
    lists go: what a file says of itself needs no more, and nothing can expand."""
    if match := _TOML.match(text, 0, MATTER):
        try:
            table = tomllib.loads(match[1])
        except tomllib.TOMLDecodeError:
            draft.lost.append("the front matter: it is no TOML")
            table = {}
        draft.metadata |= {
            key: one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for key, value in table.items()
            if not isinstance(value, dict)
        }
    elif match := _YAML.match(text, 0, MATTER):
        lines = [line for line in match[1].splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if lines and not _PAIR.fullmatch(lines[0].rstrip()):
            return text  # a rule, then text
        key = ""
        for line in lines:
            if (
                not line[0].isspace()
                and not line.startswith("- ")
                and (pair := _PAIR.fullmatch(line.rstrip()))
            ):
                key, value = pair[1], (pair[2] or "").strip()
                draft.metadata[key] = (
                    ", ".join(_unquoted(part) for part in value[1:-1].split(","))
                    if (value.startswith("[") and value.endswith("]"))
                    else _unquoted(value)
                )
            elif key and line.lstrip().startswith("- "):
                item = _unquoted(line.lstrip()[2:])
                draft.metadata[key] = f"{draft.metadata[key]}, {item}" if draft.metadata[key] else item
    return text[match.end() :] if match else text


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _shown(text: str, blocks: tuple[Block, ...], draft: Draft) -> str:
    """The text without comments outside of code; the same object where there are none."""
    code = [block for block in blocks if block.kind == "code"]
    starts = [block.start for block in code]
    parts: list[str] = []
    kept, place, count = 0, 0, 0  # up to where the text is in `parts`, and looked at
    while match := _COMMENT.search(text, place):
        i = bisect_right(starts, match.start()) - 1
        if i >= 0 and match.start() < code[i].end:
            place = code[i].end
            continue
        place = text.find("-->", match.end()) + len("-->")
        if place < len("-->"):
            break  # never closed; nor is what comes after
        parts.append(text[kept : match.start()])
        rest = _LINE_END.match(text, place)
        kept = place = rest.end() if rest else place
        count += 1
    if not count:
        return text
    draft.lost.append(f"{count} comment{'s' * (count > 1)}, which no reader of the page sees")
    return "".join((*parts, text[kept:]))
