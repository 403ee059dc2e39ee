"""The question as it is meant: one form for what can be typed in several, and without its courtesies.

Folded are only forms that mean the same in any text: ligatures, full-width letters, curly quotes, hyphens
of all lengths within words (Unicode Standard Annex 15, compatibility mappings, table 1). "x\u00b2" stays:
it is not "x2".
"""

import re
import unicodedata
from dataclasses import dataclass

from handbook.errors import HandbookError

LONGEST = 2000  # characters of a question

_FOLDED = {
    **{ord(c): unicodedata.normalize("NFKC", c) for c in map(chr, range(0xFB00, 0xFB07))},  # fi, fl, ...
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full width
    **dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201f\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2043"), "-"),
    ord("\u00ad"): None,  # soft hyphen
}
_COURTESY = re.compile(
    r"(?:(?:hi|hello|hey|dear|good (?:morning|evening|afternoon))(?: (?:there|all|team))?\s*[,!.]+\s*"
    r"|(?:ok|okay|so|well|sorry|excuse me|quick question|one question)\s*[,:!]\s*"
    r"|(?:please|pls|kindly),?\s+(?=\w+ )"
    r"|(?:can|could|would|will) you (?:please |kindly )?(?:tell|explain to|show|help) me\s+(?:understand\s+)?"
    r"|(?:can|could|would|will) you (?:please |kindly )?(?=explain|describe|compare|define|list|give)"
    r"|i(?:'d| would) (?:like|love) to (?:know|understand|learn|ask)\s+"
    r"|i (?:want|need) to (?:know|understand)\s+"
    r"|(?:do you know|i was wondering|i wonder|tell me)[, ]+"
    r"(?=(?:what|how|why|when|where|which|who|if|whether)\b))",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"[\s,.!]+(?:please|pls|thanks|thank you|thx|cheers)"
    r"(?: (?:a lot|so much|in advance|very much))?(?=[\s!.?]*$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Normalised:
    """given: as it was typed. text: as the next stages have it. changes: what was done, in words."""

    given: str
    text: str
    changes: tuple[str, ...] = ()


def normalise(question: str) -> Normalised:
    """One line, one form of each character, no courtesies; capitals only where the whole isn't in them.

    Applied to its own result it changes nothing.

    Raises:
        HandbookError: nothing was asked, or more than `LONGEST` characters.
    """
    if len(question) > LONGEST:
        what = f"Expected a question of at most {LONGEST} characters, got {len(question)}."
        raise HandbookError(what, "Ask a shorter one.")
    text, changes = question, []
    for says, change in (
        ("characters in one form", _folded),
        ("white space and marks single", _spaced),
        ("courtesies left out", _courteous),
        ("capitals made small", _calm),
    ):
        after = change(text)
        if after != text:
            changes.append(says)
        text = after
    if not text:
        raise HandbookError("Expected a question, got nothing.", "Type a question.")
    return Normalised(question, text, tuple(changes))


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text.translate(_FOLDED))
    # Cc: control, Cf: invisible, among them marks that turn the direction of text, Cs: half characters.
    kept = (
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs") else " " if c in "\t\n\r\x0b\x0c\x85" else ""
        for c in text
    )
    return unicodedata.normalize("NFC", "".join(kept))


def _spaced(text: str) -> str:
    return re.sub(r"([?!])[?!]+", r"\1", re.sub(r"\s+", " ", text)).strip()


def _courteous(text: str) -> str:
    """Without greetings, requests and thanks, as long as something with letters is left."""
    while True:
        left = _spaced(_THANKS.sub("", _COURTESY.sub("", text, count=1) if _COURTESY.match(text) else text))
        if left == text or not re.search(r"\w", left):
            return text
        text = left[:1].upper() + left[1:] if text[:1].isupper() and left.split()[0].islower() else left


def _calm(text: str) -> str:
    """In small letters, where three words or more are all in capitals."""
    return text.lower() if len(text.split()) > 2 and text.isupper() and re.search(r"[A-Z]{4}", text) else text
