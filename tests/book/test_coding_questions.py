"""Figures in the coding chapter's model answers, computed by their code or by a plain solution."""

import math
from collections import Counter
from functools import cache

import numpy as np
import pytest

from handbook.book.load import open_book
from handbook.book.nouns import Question
from handbook.practice.growth import slope

CHAPTER = "coding-for-ml-engineers"


@cache
def questions() -> dict[str, Question]:
    return {q.id: q for q in open_book().chapters[CHAPTER].questions}


def runs(costs: list[int]) -> list[list[int]]:
    ends = range(len(costs) + 1)
    return [costs[start:end] for start in ends for end in ends if start < end]


def shortest(costs: list[int], budget: int) -> int:
    return min((len(run) for run in runs(costs) if sum(run) >= budget), default=0)


def window(costs: list[int], budget: int) -> int:
    """The chapter's one pass, right for costs that are not negative."""
    best, start, total = 0, 0, 0
    for end, cost in enumerate(costs, start=1):
        total += cost
        while total >= budget:
            best = min(best or end - start, end - start)
            total -= costs[start]
            start += 1
    return best


def counted_runs() -> list[str]:
    costs = [1, 2, 3, -3, 3]
    prefixes = np.cumsum(costs).tolist()
    assert sum(sum(run) == 3 for run in runs(costs)) == 5
    return [f"prefixes {', '.join(map(str, prefixes))}", "seen twice: five"]


def pairs() -> list[str]:
    scores, target, sums = [2, 4, 7, 9, 15], 13, list[int]()
    left, right = 0, len(scores) - 1
    while left < right and scores[left] + scores[right] != target:
        sums.append(scores[left] + scores[right])
        left, right = (left, right - 1) if sums[-1] > target else (left + 1, right)
    each = math.ceil(math.log2(1_000_000))
    return [
        f"{sums[0]}, 15 goes; {sums[1]}, 2 goes; {scores[left]} and {scores[right]} are found",
        "three looks out of ten pairs" if len(sums) + 1 == 3 and math.comb(5, 2) == 10 else "",
        f"costs {each} comparisons, some {10 * each} in all",
    ]


def refunds() -> list[str]:
    assert (shortest([-2, 3], 3), window([-2, 3], 3)) == (1, 0)
    assert (shortest([2, -1, 4], 4), window([2, -1, 4], 4)) == (1, 3)
    return ["3 with budget 3", "length 1"]


def knapsack() -> list[str]:
    lengths, scores = np.array([3, 2, 4]), np.array([5, 3, 6])
    chosen = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1)
    assert (scores @ chosen)[lengths @ chosen <= 6].max() == 9
    steps = 200 * 128_000
    return [
        f"= {steps / 1e6:.1f} million steps",
        f"{steps * 0.1e-6:.0f} to {steps * 0.2e-6:.0f} s",
        "takes 8 where 9",
    ]


def broadcast() -> list[str]:
    targets = np.array([1.0, 2, 3])
    loss = ((targets - targets[:, None]) ** 2).mean()
    assert loss == pytest.approx(12 / 9)
    return [f"the loss is {loss:.2f} instead of 0"]


def distances() -> list[str]:
    queries, vectors, width = 2_000, 50_000, 256
    return [
        f"{queries * vectors * width * 4 / 1e9:.1f} GB",
        f"{queries * vectors * 4 / 1e6:.0f} MB, and the inputs",
        f"are {vectors * width * 4 / 1e6:.0f} MB and 2 MB",
        f"about {2 * queries * vectors * width / 1e9:.0f} GFLOP",
        f"200 at a time are {200 * vectors * 4 / 1e6:.0f} MB",
    ]


def softmax() -> list[str]:
    with np.errstate(over="ignore"):
        assert np.isinf(np.exp(np.float32(89)))
        assert np.isfinite(np.exp(np.float32(88)))
    shifted = np.exp(np.array([-1.0, 0, -2]))
    one, two, three = shifted / shifted.sum()
    return [f"{one:.3f}, {two:.3f} and {three:.3f}", "from 89 on"]


def steps() -> list[str]:
    double, single = np.finfo(np.float64).eps, np.finfo(np.float32).eps
    return [
        f"{double ** (1 / 3):.0e}".replace("e-0", "e-")
        + f" in float64, {single ** (1 / 3):.0e}".replace("e-0", "e-"),
        f"{double ** (2 / 3):.0e} and {single ** (2 / 3):.0e} at best".replace("e-0", "e-"),
    ]


def moments() -> list[str]:
    a, b = np.array([2.0, 4]), np.array([6.0, 8, 10])
    both = np.concatenate([a, b])
    told = [f"({len(x)}, {x.mean():g}, {((x - x.mean()) ** 2).sum():g})" for x in (a, b)]
    return [
        f"{np.spacing(np.float32(1e8)):g} apart",
        f"For {told[0]} and {told[1]} that is n = {len(both)}, mean {both.mean():g}, M = {both.var() * 5:g}",
    ]


def k_means() -> list[str]:
    points, centres, found = np.array([1.0, 2, 4, 10, 12]), np.array([1.0, 2]), list[str]()
    for _ in range(3):
        squares = (points[:, None] - centres) ** 2
        found.append(f"{squares.min(1).sum():.4g}")
        nearest = squares.argmin(1)
        centres = np.array([points[nearest == k].mean() for k in range(2)])
    return [f"objectives {found[0]}, {found[1]} and {found[2]}"]


def area() -> list[str]:
    positive, negative = [0.9, 0.8], [0.8, 0.3]
    points = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    return [f"{points:g} / 4 = {points / 4:g}"]


def alarms() -> list[str]:
    true, false = 2_000 * 0.9, 998_000 * 0.05
    rate = true / 998_000
    assert round(0.05 / rate) == 28
    assert false / (true + false) == pytest.approx(28 / 29, abs=0.001)
    return [
        f"alarm: {false:,.0f}",
        f"is {true + false:,.0f} alarms, of which {true:,.0f} / {true + false:,.0f} = "
        f"{true / (true + false):.1%} are true",
        f"false positive rate of {rate:.4f}",
        f"precision of {0.9 / 0.95:.3f}",
    ]


def percentiles() -> list[str]:
    assert np.sort([10] * 900 + [100] * 100)[949] == 100
    buckets = math.ceil(math.log(1e6) / math.log(1.05))
    return [
        f"their mean is {(10 + 100) / 2:g}, weighted by requests {(900 * 10 + 100 * 100) / 1000:g}",
        f"about {buckets} buckets, some {buckets * 8 / 1e3:.1f} kB",
    ]


def norm() -> list[str]:
    x, g = np.array([-1.0, 1]), np.array([3.0, 5])
    hat = (x - x.mean()) / x.std()
    dx = (g - g.mean() - hat * (g * hat).mean()) / x.std()
    assert dx.tolist() == [0, 0]
    return [f"mean(g) is {g.mean():g}", f"/2 = {(g * hat).mean():g}", "= (0, 0)", f"sums to {g.sum():g}"]


def twice() -> list[str]:
    share = math.e / (math.e + 9)
    return [f"= {share:.3f}, with a loss of {-math.log(share):.3f}", f"ln 10 = {math.log(10):.3f}"]


def slopes() -> list[str]:
    sizes = [1_000, 2_000, 4_000, 8_000]
    a, a_low, a_high = slope(sizes, [1.0, 2.2, 4.3, 9.5])
    b, b_low, b_high = slope(sizes, [1.0, 3.9, 16.3, 64])
    growing = slope(sizes, [n * math.log(n) for n in sizes])[0]
    longer = [1_000 << k for k in range(7)]
    return [
        f"log2 9.5 / 3 = {math.log2(9.5) / 3:.2f}; least squares gives {a:.2f} with a 95% interval of "
        f"{a_low:.2f} to {a_high:.2f}",
        f"{b:.1f}, with {b_low:.2f} to {b_high:.2f}",
        f"slope of {growing:.2f} over",
        f"{slope(longer, [n * math.log(n) for n in longer])[0]:.2f} from 1,000 to 64,000",
    ]


def fleet() -> list[str]:
    rate = 10_000 / 60
    busy = rate * 1.5
    return [
        f"times 1.5 CPU-seconds: {busy:.0f} cores busy. At 60% that is {busy / 0.6:.0f} cores, "
        f"{math.ceil(busy / 0.6 / 16)} machines",
        f"= {rate * 1.2:.0f} cores, {1.2 / 1.5:.0%} more",
        f"Then {busy * 0.7:.0f} cores are busy, {busy * 0.7 / 0.6:.0f} at 60%, "
        f"{math.ceil(busy * 0.7 / 0.6 / 16)} machines",
        f"= {rate * 2:.0f} cells",
        f"about {rate * 2 / 27:.0f} GiB a machine",
    ]


def public_set() -> list[str]:
    error = math.sqrt(0.9 * 0.1 / 164)
    uneven = 2 * sum(math.comb(14, k) for k in range(10, 15)) / 2**14
    assert 1.96 * error == pytest.approx(0.05, abs=0.005)
    return [
        f"{148 / 164:.1%} and {142 / 164:.1%}",
        f"is {error * 100:.1f} points",
        f"in {uneven * 100:.0f} of 100",
    ]


FIGURES = {
    "count-runs-by-prefix-sums": counted_runs,
    "why-may-the-pointer-move": pairs,
    "window-misses-refunds": refunds,
    "pack-context-optimally": knapsack,
    "loss-that-broadcast": broadcast,
    "distances-without-a-loop-estimate": distances,
    "softmax-with-all-its-cases": softmax,
    "best-step-of-a-gradient-check": steps,
    "negative-variance": moments,
    "k-means-without-a-reference": k_means,
    "derive-the-logistic-gradient": lambda: [f"{math.log(2):.3f}"],
    "auc-of-a-constant-model": area,
    "alarms-at-two-in-a-thousand": alarms,
    "percentile-of-forty-machines": percentiles,
    "norm-backward-tested-without-a-library": norm,
    "loss-falls-model-is-bad": twice,
    "what-a-slope-can-say": slopes,
    "ten-thousand-submissions-a-minute": fleet,
    "ninety-percent-on-a-public-set": public_set,
}


@pytest.mark.parametrize("id", FIGURES)
def test_figures_stand_in_the_answer(id: str) -> None:
    answer = " ".join(questions()[id].answer.split())
    missing = [figure for figure in FIGURES[id]() if figure not in answer or not figure]
    assert not missing, f"{id}: computed, and not found in the answer: {missing}"


def test_each_estimate_and_derivation_is_recomputed() -> None:
    counted = {q.id for q in questions().values() if q.kind in ("estimate", "derive")}
    assert counted <= set(FIGURES), f"not recomputed: {sorted(counted - set(FIGURES))}"


def test_heads_cut_by_a_reshape_keep_causality_and_lose_order() -> None:
    """What the answer about attention says of the two tests, by trying it."""
    batch, tokens, heads, width = 1, 6, 3, 4
    draw = np.random.default_rng(0)
    qkv, order = draw.normal(size=(3, batch, tokens, heads * width)), draw.permutation(tokens)
    later, first = qkv.copy(), qkv.copy()
    later[:, :, 5] += 1
    first[:, :, 0] += 1

    def attended(qkv: np.ndarray, right: bool, masked: bool) -> np.ndarray:
        if right:
            q, k, v = (x.reshape(batch, tokens, heads, width).transpose(0, 2, 1, 3) for x in qkv)
        else:
            q, k, v = (x.reshape(batch, heads, tokens, width) for x in qkv)
        scores = q @ k.transpose(0, 1, 3, 2)
        if masked:
            scores = np.where(np.tril(np.ones((tokens, tokens), bool)), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out = weights / weights.sum(-1, keepdims=True) @ v
        return (out.transpose(0, 2, 1, 3) if right else out).reshape(batch, tokens, heads * width)

    for right in (True, False):
        kept = attended(qkv, right, True)[:, :5] == attended(later, right, True)[:, :5]
        moved = attended(qkv, right, False)[:, order] - attended(qkv[:, :, order], right, False)
        reached = (attended(qkv, right, False)[:, -1] != attended(first, right, False)[:, -1]).any()
        assert kept.all()
        assert bool(np.abs(moved).max() < 1e-9) is right
        assert bool(reached) is right


def test_set_covers_levels_kinds_and_sections() -> None:
    chapter = open_book().chapters[CHAPTER]
    assert len(questions()) >= 34
    assert min(Counter(q.level for q in questions().values()).values()) >= 4
    assert len({q.kind for q in questions().values()}) == 6
    section = {paragraph.anchor: paragraph.section for paragraph in chapter.paragraphs}
    found = {section[q.anchor] for q in questions().values()}
    assert found == set(section.values()), "a section without a question"
