"""Where sentences end, in prose that is full of abbreviations, decimals and bracketed citations.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re

# A boundary: a final mark, closing quotes or brackets, citations such as [2] that trail the mark, white
# space, and a start that looks like one (a capital, a digit, an opening quote or bracket, a formula or code).
_BOUNDARY = re.compile(
    r"""[.!?\u2026]["'\u201d\u2019)\]]*(?:\s*\[\d+\])*(\s+)(?!\[\d)"""
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
_LOOKED_AT = 64  # characters before a mark: more than any abbreviation has, and a long text takes no longer
_ENDINGS = tuple(_ABBREVIATIONS)


def boundaries(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Where sentences of text[start:end] end and the next ones begin."""
    found = _BOUNDARY.finditer(text, start, len(text) if end is None else end)
    return [match.span(1) for match in found if not _abbreviated(text, start, match.start())]


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the white space around: `text[start:end]` is one."""
    cuts = boundaries(text)
    starts = [0, *(start for _, start in cuts)]
    ends = [*(end for end, _ in cuts), len(text)]
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


def _abbreviated(text: str, start: int, mark: int) -> bool:
    """Whether the mark text[mark] belongs to an abbreviation ('sec.') or an initial ('J.')."""
    if text[mark] != ".":
        return False
    last = text[mark - 1] if mark > start else ""
    if (
        last.isalnum()
        and not last.isupper()
        and not text[max(start, mark - 6) : mark].lower().endswith(_ENDINGS)
    ):
        return False  # as nearly always
    head = text[max(start, mark - _LOOKED_AT) : mark + 1]
    match = _LAST_WORD.search(head)
    if match is None:
        return False
    last = match.group(1).lower().rstrip(".")
    return last in _ABBREVIATIONS or (len(last) == 1 and match.group(1).isupper())
