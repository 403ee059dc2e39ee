"""How the time of a program grows with its input: measured at growing sizes, then said in words.

`collect` doubles the size until a call takes long enough to be told from noise; `growth` fits
t = a + b f(n), with a and b at least 0, for each f of CLASSES, and takes the f with the smallest relative
error. The exponent is the slope of log t over log n at the larger half of the sizes, where constants weigh
least (at all of them where those few don't agree), with an interval from Student's t. A measurement cannot
prove a bound (McGeoch 2012, "A Guide to Experimental Algorithmics", ch. 3): caches, a lucky input or sizes
that are too small can hide a factor, so the words are 'looks like', neighbours that fit as well are named,
and only a slope that is clearly too steep is called a miss.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from handbook.practice.verdicts import Growth

CLASSES: dict[str, Callable[[float], float]] = {
    "1": lambda n: 1.0,
    "log n": lambda n: math.log(n),
    "n": lambda n: n,
    "n log n": lambda n: n * math.log(n),
    "n^2": lambda n: n * n,
    "n^3": lambda n: n**3,
    "2^n": lambda n: 2.0 ** min(n, 1000.0),
}
WORDS = {
    "1": "constant time",
    "log n": "log n",
    "n": "n",
    "n log n": "n log n",
    "n^2": "n squared",
    "n^3": "n cubed",
    "2^n": "2 to the n",
}
FIRST = 16  # the smallest size
LARGEST = 1 << 20
LONG = 0.15  # seconds of one call, from which on no larger size is tried
BUDGET = 2.0  # seconds for all calls
SHORT = 2e-4  # seconds: what is quicker is noise, and not fitted
SLACK = 0.35  # of an exponent: below it two slopes are not told apart
WIDE = 1.0  # of an interval of the exponent: wider, nothing is said
ALIKE = 1.3  # a fit whose error is at most so many times the best one's is as good
Slopes = tuple[float, float, float] | tuple[None, None, None]
UNKNOWN: Slopes = (None, None, None)
# Student's t, two-sided 95 %, for 1 to 8 degrees of freedom.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31)


def collect(
    step: Callable[[int], float], sizes: Sequence[int] = (), budget: float = BUDGET, repeats: int = 3
) -> tuple[list[int], list[float]]:
    """(sizes, seconds): the quickest of `repeats` calls of step(n) -> seconds, at each size.

    sizes: which, ascending; doubling from FIRST when empty. No larger size after a call that took LONG, or
    beyond its share of the budget. All sizes in turn, then again: a busy moment falls on one call of a size,
    not on all.
    """
    done: list[int] = []
    seconds: list[float] = []
    spent = 0.0
    for n in sizes or [FIRST << k for k in range(int(math.log2(LARGEST / FIRST)) + 1)]:
        done.append(n)
        seconds.append(step(n))
        spent += seconds[-1]
        if seconds[-1] > LONG or spent > budget / repeats:
            break
    for _ in range(repeats - 1):
        for place, n in enumerate(done):
            if spent + seconds[place] <= budget and seconds[place] <= LONG:
                took = step(n)
                spent += took
                seconds[place] = min(seconds[place], took)
    return done, seconds


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float, float]:
    """(exponent, low, high) of t ~ n^exponent by least squares of the logarithms; 95 % interval."""
    x, y = [math.log(n) for n in sizes], [math.log(t) for t in seconds]
    mean_x, mean_y, count = sum(x) / len(x), sum(y) / len(y), len(x)
    spread = sum((a - mean_x) ** 2 for a in x)
    exponent = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    if count < 3:
        return exponent, -math.inf, math.inf
    rest = sum((b - mean_y - exponent * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    width = STUDENT[min(count - 2, len(STUDENT)) - 1] * math.sqrt(rest / (count - 2) / spread)
    return exponent, exponent - width, exponent + width


def error(kind: str, sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Root mean square of the relative errors of the best a + b f(n) with a and b at least 0."""
    values = [CLASSES[kind](n) for n in sizes]
    top = max(values)
    # Divided by t, each row is a / t + b f / t = 1: least squares of relative errors.
    u, v = [1 / t for t in seconds], [f / top / t for f, t in zip(values, seconds, strict=True)]
    uu, vv, uv = (sum(p * q for p, q in zip(a, b, strict=True)) for a, b in ((u, u), (v, v), (u, v)))
    su, sv, determinant = sum(u), sum(v), uu * vv - uv * uv
    choices = [(su / uu, 0.0)] + ([] if kind == "1" else [(0.0, sv / vv)])
    if kind != "1" and determinant > 1e-12 * uu * vv:
        a, b = (su * vv - sv * uv) / determinant, (sv * uu - su * uv) / determinant
        if a >= 0 and b >= 0:
            choices.append((a, b))
    return min(
        math.sqrt(sum((a * p + b * q - 1) ** 2 for p, q in zip(u, v, strict=True)) / len(u))
        for a, b in choices
    )


def _steepness(kind: str, sizes: Sequence[int]) -> float:
    """The slope that f has over these sizes: 1.1 for n log n, say, and more than any for 2^n."""
    low, high = sizes[0], sizes[-1]
    ratio = math.log(CLASSES[kind](high)) - math.log(CLASSES[kind](low))
    return ratio / (math.log(high) - math.log(low))


def growth(sizes: Sequence[int], seconds: Sequence[float], expected: str) -> Growth:
    """What the times look like, beside what the exercise asks for (a key of CLASSES).

    meets is None where the sizes are too few, too quick or too noisy to say.
    """
    if expected not in CLASSES:
        raise ValueError(f"expected one of {', '.join(CLASSES)}, got {expected!r}")
    kept = [(n, t) for n, t in zip(sizes, seconds, strict=True) if t >= SHORT]

    def say(looks: str, slopes: Slopes, meets: bool | None, note: str) -> Growth:
        exponent, low, high = slopes
        return Growth(looks, exponent, low, high, tuple(sizes), tuple(seconds), expected, meets, note)

    if len(kept) < 4:
        flat = bool(seconds) and sizes[-1] >= 1 << 14
        note = "Every size was too quick to time." if flat else "Too few sizes took long enough to be timed."
        return say("", UNKNOWN, True if flat else None, note)
    ns, ts = [n for n, _ in kept], [t for _, t in kept]
    uneven = "The times are too uneven to be fitted; the machine may be busy."
    half, said = max(4, len(kept) // 2 + 1), UNKNOWN
    for used in dict.fromkeys((half, len(kept))):
        slopes = exponent, low, high = slope(ns[-used:], ts[-used:])
        limit = _steepness(expected, ns[-used:]) + SLACK
        if high - low <= WIDE * max(1.0, 0.6 * exponent) or low > limit:
            break
        said = slopes if said is UNKNOWN else said
        if exponent > limit:  # where constants weigh least it may well be too steep
            return say("", said, None, uneven)
    else:
        return say("", said, None, uneven)
    near = [k for k in CLASSES if low - SLACK <= _steepness(k, ns[-used:]) <= high + SLACK]
    errors = {kind: error(kind, ns, ts) for kind in near or CLASSES}
    best = min(errors, key=lambda kind: errors[kind])
    alike = [k for k in errors if k != best and errors[k] <= max(ALIKE * errors[best], 0.03)]
    if errors[best] > 0.5:
        return say("", slopes, None, uneven)
    meets = False if low > limit else True if high <= limit or expected in (best, *alike) else None
    order = list(CLASSES)
    if meets is None and order.index(best) < order.index(expected):
        meets = True
    words = f"looks like {WORDS[best]}"
    note = f"{' and '.join(WORDS[kind] for kind in alike)} would fit as well." if alike else ""
    return say(words, slopes, meets, note[:1].upper() + note[1:])
