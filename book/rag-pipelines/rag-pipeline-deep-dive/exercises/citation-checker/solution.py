"""Similarity, not entailment: each gate is cheap and can only say no.

The handbook's own is `handbook.rag.support`, which also asks the retrieval model how near the two sentences
are and weighs words by how telling they are; a test compares marks, numbers and negation. Every gate keeps
who passed it, so the first that nobody passes is the reason that is shown.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_STOP = (
    "a an the and or of in on at to for by with from as is are was were be been it its this that these those"
)
_NEGATIONS = "not no never none nothing neither nor without cannot"

STOP = frozenset(_STOP.split())
NEGATIONS = frozenset(_NEGATIONS.split())

MARK = re.compile(r"\s*\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class Verdict(NamedTuple):
    text: str  # the sentence without its marks
    cited: tuple[int, ...]
    why: str  # "" where it is carried


def check(sentence: str, passages: Sequence[Sequence[str]], least: float = 0.6) -> Verdict:
    text = plain(sentence)
    numbered = [int(n) for group in MARK.findall(sentence) for n in group.split(",")]
    cited = tuple(dict.fromkeys(numbered))
    return Verdict(text, cited, reason(text, cited, passages, least))


def reason(text: str, cited: Sequence[int], passages: Sequence[Sequence[str]], least: float) -> str:
    if not cited:
        return "nothing cited"
    if not all(1 <= n <= len(passages) for n in cited):  # 0 would be the last one to Python
        return "no such passage"
    own = words(text)
    said = [plain(other) for n in cited for other in passages[n - 1]]
    near = [other for other in said if own and len(own & words(other)) / len(own) >= least]
    right = [other for other in near if numbers(text) <= numbers(other)]
    same = [other for other in right if negated(other) == negated(text)]
    return "" if same else "negated" if right else "another figure" if near else "not said"


def plain(text: str) -> str:
    return MARK.sub("", text).strip()


def words(text: str) -> set[str]:
    return {word for word in WORD.findall(text.lower()) if word not in STOP and not negation(word)}


def numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in NUMBER.findall(text)}


def negated(text: str) -> bool:
    return any(negation(word) for word in WORD.findall(text.lower()))


def negation(word: str) -> bool:
    return word in NEGATIONS or word.endswith(("n't", "n\u2019t"))
