"""A document while it is being parsed: text grows block by block, so that every offset is exact from the
start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from handbook.rag.formats.faults import BLOCKS, CHARACTERS, Unreadable
from handbook.rag.nouns import Block, BlockKind


@dataclass
class Draft:
    """What a format's reader fills. `finish` gives text, blocks and pages; the rest is read as it is."""

    title: str = ""
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    text: str = ""  # of formats that have their text at once; else `add` makes it
    blocks: list[Block] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _at: int = 0

    def add(self, kind: BlockKind, text: str, level: int = 0, breaks: Sequence[int] = ()) -> None:
        """A block, with a blank line before it. Its text has to be clean (`characters.clean`).

        breaks: where in it a page begins.
        """
        text = text.rstrip().lstrip("\n") if kind == "code" else text.strip()
        if not text.strip():
            return
        if self._parts:
            self._parts.append("\n\n")
            self._at += 2
        self._parts.append(text)
        if self._at + len(text) > CHARACTERS:
            raise Unreadable(
                f"The document's text is longer than {CHARACTERS:,} characters.", "Split it into several."
            )
        self.pages += [self._at + place for place in breaks]
        self.blocks.append(Block(kind, self._at, self._at + len(text), level))
        self._at += len(text)

    def page(self) -> None:
        """A page begins here: at the next block, where one comes."""
        self.pages.append(self._at + 2 if self._parts else 0)

    def finish(self) -> None:
        """Put the text together."""
        if self._parts:
            self.text = "".join(self._parts)
            self._parts.clear()
        self.pages = [min(place, len(self.text)) for place in self.pages]
        if len(self.blocks) > BLOCKS:
            self.lost.append(f"structure: more than {BLOCKS:,} blocks, so none are kept")
            self.blocks.clear()

    def first_heading(self) -> str:
        """The first title in the text, '' where there is none."""
        block = next((block for block in self.blocks if block.kind == "heading"), None)
        return one_line(self.text[block.start : block.end]) if block else ""


def one_line(text: str) -> str:
    """A text without line ends and double spaces."""
    return " ".join(text.split())
