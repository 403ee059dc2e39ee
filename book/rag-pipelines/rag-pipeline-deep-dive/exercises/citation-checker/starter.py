"""Does the passage that a sentence cites carry it?"""

from collections.abc import Sequence
from typing import NamedTuple

_STOP = (
    "a an the and or of in on at to for by with from as is are was were be been it its this that these those"
)
_NEGATIONS = "not no never none nothing neither nor without cannot"

STOP = frozenset(_STOP.split())
NEGATIONS = frozenset(_NEGATIONS.split())


class Verdict(NamedTuple):
    text: str  # the sentence without its marks
    cited: tuple[int, ...]
    why: str  # "" where it is carried


def check(sentence: str, passages: Sequence[Sequence[str]], least: float = 0.6) -> Verdict:
    raise NotImplementedError("marks, words, numbers, negation")
