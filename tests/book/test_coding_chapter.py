"""The coding chapter's examples by hand, recomputed, and its code, run."""

import ast
import math
import re
import threading
from bisect import bisect_left
from collections import Counter
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch

from handbook.practice.checks import gradients
from handbook.practice.growth import slope
from handbook.rag.query.edits import distance

FILE = Path(__file__).parents[2] / "book" / "machine-learning" / "coding-for-ml-engineers.md"


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits and with plain minus signs."""
    text = FILE.read_text(encoding="utf-8").replace("\u2212", "-")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def unsaid(*wanted: str) -> list[str]:
    """Those pieces that the chapter does not have."""
    return [w for w in wanted if w not in prose()]


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def blocks() -> list[str]:
    """The chapter's own code, which is not included from a module."""
    return re.findall(r"^```python\n(.*?)^```$", FILE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("number", range(6))
def test_code_of_the_chapter_runs(number: int) -> None:
    assert len(blocks()) == 6
    code = blocks()[number]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code))), "it tests nothing"
    exec(compile(code, f"block {number}", "exec"), {})


def test_the_lie_stays_a_lie() -> None:
    space: dict[str, object] = {}
    exec(blocks()[-1], space)
    lied = space["edit_distance"]
    assert callable(lied)
    assert lied("kitten", "sitting") == 3  # the assertion that it passes
    assert int(lied("kitten", "sitting")) == 0
    assert distance("kitten", "sitting", 9) == 3


def test_runs_that_add_up() -> None:
    costs, seen, prefix, runs, rows = [2, 1, -1, 3, 1], Counter([0]), 0, 0, []
    for cost in costs:
        prefix += cost
        runs += seen[prefix - 3]
        rows.append(row(cost, prefix, prefix - 3, seen[prefix - 3], runs))
        seen[prefix] += 1
    found = [costs[i:j] for j in range(6) for i in range(j) if sum(costs[i:j]) == 3]
    assert (unsaid(*rows), runs) == ([], 4)
    assert sorted(found) == sorted([[2, 1], [-1, 3, 1], [3], [1, -1, 3]])


def test_pair_of_scores() -> None:
    scores, rows = [1, 3, 4, 6, 8, 11], []
    left, right = 0, len(scores) - 1
    while (total := scores[left] + scores[right]) != 10:
        rows.append(
            f"| {scores[left]} | {scores[right]} | {total} | too {'large' if total > 10 else 'small'}"
        )
        left, right = (left, right - 1) if total > 10 else (left + 1, right)
    rows.append(row(scores[left], scores[right], total, "found"))
    assert (unsaid(*rows), len(rows), math.comb(6, 2)) == ([], 5, 15)


def test_longest_run_without_a_repeat() -> None:
    tokens, last, start, longest, rows = "abcbda", dict[str, int](), 0, 0, []
    for place, token in enumerate(tokens):
        start = max(start, last.get(token, -1) + 1)
        longest = max(longest, place + 1 - start)
        window = " ".join(tokens[start : place + 1])
        rows.append(row(place, token, last.get(token, "\u2013"), start, window, longest))
        last[token] = place
    assert (unsaid(*rows), longest) == ([], 4)
    said = re.search(r"\*\"(Tokens come in.*?)\"\*", prose())
    assert said is not None
    words = len(said[1].split())
    assert unsaid(f"about {10 * round(words / 10)} words") == []


def test_three_best() -> None:
    heap, rows = [1, 5, 9], [row("5, 1, 9", "1 5 9", 1)]
    for score in (3, 7, 8):
        heapreplace(heap, score)
        rows.append(row(score, " ".join(map(str, sorted(heap))), heap[0]))
    assert unsaid(*rows) == []


def test_workers() -> None:
    jobs, now, rows = [(1, 4), (3, 6), (3, 5), (4, 7)], 0, []
    for time in sorted({time for job in jobs for time in job}):
        ends, starts = sum(e == time for _, e in jobs), sum(s == time for s, _ in jobs)
        now += starts - ends
        rows.append(row(time, ends, starts, now))
    assert unsaid(*rows) == []

    def peak(order: int) -> int:
        events = sorted([(s, order) for s, _ in jobs] + [(e, -order) for _, e in jobs])
        return max(sum(change * order for _, change in events[:n]) for n in range(len(events) + 1))

    assert (peak(1), peak(-1)) == (3, 4)


def batches(sizes: list[int], capacity: int) -> list[list[int]]:
    found: list[list[int]] = []
    for size in sizes:
        if found and sum(found[-1]) + size <= capacity:
            found[-1].append(size)
        else:
            found.append([size])
    return found


def test_three_batches() -> None:
    sizes, rows = [5, 1, 3, 3, 2, 6], []
    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        number = len(batches(sizes, middle))
        rows.append(row(low, high, middle, number, "yes" if number <= 3 else "no"))
        low, high = (low, middle) if number <= 3 else (middle + 1, high)
    assert (unsaid(*rows), low) == ([], 8)
    assert batches(sizes, 7) == [[5, 1], [3, 3], [2], [6]]
    assert batches(sizes, 8) == [[5, 1], [3, 3, 2], [6]]
    tried = range(6, 21)
    assert tried[bisect_left(tried, True, key=lambda c: len(batches(sizes, c)) <= 3)] == 8
    assert 2**60 > 1e18


def test_dijkstra() -> None:
    edges = {"A": {"B": 4, "C": 1}, "C": {"B": 2, "D": 5}, "B": {"D": 1}}
    heap, final, rows = [(0, "A")], dict[str, int](), []
    best = {"A": 0}
    while heap:
        cost, here = heappop(heap)
        off = f"({cost}, {here})"
        if here in final:
            rows.append(f"| {off} | skipped: {here} is final | |")
            continue
        final[here], put = cost, []
        for there, more in edges.get(here, {}).items():
            if cost + more < best.get(there, 99):
                best[there] = cost + more
                heappush(heap, (cost + more, there))
                put.append(f"({cost + more}, {there})")
        rows.append(
            row(off, f"{here} at {cost}", ", ".join(put)) if put else f"| {off} | {here} at {cost} | |"
        )
        if here == "D":
            break
    assert unsaid(*rows) == []
    assert final == {"A": 0, "C": 1, "B": 3, "D": 4}


def test_passages_in_six_tokens() -> None:
    table, rows = [0] * 7, []
    for name, tokens, score in (("with A", 3, 5), ("and B", 2, 3), ("and C", 4, 6)):
        table = [max(old, table[b - tokens] + score) if b >= tokens else old for b, old in enumerate(table)]
        rows.append(row(name, *table))
    assert unsaid(*rows) == []
    assert 5 / 3 > 3 / 2 == 6 / 4  # greedy takes A, then B: 8
    assert 128_000 * 200 == 25.6e6
    calls = np.ones((9, 9), dtype=int)
    for i in range(1, 9):
        for j in range(1, 9):
            calls[i, j] = 1 + calls[i - 1, j] + calls[i, j - 1] + calls[i - 1, j - 1]
    assert (calls[8, 8], calls.size) == (398_593, 81)


def test_arrays() -> None:
    whole = np.zeros((3, 4))
    assert (whole.strides, whole.T.strides, whole[:, ::2].strides) == ((32, 8), (8, 32), (32, 16))
    assert (np.shares_memory(whole, whole.T), np.shares_memory(whole, whole[[0, 2]])) == (True, False)
    assert (1000 * 10_000 * 128 * 4, 1000 * 10_000 * 4) == (5.12e9, 40e6)
    places = np.array([0, 2, 0])
    lost, kept = np.zeros(3), np.zeros(3)
    lost[places] += 1
    np.add.at(kept, places, 1)
    assert (lost.tolist(), kept.tolist()) == ([1, 0, 1], [2, 0, 1])


def test_numerics() -> None:
    logits = np.array([1000.0, 1001, 999])

    def softmax(t: float) -> list[float]:
        e = np.exp((logits - logits.max()) / t)
        return np.round(e / e.sum(), 4).tolist()

    assert (softmax(1), softmax(2)) == ([0.2447, 0.6652, 0.09], [0.3072, 0.5065, 0.1863])
    assert round(float(np.exp([-1.0, 0, -2]).sum()), 4) == 1.5032
    assert unsaid("sum 1.5032", "0.2447, 0.6652, 0.0900", "0.3072, 0.5065, 0.1863") == []
    assert (math.exp(-800), torch.tensor([0.0, -800]).double().log_softmax(0)[1].item()) == (0, -800)
    ones = torch.tensor(256.0, dtype=torch.bfloat16), torch.tensor(2048.0, dtype=torch.float16)
    assert all((one + 1).item() == one.item() for one in ones)
    assert torch.finfo(torch.float16).max == 65504
    assert (0.1 + 0.2) + 0.3 != 0.1 + (0.2 + 0.3)
    assert 0.1 + 0.2 != 0.3
    central, forward = (2.1**3 - 1.9**3) / 0.2, (2.1**3 - 8) / 0.1
    assert (central, forward) == pytest.approx((12.01, 12.61))
    assert round(np.finfo(np.float64).eps ** (1 / 3), 6) == 6e-6


def test_k_means() -> None:
    points, centres, seen = np.array([1.0, 2, 4, 10, 12]), np.array([1.0, 2]), []
    for _ in range(3):
        apart = (points[:, None] - centres) ** 2
        cluster = apart.argmin(axis=1)
        seen.append((cluster.tolist(), round(float(apart.min(axis=1).sum()), 3)))
        centres = np.array([points[cluster == k].mean() for k in range(2)])
    assert seen == [([0, 1, 1, 1, 1], 168), ([0, 0, 0, 1, 1], 44), ([0, 0, 0, 1, 1], 6.667)]
    assert centres.round(3).tolist() == [2.333, 11]
    assert unsaid("| 1 / 2 4 10 12 | 168 | 1, 7 |", "| 1 2 4 / 10 12 | 44 | 2.333, 11 |", "| 6.667 |") == []


def test_logistic_gradient() -> None:
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(7, 3)), rng.integers(0, 2, size=7), rng.normal(size=3)

    def loss(w: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0, x @ w) - y * (x @ w)))

    gradients(loss, [w], [x.T @ (1 / (1 + np.exp(-x @ w)) - y) / 7])
    assert loss(np.zeros(3)) == pytest.approx(math.log(2))


def test_metrics() -> None:
    positive, negative = [0.9, 0.8], [0.8, 0.3]
    won = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert (sum(won) / 4, 3 / 4) == (0.875, 0.75)
    assert round(0.5 * 1 + 0.5 * 2 / 3, 3) == 0.833
    found = [round(0.9 * p / (0.9 * p + 0.05 * (1 - p)), 3) for p in (0.5, 0.1, 0.01)]
    assert (found, unsaid("0.947", "0.667 at 10%", "0.154 at 1%")) == ([0.947, 0.667, 0.154], [])
    assert 1 - found[-1] > 5 / 6
    apart = NormalDist().inv_cdf(0.9) - NormalDist().inv_cdf(0.05)
    assert round(NormalDist().cdf(apart / math.sqrt(2)), 2) == 0.98
    shared = (min(4, 6) - max(0, 2)) * (min(4, 5) - max(0, 1))
    assert (shared, 16 + 16 - shared, round(shared / 26, 3)) == (6, 26, 0.231)


def test_streams() -> None:
    stays = math.prod(1 - 1 / i for i in (2, 3))
    assert stays == pytest.approx(1 / 3)
    u = (np.arange(100_000) + 0.5) / 100_000  # v < sqrt(u) has probability sqrt(u)
    assert np.sqrt(u).mean() == pytest.approx(2 / 3, abs=1e-5)
    values = np.array([2.0, 4, 6, 8, 10])
    parts = [(len(v), v.mean(), ((v - v.mean()) ** 2).sum()) for v in (values[:2], values[2:])]
    assert parts == [(2, 3, 2), (3, 8, 8)]
    (n, mean, m), (k, other, more) = parts
    assert (mean + (other - mean) * k / (n + k), m + more + (other - mean) ** 2 * n * k / (n + k)) == (6, 40)
    assert (values.var(), values.var(ddof=1)) == (8, 10)
    times = np.sort(np.concatenate([np.full(900, 10.0), np.full(100, 100.0)]))
    assert (times[math.ceil(0.95 * 1000) - 1], (10 + 100) / 2, 0.9 * 10 + 0.1 * 100) == (100, 55, 19)


def test_two_layers() -> None:
    x = torch.tensor([1.0, 2])
    w1, w2 = torch.tensor([[1.0, 0], [1, -1]]), torch.tensor([2.0, 5])
    for w in (w1, w2):
        w.requires_grad_()
    z = x @ w1
    loss = 0.5 * (z.relu() @ w2 - 4) ** 2
    loss.backward()
    assert (z.tolist(), loss.item()) == ([3, -2], 2)
    assert w1.grad is not None
    assert w2.grad is not None
    assert (w1.grad.tolist(), w2.grad.tolist()) == ([[4, 0], [8, 0]], [6, 0])
    y = torch.tensor(3.0, requires_grad=True)
    (y * y + y).backward()
    assert y.grad is not None
    assert y.grad.item() == 7
    assert (7 + 2 * 1 - 3) // 2 + 1 == 4
    assert round((1 - 0.9) / math.sqrt(1 - 0.999), 2) == 3.16


def test_norm_backward() -> None:
    x, g = torch.randn(5, dtype=torch.float64, requires_grad=True), torch.randn(5, dtype=torch.float64)
    hat = (x - x.mean()) / x.var(unbiased=False).sqrt()
    (hat * g).sum().backward()
    hat = hat.detach()
    formula = (g - g.mean() - hat * (g * hat).mean()) / x.detach().var(unbiased=False).sqrt()
    assert x.grad is not None
    assert torch.allclose(x.grad, formula)
    assert torch.stack([formula.sum(), formula @ hat]).abs().max() < 1e-12


def test_attention_backward() -> None:
    q, k = torch.tensor(1.0, requires_grad=True), torch.tensor([0, math.log(3)], requires_grad=True)
    v = torch.tensor([4.0, 8], requires_grad=True)
    weights = (q * k).softmax(0)
    out = weights @ v
    out.backward()
    assert (weights.tolist(), out.item()) == (pytest.approx([0.25, 0.75]), pytest.approx(7))
    assert [t.grad.tolist() for t in (v, k) if t.grad is not None] == [
        pytest.approx([0.25, 0.75]),
        pytest.approx([-0.75, 0.75]),
    ]
    assert q.grad is not None
    assert (round(q.grad.item(), 3), round(math.log(3), 4)) == (0.824, 1.0986)
    assert round(4096**2 * 32 * 4 / 1e9, 1) == 2.1


def test_three_merges() -> None:
    words = {tuple("tan"): 4, tuple("tank"): 3, tuple("bank"): 2}
    merged = []
    for step in range(3):
        pairs = Counter[tuple[str, str]]()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if step == 0:
            assert pairs.most_common() == [(("a", "n"), 9), (("t", "a"), 7), (("n", "k"), 5), (("b", "a"), 2)]
        best = pairs.most_common(1)[0][0]
        merged.append("".join(best))
        words = {
            tuple(" ".join(w).replace(" ".join(best), "".join(best)).split()): n for w, n in words.items()
        }
    assert merged == ["an", "tan", "tank"]
    assert list(words) == [("tan",), ("tank",), ("b", "an", "k")]
    assert (0.6 * 0.5, round(0.4 * 0.9, 2)) == (0.3, 0.36)


def test_token_bucket_and_batches() -> None:
    tokens, then, said = 4.0, 0.0, []
    for now in (0, 0, 0, 0, 0.5, 0.6):
        tokens, then = min(4, tokens + 2 * (now - then)), now
        said.append(tokens >= 1)
        tokens -= tokens >= 1
    assert (said, round(tokens, 3), round((1 - tokens) / 2, 3)) == ([True] * 5 + [False], 0.2, 0.4)
    waiting, rows = [0, 4, 12, 13, 14], []
    while waiting:
        taken = [t for t in waiting if t <= waiting[0] + 10][:3]
        full = len(taken) == 3
        closes = taken[-1] if full else taken[0] + 10
        rows.append(row(", ".join(map(str, taken)), taken[0], closes, "full" if full else "time"))
        waiting = waiting[len(taken) :]
    assert unsaid(*(each.removesuffix(" |") for each in rows)) == []
    assert (round(math.log(10), 3), round(math.log(1 + 9 / math.e), 3)) == (2.303, 1.461)
    twice = torch.tensor([1e4] + [0.0] * 9).softmax(0)
    assert torch.nn.functional.cross_entropy(twice, torch.tensor(0)).item() == pytest.approx(1.461, abs=5e-4)


def test_race_with_a_barrier() -> None:
    cache, count, loads, gap = dict[str, int](), [5], [0], threading.Barrier(2, timeout=10)

    def load(key: str) -> int:
        loads[0] += 1
        gap.wait()
        return len(key)

    def ask(key: str) -> None:
        if key not in cache:
            n = count[0]
            cache[key] = load(key)
            count[0] = n + 1

    threads = [threading.Thread(target=ask, args=["key"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert (loads[0], count[0]) == (2, 6)


def test_growth_and_intervals() -> None:
    assert round(slope([1000, 2000, 4000], [2.1, 8.3, 33])[0], 2) == 1.99
    sizes = [1000 * 2**k for k in range(7)]
    assert round(math.log(64 * math.log(64_000) / math.log(1000)) / math.log(64), 2) == 1.11
    assert sizes[-1] == 64_000
    assert round(196 * math.sqrt(0.9 * 0.1 / 164)) == 5
