"""Where sentences end, in prose that is full of abbreviations, decimals and bracketed citations."""

import re

# A boundary: a final mark, closing quotes or brackets, citations such as [2] that trail the mark, white
# space, and a start that looks like one (a capital, a digit, an opening quote or bracket, a formula or code).
_BOUNDARY = re.compile(
    r"""[.!?\u2026]["'\u201d\u2019)\]]*(?:\s*\[\d+\])*(\s+)"""
    r"""(?=["'\u201c\u2018(\[$`]?[A-Z0-9\u00c0-\u00de\\$`])"""
)
_ABBREVIATIONS = frozenset(
    {
        "e.g",
        "i.e",
        "cf",
        "vs",
        "al",
        "etc",
        "eq",
        "eqs",
        "fig",
        "figs",
        "sec",
        "secs",
        "ch",
        "no",
        "nos",
        "approx",
    }
    | {"resp", "dr", "mr", "mrs", "prof", "st", "p", "pp", "vol"}
)
_LAST_WORD = re.compile(r"([\w.]+)[.!?\u2026][^\w]*$")


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the white space around: `text[start:end]` is one."""
    cuts = [match for match in _BOUNDARY.finditer(text) if not _abbreviated(text[: match.start() + 1])]
    starts = [0, *(match.end(1) for match in cuts)]
    ends = [*(match.start(1) for match in cuts), len(text)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        piece = text[start:end]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            found.append((left, left + len(piece.strip())))
    return found


def split(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [text[start:end] for start, end in spans(text)]


def _abbreviated(head: str) -> bool:
    """Whether the mark that ends `head` belongs to an abbreviation ('sec.') or an initial ('J.')."""
    match = _LAST_WORD.search(head)
    if match is None or head[-1] != ".":
        return False
    word = match.group(1).lower().rstrip(".")
    return word in _ABBREVIATIONS or (len(word) == 1 and match.group(1).isupper())
