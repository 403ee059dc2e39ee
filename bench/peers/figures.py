"""From times of tokens to figures.

Axes of the lists: a run's requests; a request's tokens.
"""

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Any

from talk import Ask, Times

FIRST, EACH = 1.0, 0.05  # seconds: an answer is good when its first token and then each came within these

Row = dict[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all don't pass."""
    return sorted(values)[max(0, ceil(share * len(values) - 1e-9) - 1)]


def closed(asks: Sequence[Ask], times: Times) -> Row:
    """Of a batch that began at once: output tokens a second of the whole, and of the part in which all
    decode; prompt tokens a second up to the last one's first token."""
    check(asks, times)
    begun, end = max(each[0] for each in times), max(each[-1] for each in times)
    found = {
        "output_tokens_per_s": sum(map(len, times)) / end,
        "prefill_tokens_per_s": sum(len(ask.prompt) for ask in asks) / begun,
    }
    later = sum(moment > begun for each in times for moment in each)
    if later:
        found["decode_tokens_per_s"] = later / (end - begun)
    return found


def stream(asks: Sequence[Ask], times: Times) -> Row:
    """Of requests that came when they came. TTFT counts from arrival; TPOT is the mean time of an answer's
    tokens behind its first; gap is the longest wait between two of them."""
    check(asks, times)
    end = max(each[-1] for each in times)
    first = [each[0] - ask.at for ask, each in zip(asks, times, strict=True)]
    after = [(each[-1] - each[0]) / max(1, len(each) - 1) for each in times]
    gaps = [max((b - a for a, b in pairwise(each)), default=0.0) for each in times]
    good = sum(a <= FIRST and b <= EACH for a, b in zip(first, after, strict=True))
    return {
        "output_tokens_per_s": sum(map(len, times)) / end,
        "requests_per_s": len(asks) / end,
        "goodput_per_s": good / end,
        "good_share": good / len(asks),
        "ttft_p50_s": percentile(first, 0.5),
        "ttft_p99_s": percentile(first, 0.99),
        "tpot_p50_s": percentile(after, 0.5),
        "tpot_p99_s": percentile(after, 0.99),
        "gap_p99_s": percentile(gaps, 0.99),
    }


def check(asks: Sequence[Ask], times: Times) -> None:
    """Raises SystemExit for a side that gave other than what was asked for."""
    wrong = [n for n, (ask, each) in enumerate(zip(asks, times, strict=True)) if len(each) != ask.tokens]
    if wrong:
        n = wrong[0]
        raise SystemExit(
            f"{len(wrong)} requests got other than they wanted; {n}: {len(times[n])} of {asks[n].tokens}"
        )


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Each figure's median, lowest and highest over the rounds."""
    return {
        key: {
            "median": statistics.median(values),
            "low": min(values),
            "high": max(values),
        }
        for key in rounds[0]
        if (values := [each[key] for each in rounds if key in each])
    }
