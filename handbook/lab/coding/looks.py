"""What the sliders of the coding lab show.

Book: machine-learning/coding-for-ml-engineers
"""

import random
import time
from typing import Any

import numpy as np

from handbook.lab.coding.classic import blobs, lloyd, spread
from handbook.lab.coding.numerics import STEPS, checked, softmax
from handbook.lab.coding.streams import Sampler
from handbook.lab.coding.structures import maxima_anew, maxima_by_deque, pairs_by_loops, pairs_by_pointers
from handbook.practice.growth import CLASSES, WORDS, collect, growth
from handbook.practice.verdicts import Growth

SAMPLERS = {"algorithm R": "reservoir", "randrange(item)": "off_by_one", "a coin decides": "coin"}


def softmaxes(largest: float, kind: Any) -> list[dict[str, str]]:
    """Three logits, the first of them `largest`: by the whiteboard's softmax and by the shifted one."""
    logits: np.ndarray = np.array([largest, largest - 1, 0], dtype=kind)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        plain, shifted = softmax(logits), softmax(logits - logits.max())
        logs = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        return [
            {
                "logit": f"{logits[i]:g}",
                "exp(x) / sum": f"{plain[i]:.4g}",
                "shifted": f"{shifted[i]:.4g}",
                "log of the shifted": f"{np.log(shifted[i]):.4g}",
                "log-softmax": f"{logs[i]:.4g}",
            }
            for i in range(3)
        ]


def check_errors(kind: Any, seed: int = 0) -> list[tuple[float, float]]:
    """(log10 of the step, log10 of the largest relative error) of the gradient check."""
    return [(float(np.log10(s)), float(np.log10(max(checked(s, kind, seed), 1e-16)))) for s in STEPS]


PROGRAMS = {
    "pairs, two loops": "n^2",
    "pairs, two pointers": "n",
    "maxima of windows of n / 4, each anew": "n^2",
    "maxima of windows of n / 4, deque": "n",
    "sorted": "n log n",
    "all subsets": "2^n",
}


def grown(program: str, budget: float = 1.0) -> Growth:
    """The growth of one of PROGRAMS, as the judge measures it."""
    chance = random.Random(0)

    def step(n: int) -> float:
        values = [chance.randrange(1_000_000) for _ in range(n)]
        evens = list(range(0, 2 * n, 2))
        begin = time.process_time()
        if program == "pairs, two loops":
            pairs_by_loops(evens, -1)
        elif program == "pairs, two pointers":
            pairs_by_pointers(evens, 2 * n - 1)
        elif program.startswith("maxima"):
            (maxima_by_deque if program.endswith("deque") else maxima_anew)(values, max(1, n // 4))
        elif program == "sorted":
            sorted(values)
        else:
            sum(1 for _ in range(2**n))
        return time.process_time() - begin

    sizes = list(range(8, 24)) if program == "all subsets" else []
    return growth(*collect(step, sizes, budget), PROGRAMS[program])


def said(found: Growth) -> str:
    """A growth in one paragraph."""
    if found.exponent is None or found.low is None or found.high is None:
        return found.note
    fits = found.looks_like or "nothing fits"
    return (
        f"**{fits}**; the slope of the logarithms is {found.exponent:.2f} "
        f"({found.low:.2f} to {found.high:.2f}). Expected {WORDS[found.expected]}. {found.note}"
    )


def lines_of(found: Growth) -> dict[str, list[tuple[float, float]]]:
    """The measured times, and the expected law through the last of them, both in milliseconds."""
    law = CLASSES[found.expected]
    last, top = found.sizes[-1], found.seconds[-1]
    return {
        "measured": [(float(n), 1000 * t) for n, t in zip(found.sizes, found.seconds, strict=True)],
        WORDS[found.expected]: [(float(n), 1000 * top * law(n) / law(last)) for n in found.sizes],
    }


def ends(clouds: int, starts: int = 30) -> dict[str, list[tuple[float, float]]]:
    """(run, sum of squares at the end), the best first, of k-means from two kinds of start."""
    points, chance = blobs(clouds), np.random.default_rng(clouds)
    found = {
        "random points": [
            lloyd(points, points[chance.choice(len(points), 8, replace=False)]) for _ in range(starts)
        ],
        "k-means++": [lloyd(points, spread(points, 8, chance)) for _ in range(starts)],
    }
    return {name: list(enumerate(map(float, sorted(sums)), 1)) for name, sums in found.items()}


def kept(sampler: Sampler, runs: int = 2000) -> list[tuple[float, float]]:
    """(item, share of the runs that kept it) of 100 items, 10 kept."""
    chance, counts = random.Random(0), [0] * 100
    for _ in range(runs):
        for item in sampler(100, 10, chance):
            counts[item] += 1
    return [(float(item), count / runs) for item, count in enumerate(counts)]
