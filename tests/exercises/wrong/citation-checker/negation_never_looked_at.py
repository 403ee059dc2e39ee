# Fault: negation is not looked at.
# Rejected by: test_worked_example

import re
from typing import NamedTuple

_STOP = (
    "a an the and or of in on at to for by with from as is are was were be been it its this that these those"
)
_NEGATIONS = "not no never none nothing neither nor without cannot"

STOP = frozenset(_STOP.split())
NEGATIONS = frozenset(_NEGATIONS.split())
MARKS = r"\s*\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]"
LETTERS = r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*"


class Verdict(NamedTuple):
    text: str
    cited: tuple[int, ...]
    why: str


def negates(word):
    return word in NEGATIONS or word.replace("\u2019", "'").endswith("n't")


def read(text):
    text = re.sub(MARKS, "", text)
    found = re.findall(LETTERS, text.lower())
    words = {word for word in found if word not in STOP and not negates(word)}
    numbers = {number.replace(",", "") for number in re.findall(r"\d+(?:[.,]\d+)*", text)}
    return words, numbers, any(negates(word) for word in found)


def check(sentence, passages, least=0.6):
    text = re.sub(MARKS, "", sentence).strip()
    cited = []
    for group in re.findall(MARKS, sentence):
        for n in group.split(","):
            if int(n) not in cited:
                cited.append(int(n))
    if not cited:
        return Verdict(text, (), "nothing cited")
    if min(cited) < 1 or max(cited) > len(passages):
        return Verdict(text, tuple(cited), "no such passage")
    words, numbers, _negated = read(text)
    passed = 0
    for n in cited:
        for other in passages[n - 1]:
            its_words, its_numbers, _its_negated = read(other)
            if not words or len(words & its_words) / len(words) < least:
                continue
            passed = max(passed, 1)
            if not numbers <= its_numbers:
                continue
            passed = max(passed, 2)
            if True:
                passed = 3
    return Verdict(text, tuple(cited), ["not said", "another figure", "negated", ""][passed])
