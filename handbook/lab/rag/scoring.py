"""Stage 10: how sure a difference is, how many questions it needs, and what choosing by the score costs."""

import random
from functools import cache

import numpy as np

from handbook.lab.rag.retrieval import fused
from handbook.lab.rag.subjects import run, subject
from handbook.rag.evaluate import difference

DRAWS = 400


@cache
def _apart(small: bool) -> np.ndarray:
    """nDCG@10 of hybrid minus that of BM25, [Q]."""
    found = subject("scifact", small)
    hybrid, words = found.quality(fused(found)), found.quality(run(found.lexical))
    return np.array([hybrid[query] - words[query] for query in sorted(hybrid)])


def interval_half(small: bool = True) -> float:
    """Half the width of the 95 % interval of that difference, over all questions."""
    found = subject("scifact", small)
    low, _, high = found.gain(fused(found), run(found.lexical))
    return (high - low) / 2


def clear_share(apart: np.ndarray, questions: int, draws: int = DRAWS, seed: int = 0) -> float:
    """How often so many questions, drawn from these, would show the difference: the interval by its normal
    approximation leaves out 0, on the side of the mean."""
    drawn = np.random.default_rng(seed).choice(apart, (draws, questions))
    spread = drawn.std(axis=1, ddof=1) / np.sqrt(questions)
    side = np.sign(apart.mean())
    return float((side * drawn.mean(axis=1) > 1.96 * spread).mean())


def questions_needed(small: bool = True) -> float:
    """Fewest questions, in steps of ten, from which 8 of 10 draws show hybrid's gain over BM25."""
    apart = _apart(small)
    return float(next((n for n in range(10, 3000, 10) if clear_share(apart, n) >= 0.8), 3000))


def power(small: bool = True) -> list[tuple[float, float]]:
    """How often the gain is seen, by the number of questions; for the plot."""
    return [(n, clear_share(_apart(small), n)) for n in (10, 20, 40, 80, 160, 320, 640)]


def false_alarms(small: bool = True) -> float:
    """Two systems that are equal on average (each question's two scores dealt out by a coin): how often the
    bootstrap calls them different."""
    apart = _apart(small)
    draw = np.random.default_rng(1)
    rounds = 60 if small else 300
    clear = 0
    for turn in range(rounds):
        dealt = apart * draw.choice((-1.0, 1.0), len(apart))
        one = {str(place): float(value) for place, value in enumerate(dealt)}
        clear += difference(one, dict.fromkeys(one, 0.0), resamples=500, seed=turn).clear
    return clear / rounds


@cache
def _settings(small: bool) -> np.ndarray:
    """nDCG@10 by setting and question, [S, Q]; the first setting is the one that is shipped."""
    found = subject("scifact", small)
    tried = [(10.0, 1.0, 100)]
    tried += [
        (k, w, d)
        for k in (0.0, 2.0, 5.0, 10.0, 20.0, 60.0)
        for w in (0.5, 0.7, 1.0, 1.4, 2.0)
        for d in (30, 100)
    ]
    rows = []
    for k, weight, depth in tried:
        scored = found.quality(fused(found, k, (weight, 1.0), depth))
        rows.append([scored[query] for query in sorted(scored)])
    return np.array(rows)


def _halves(small: bool) -> np.ndarray:
    """Gain of the best setting over the shipped one, on the half of the questions that chose it and on the
    other, for many halvings, [H, 2]."""
    table = _settings(small)
    draw = random.Random(0)
    found = []
    for _ in range(200):
        order = draw.sample(range(table.shape[1]), table.shape[1])
        sides = order[: len(order) // 2], order[len(order) // 2 :]
        chosen, quoted = (table[:, side].mean(axis=1) for side in sides)
        best = int(chosen.argmax())
        found.append((chosen[best] - chosen[0], quoted[best] - quoted[0]))
    return np.array(found)


def best_chosen(small: bool = True) -> float:
    """On the half that chose."""
    return float(_halves(small)[:, 0].mean())


def best_quoted(small: bool = True) -> float:
    """On the other half."""
    return float(_halves(small)[:, 1].mean())
