"""Text without markup: as it stands. Its only structure is blank lines, which stage 2 sees for itself."""

from handbook.rag.formats.characters import clean, decode
from handbook.rag.formats.draft import Draft


def read(data: bytes, declared: str = "") -> Draft:
    """A plain text in any encoding. Raises Unreadable for what is no text."""
    draft = Draft()
    draft.text = clean(text_of(data, draft, declared))
    return draft


def text_of(data: bytes, draft: Draft, declared: str = "") -> str:
    """The characters of a file, its encoding and its losses noted in `draft`."""
    text, encoding, lost = decode(data, declared)
    if encoding != "utf-8":
        draft.metadata["encoding"] = encoding
    if lost:
        draft.lost.append(lost)
    return text
