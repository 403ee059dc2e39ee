"""The structure of a Markdown text without a parser, and which titles stand above a place.

Blocks as in CommonMark 0.31, sections 4 and 5, as far as cutting needs them: headings of both forms, fenced
and indented code, lists, tables (GitHub's), front matter; all else is a paragraph. Not covered: blocks within
quotes and within items of lists, which stay parts of the outer one.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from handbook.rag.nouns import Block

_FENCE = r"[ \t]*(?:`{3,}[^`\n]*$|~{3,})"
_HEADING = r"[ ]{0,3}\#{1,6}(?:[ \t]|$)"
_ITEM = r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:\s|$)"
_BLOCK = re.compile(
    rf"""
      (?P<matter>\A---[ \t]*\n(?s:.*?)^(?:---|\.\.\.)[ \t]*$)
    | ^[ \t]*(?P<fence>`{{3,}}(?=[^`\n]*$)|~{{3,}})[^\n]*
      (?:\n(?s:.*?)^[ \t]*(?P=fence)[`~]*[ \t]*$|(?s:.*))  # one that is never closed goes on to the end
    | (?P<heading>^{_HEADING}[^\n]*)
    | (?P<underlined>^(?!{_ITEM})[ ]{{0,3}}[^\s][^\n]*\n[ ]{{0,3}}(?:={{2,}}|-{{2,}})[ \t]*$)
    | (?P<other>(?:^(?!{_FENCE}|{_HEADING})[ \t]*[^\s][^\n]*(?:\n|\Z))+)
    """,
    re.MULTILINE | re.VERBOSE,
)
_LIST = re.compile(_ITEM)
_INDENT = re.compile(r"\t| {4}")
_ATX = re.compile(r"\s*#{1,6}(?:[ \t]+|$)")
_AFTER_TITLE = re.compile(r"[ \t]+#+[ \t]*$|[ \t]*\{[^{}\n]*\}[ \t]*$")


def markdown_blocks(text: str) -> tuple[Block, ...]:
    """The blocks of a Markdown text, in order, without the white space after them."""
    blocks: list[Block] = []
    for match in _BLOCK.finditer(text):
        start, end = match.start(), match.start() + len(match.group().rstrip())
        if match["heading"] is not None:
            marks = text[start:end].lstrip()
            blocks.append(Block("heading", start, end, len(marks) - len(marks.lstrip("#"))))
        elif match["underlined"] is not None:
            blocks.append(Block("heading", start, end, 1 if text[end - 1] == "=" else 2))
        elif match["other"] is not None:
            blocks.append(_other(text, start, end, blocks[-1].kind if blocks else ""))
        else:
            blocks.append(Block("code", start, end))
    return tuple(blocks)


def _other(text: str, start: int, end: int, before: str) -> Block:
    """Lines without a blank one between them: what their beginning says they are."""
    if _LIST.match(text, start):
        return Block("list", start, end)
    if _INDENT.match(text, start) and before != "list":
        return Block("code", start, end)
    first, _, rest = text[start:end].partition("\n")
    second = rest.partition("\n")[0]
    if "|" in first and "-" in second and set(second) <= set("|:- \t"):
        return Block("table", start, end)
    return Block("paragraph", start, end)


def title(text: str, heading: Block) -> str:
    """A heading's words, without what marks it as one."""
    line = text[heading.start : heading.end].strip().partition("\n")[0]
    return _AFTER_TITLE.sub("", _ATX.sub("", line, count=1)).strip()


class Titles:
    """The titles above each place of a text.

    Args:
        blocks: of the text, in order. A heading stands above all that follows it up to the next of its level
            or a higher one.
    """

    def __init__(self, text: str, blocks: Sequence[Block]) -> None:
        self._starts = [block.start for block in blocks]
        self._content = [block.kind != "heading" for block in blocks]
        self._paths: list[tuple[str, ...]] = []  # a block's, its own title included
        above: list[tuple[int, str]] = []
        path: tuple[str, ...] = ()
        for block in blocks:
            if block.kind == "heading":
                above = [pair for pair in above if pair[0] < block.level]
                above.append((block.level, title(text, block)))
                path = tuple(words for _, words in above if words)
            self._paths.append(path)

    def over(self, start: int, end: int) -> tuple[str, ...]:
        """The titles that all of text[start:end] stands under, outermost first. Titles within it count where
        nothing else stands before them."""
        first = max(0, bisect_right(self._starts, start) - 1)
        last = bisect_left(self._starts, end)
        paths = [self._paths[i] for i in range(first, last) if self._content[i]] or self._paths[first:last]
        common = paths[0] if paths else ()
        for path in paths[1:]:
            same = next((i for i, (a, b) in enumerate(zip(common, path, strict=False)) if a != b), None)
            common = common[: min(len(common), len(path)) if same is None else same]
        return common
