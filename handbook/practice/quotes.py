"""Where a quote stands in a text: verbatim, or up to white space, letter case and typographic marks."""

import re
import unicodedata

LEAST = 2  # letters or digits that a quote has at least
MOST = 2_000  # characters; a longer one is looked for as it is, since each word costs a part of a pattern
_SPACE = re.compile(r"\s+")
_ALIKE = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
)


def find(text: str, quote: str) -> tuple[int, int] | None:
    """(start, end) in the text, or None. What is found is the text's own wording, never the quote's."""
    quote = quote.strip().strip('"\u201c\u201d').strip()
    if sum(c.isalnum() for c in quote) < LEAST:
        return None
    at = text.find(quote)
    if at >= 0:
        return at, at + len(quote)
    if len(quote) > MOST:
        return None
    words = [re.escape(word) for word in _SPACE.split(_plain(quote).rstrip(". \u2026")) if word]
    if not words:
        return None
    match = re.search(r"\s+".join(words), _plain(text))
    return match.span() if match else None


def _plain(text: str) -> str:
    """Of the same length, character by character."""
    return "".join(_one(c) for c in text)


def _one(c: str) -> str:
    folded = unicodedata.normalize("NFKC", c).translate(_ALIKE).lower()
    return folded if len(folded) == 1 else c
