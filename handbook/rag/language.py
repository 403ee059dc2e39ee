"""Which language a text is in: by its script, and where several share one, by its shortest words.

A page of any language is full of its articles, prepositions and pronouns, so counting the few dozen commonest
ones decides between languages of one script; it needs no model and a sentence or two of text (Grefenstette
1995, "Comparing two language identification schemes", JADT, which finds short words as good as trigrams from
some fifteen words on). Where it is not sure it says nothing. Not covered: mixed texts, languages not in the
table.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path

SAMPLE = 2400  # characters, from the beginning and the middle
LEAST = 3  # words that must be recognised
AHEAD = 1.25  # how many times the score of the next language the best must have
SHARE = 0.08  # of words that must be recognised

_WORD = re.compile(r"[^\s\d_!-&(-/:-@\[-`{-~\xa1-\xbf\u060c\u061f\u06d4\u0964\u201c-\u2026]+")
_BEYOND = re.compile("[\u0370-\uffff]")  # letters, mostly, of other scripts than Latin


@cache
def _common() -> dict[str, tuple[str, ...]]:
    """Languages by each of their commonest words."""
    languages: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            name, _, line = line.partition(":")
        for word in line.split():
            languages[word] = (*languages.get(word, ()), name)
    return languages


# Scripts of one language, in the order in which they are asked: kana before the ideographs that Japanese
# mixes in.
_SCRIPTS = tuple(
    (language, re.compile(f"[{span}]"))
    for language, span in (
        ("ja", "\u3040-\u30ff"),
        ("ko", "\uac00-\ud7a3\u1100-\u11ff"),
        ("zh", "\u4e00-\u9fff\u3400-\u4dbf"),
        ("el", "\u0370-\u03ff"),
        ("he", "\u0590-\u05ff"),
        ("th", "\u0e00-\u0e7f"),
        ("bn", "\u0980-\u09ff"),
        ("ta", "\u0b80-\u0bff"),
        ("te", "\u0c00-\u0c7f"),
        ("ka", "\u10a0-\u10ff"),
        ("hy", "\u0530-\u058f"),
        ("am", "\u1200-\u137f"),
    )
)


def language_of(text: str) -> str:
    """ISO 639-1 of a text's language, '' where it can't be told."""
    half = SAMPLE // 2
    middle = max(half, len(text) // 2)
    sample = text if len(text) <= SAMPLE else f"{text[:half]} {text[middle : middle + half]}"
    beyond = 0 if sample.isascii() else len(_BEYOND.findall(sample))
    if beyond > 0.1 * len(sample) and (by_script := _by_script(sample)):
        return by_script
    common = _common()
    words = Counter(_WORD.findall(sample.lower()))
    scores: dict[str, float] = {}
    recognised: Counter[str] = Counter()
    for word, count in words.items():
        for language in common.get(word, ()):
            recognised[language] += count
            # A word of many languages says little.
            scores[language] = scores.get(language, 0.0) + count / len(common[word])
    if not scores:
        return ""
    (best, score), (_, second) = [*sorted(scores.items(), key=lambda item: -item[1])[:2], ("", 0.0)][:2]
    sure = score >= AHEAD * second and recognised[best] >= LEAST
    return best if sure and recognised[best] >= SHARE * words.total() else ""


def _by_script(sample: str) -> str:
    letters = sum(1 for c in sample if c.isalpha())
    for language, script in _SCRIPTS:
        share = len(script.findall(sample)) / max(1, letters)
        if share > (0.1 if language == "ja" else 0.3):
            return language
    return ""
