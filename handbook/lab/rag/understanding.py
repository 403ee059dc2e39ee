"""Stage 5: what one typing error costs, what spelling wins back, what the first passages tell of the rest."""

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from handbook.lab.rag.embedding import unit
from handbook.lab.rag.subjects import Subject, embedder, mean, run, subject
from handbook.rag.evaluate import Run, difference
from handbook.rag.query.expanding import BETA, FEEDBACK
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.spelling import Speller

ERRORS = 5  # drawn for each question
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def misspelt(text: str, lexicon: Lexicon, draw: random.Random) -> str:
    """One letter left out, put in, changed or swapped with the next, inside one word of five letters or more
    that the corpus has; the text itself where there is none."""
    able = [match for match in re.finditer(r"\b[a-z]{5,}\b", text) if lexicon.knows(match.group())]
    if not able:
        return text
    match = draw.choice(able)
    word = match.group()
    wrong = word
    while wrong == word:
        at, other = draw.randrange(1, len(word) - 1), draw.choice(LETTERS)
        before, letter, after = word[:at], word[at], word[at + 1 :]
        swapped = before + after[0] + letter + after[1:]
        wrong = draw.choice((before + after, before + other + word[at:], before + other + after, swapped))
    return text[: match.start()] + wrong + text[match.end() :]


@cache
def speller(name: str, small: bool) -> Speller:
    pieces = embedder().tokenizer().get_vocab()
    return Speller(Lexicon.of(subject(name, small).bodies), pieces.__contains__)


def wrong(found: Subject, lexicon: Lexicon, seed: int) -> dict[str, str]:
    """Each question with one error, by its id; the same ones at every run."""
    draw = random.Random(seed)
    return {query: misspelt(text, lexicon, draw) for query, text in found.golden.queries.items()}


def by_words(found: Subject, texts: Mapping[str, str]) -> Mapping[str, float]:
    """nDCG@10 of each question by BM25."""
    return found.quality(run({query: found.having(text) for query, text in texts.items()}))


@cache
def _three(small: bool) -> tuple[Mapping[str, float], Mapping[str, float], Mapping[str, float]]:
    """nDCG@10 of each question: as asked, with an error, with the error and spelled; means of several
    errors, because which word is hit decides much."""
    found, corrects = subject("scifact", small), speller("scifact", small)
    typed, mended = [], []
    for seed in range(ERRORS):
        texts = wrong(found, corrects.lexicon, seed)
        typed.append(by_words(found, texts))
        mended.append(by_words(found, {query: corrects.correct(text).text for query, text in texts.items()}))

    def averaged(all: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
        return {query: mean({str(turn): one[query] for turn, one in enumerate(all)}) for query in all[0]}

    return found.quality(run(found.lexical)), averaged(typed), averaged(mended)


def typo_cost(small: bool = True) -> list[float]:
    """As asked over with one error."""
    as_asked, typed, _ = _three(small)
    found = difference(as_asked, typed)
    return [found.low, found.mean, found.high]


def typo_mended(small: bool = True) -> float:
    """Share of the loss that comes back."""
    as_asked, typed, mended = map(mean, _three(small))
    return (mended - typed) / (as_asked - typed)


def spelling_changes(small: bool = True) -> float:
    """Share of questions without an error that spelling changes."""
    found, corrects = subject("scifact", small), speller("scifact", small)
    return float(
        np.mean([bool(corrects.correct(text).corrections) for text in found.golden.queries.values()])
    )


def moved(found: Subject) -> Run:
    """By the question's vector moved towards those of what BM25 finds first (Rocchio)."""
    ranked = {}
    for query, vector in found.asked.items():
        first = [found.place[id] for id, _ in found.lexical[query][:FEEDBACK]]
        towards = found.vectors[first].mean(axis=0) if first else 0.0
        ranked[query] = found.near(unit(vector + np.float32(BETA) * towards))
    return run(ranked)


def feedback_gain(small: bool = True) -> list[float]:
    """Over the question's own vector."""
    found = subject("scifact", small)
    return found.gain(moved(found), run(found.dense))
