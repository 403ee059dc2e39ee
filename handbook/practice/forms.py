"""How an answer is said, whatever it is about. A meaning can be there without being claimed: hedged, asked,
reported from others, or as a row of words. None of these signs decides alone; the calibration weighs them.

hedged     hedging words of the piece ("may", "either", "depends"), over the root of its length
hedging    share of the answer's sentences that hedge or ask
reported   1 where the piece says that others say something; half where a sentence beside it does
rejected   1 where the piece turns something down; half where a sentence beside it does
joined     share of the piece's words that join (articles, verbs, prepositions) or relate (signs)
rows       share of the answer's sentences that are keywords in a row
orders     1 where a sentence of the answer speaks to the grader
new        share of the piece's content words that the question does not have
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handbook.practice.evidence import (
    ASKED,
    DENIED,
    HEDGED,
    ORDER,
    ROWS,
    STOP,
    Reading,
    content,
)
from handbook.practice.pieces import Piece

FORMS = ("hedged", "hedging", "reported", "rejected", "joined", "rows", "orders", "new")
LEAST_JOINED = 0.12  # a sentence with less is next to a row of keywords
Numbers = NDArray[np.float32]

_HEDGE = re.compile(
    r"\b(?:may(?:be)?|might|could|perhaps|possibly|presumably|either|or|depends?|depending|somewhere|somehow"
    r"|sometimes|some|probably|unclear|unsure|not sure|who knows|one (?:could|would|has to)|whichever|whether"
    r"|hard to|difficult to|if i remember|something like|or so|roughly speaking|in a way|one way or)\b",
    re.IGNORECASE,
)
_WHO = (
    r"some|many|most|people|folks|they|others|everyone|everybody|someone|somebody|whoever|anyone|who|teacher"
    r"|(?:text)?books?|papers?|posts?|blogs?|vendors?|colleagues?|school|critics?|consultants?|tutorials?"
    r"|slides|story|view|advice|worry|objection|myth|hype|folklore|one (?:often|sometimes|usually)"
    r"|you (?:might|will|may)"
)
_SAY = (
    r"sa(?:y|ys|id)|claim(?:s|ed)?|argue[sd]?|assert(?:s|ed)?|tell|told|insists?|think|thought|believe[sd]?"
    r"|recommend(?:s|ed)?|write|wrote|reads?|heard?|goes|repeats?|quoted?|proposes?|ask(?:s|ed)?|is|was"
)
_REPORT = re.compile(
    rf"\b(?:{_WHO})\b[^.;]{{0,30}}\b(?:{_SAY})\b"
    r"|\b(?:according to|supposed(?:ly)?|so-called|allegedly|rumou?r\w*|used to say)\b"
    r"|\bi(?:'ve| have) (?:heard|read)\b",
    re.IGNORECASE,
)
_REJECT = re.compile(
    r"\b(?:wrong|false|untrue|nonsense|rubbish|mistaken|incorrect|overrated|exaggerated|misguided|outdated"
    r"|academic|superstition|hype|waste of|disagree|doubt(?:s|ed|ful)?|dismiss(?:ed)?|ignore[sd]?"
    r"|reject(?:ed)?|(?:don't|do not) (?:buy|believe|think|agree)|never (?:believed|convinced|saw|seen|found)"
    r"|not (?:true|right|so|the case|correct|convinced|worth)|no(?:body| one) (?:needs|should)"
    r"|need(?:n't| not)|far from|hardly ever|unnecessary|needless(?:ly)?|forget (?:about )?(?:it|that)|as if"
    r"|i side with|leave that to)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_VERB = re.compile(r"^(?:\w{2,}(?:ed|ing|es|s)|is|are|was|were|be|gets?|keeps?|needs?)$")
_SIGN = re.compile(r"[=<>≈≤≥→⇒∝:]|->|=>|[+*/\u00b7\u00d7^~%]")


def forms(reading: Reading, pieces: Sequence[Piece]) -> Numbers:
    """[P, FORMS] of pieces of that answer."""
    own = [each for each in reading.sentences if each.weak != ORDER]
    count = max(1, len(own))
    hedging = sum(bool(_HEDGE.search(s.text)) or s.weak in (HEDGED, ASKED) for s in own) / count
    rows = sum(s.weak == ROWS or _joined(s.text) < LEAST_JOINED for s in own) / count
    orders = float(len(own) < len(reading.sentences))
    reports = [bool(_REPORT.search(each.text)) for each in reading.sentences]
    rejects = [each.weak == DENIED or bool(_REJECT.search(each.text)) for each in reading.sentences]
    asked = frozenset(content(reading.question.prompt))
    out = np.zeros((len(pieces), len(FORMS)), np.float32)
    for row, piece in enumerate(pieces):
        words = max(1, len(_WORD.findall(piece.text)))
        stems = content(piece.text)
        out[row] = (
            len(_HEDGE.findall(piece.text)) / math.sqrt(words),
            hedging,
            _around(reading.sentences, reports, piece),
            _around(reading.sentences, rejects, piece),
            _joined(piece.text),
            rows,
            orders,
            sum(stem not in asked for stem in stems) / max(1, len(stems)),
        )
    return out


def _around(sentences: Sequence[Piece], told: Sequence[bool], piece: Piece) -> float:
    within = [n for n, each in enumerate(sentences) if each.start < piece.end and each.end > piece.start]
    if not within:
        return 0.0
    if any(told[n] for n in within):
        return 1.0
    beside = (within[0] - 1, within[-1] + 1)
    return 0.5 if any(0 <= n < len(told) and told[n] for n in beside) else 0.0


def _joined(text: str) -> float:
    words = _WORD.findall(text.lower())
    joining = sum(word in STOP or bool(_VERB.match(word)) for word in words) + len(_SIGN.findall(text))
    return min(1.0, joining / max(1, len(words)))
