"""The serving chapter's hand arithmetic, recomputed, with the code that it teaches where there is some."""

import math
import re
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from handbook.engine.kernels.plain import quantize_rows
from handbook.engine.pages import Copy, Pages, Table
from handbook.engine.speculative import best_length, expected_tokens, leftover

FOLDER = Path(__file__).parents[2] / "book" / "inference-ops" / "llm-serving-optimization"
WEIGHTS = 15.0e9  # bytes of Llama 3 8B that multiply, in 16 bits; as many FLOPs a token
TOKEN = 2 * 32 * 8 * 128 * 2  # bytes of its cache for a token
BANDWIDTH, PEAK = 3.35e12, 989e12  # of an H100


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits."""
    text = FOLDER.with_suffix(".md").read_text(encoding="utf-8").replace("{,}", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def unsaid(*wanted: str) -> list[str]:
    """Those pieces that the chapter does not have."""
    return [w for w in wanted if w not in prose()]


@pytest.mark.parametrize("batch", [1, 64, 128, 256])
def test_roof(batch: int) -> None:
    read = WEIGHTS + batch * 2000 * TOKEN
    work = batch * (WEIGHTS + 4 * 32 * 32 * 128 * 2000)
    seconds = read / BANDWIDTH
    digits = 2 if seconds < 0.01 else 1
    assert (
        unsaid(
            f"| {batch} | {read / 1e9:.2f} | {1e3 * seconds:.{digits}f} | {1e3 * work / PEAK:.2f} "
            f"| {batch / seconds:.0f} | {work / read:.{1 if batch == 1 else 0}f} |"
        )
        == []
    )


def test_static_and_continuous() -> None:
    lengths, free = [2, 8, 3, 3, 4, 2, 1, 1], [0] * 4
    assert max(lengths[:4]) + max(lengths[4:]) == 12
    for length in lengths:  # whoever is next goes to the slot that is free first
        slot = free.index(min(free))
        free[slot] += length
    assert max(free) == 8
    harmonic = list(accumulate(1 / n for n in range(1, 65)))
    assert (round(harmonic[15], 2), round(1 - 1 / harmonic[15], 1), round(harmonic[63], 1)) == (
        3.38,
        0.7,
        4.7,
    )
    assert round(math.exp(20 - 0.57722) / 1e7) == 27  # H_b = 20, by ln b + Euler's constant
    assert unsaid("$H_{16} = 3.38$", "4.7 for 64", "270 million") == []


def test_token_budget() -> None:
    times = [10 + 0.03 * n for n in (480, 480, 40)]
    assert times == pytest.approx([24.4, 24.4, 11.2])
    assert sum(times) == pytest.approx(60)
    assert int((50 - 10) / 0.03) == 1333


def test_copy_on_write() -> None:
    pages, a = Pages(8, 4), Table()
    pages.reserve(a, 6)
    a.length = 6
    b = pages.fork(a)
    assert (a.pages, b.pages) == ([0, 1], [0, 1])
    assert pages.reserve(a, 7) == Copy(1, 2)
    assert pages.reserve(b, 7) is None
    assert (a.pages, b.pages) == ([0, 2], [0, 1])
    assert unsaid("A: 0, 2; B: 0, 1.") == []


def test_rejection() -> None:
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.7, 0.1])
    taken = torch.minimum(p, q)
    assert taken.sum().item() == pytest.approx(0.6)
    assert leftover(p, q).tolist() == pytest.approx([0.75, 0, 0.25])
    assert (taken + (1 - taken.sum()) * leftover(p, q)).tolist() == pytest.approx(p.tolist())
    steps = torch.arange(1000) / 1000 + 0.0005  # the same random number for both
    drawn = [torch.searchsorted(x.cumsum(0), steps) for x in (p, q)]
    assert (drawn[0] == drawn[1]).float().mean().item() == pytest.approx(0.6)


@pytest.mark.parametrize("right", [0.5, 0.7, 0.8, 0.9])
def test_table_of_drafts(right: float) -> None:
    tokens = [expected_tokens(right, k) for k in (2, 4, 8)]
    gains = [e / (1 + 0.05 * k) for e, k in zip(tokens, (2, 4, 8), strict=True)]
    cells = " | ".join(f"{x:.2f}" for x in [*tokens, *gains])
    assert unsaid(f"| {right} | {cells} | {best_length(right, 0.05, 50)} |") == []


def test_when_speculation_loses() -> None:
    plain = (WEIGHTS + 64 * 100 * TOKEN) / BANDWIDTH
    verify = 64 * 5 * WEIGHTS / (PEAK / 2)
    assert (round(1e3 * plain, 1), round(1e3 * verify, 1)) == (4.7, 9.7)
    cost = 2.06
    assert verify / plain == pytest.approx(cost, abs=0.02)
    assert round(expected_tokens(0.8, 4) / cost, 1) == 1.6
    assert round(expected_tokens(0.4, 4) / cost, 1) == 0.8
    long = 64 * 5 * (WEIGHTS + 4 * 32 * 32 * 128 * 2000)
    assert (round(long / 1e12, 1), round(1e3 * long / (PEAK / 2), 1)) == (5.1, 10.4)
    assert unsaid("$3.36/2.06 = 1.6$", "5.1 TFLOP with attention or 10.4 ms") == []


def test_rotation() -> None:
    x = torch.tensor([[8, 0.5, -0.5, 0.4]])
    turn = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2

    def rounded(x: torch.Tensor) -> torch.Tensor:
        scale = x.abs().max() / 7
        return (x / scale).round() * scale

    plain, turned = rounded(x), rounded(x @ turn.T) @ turn
    assert [round(v, 2) for v in turned[0].tolist()] == [7.99, 0.61, -0.61, 0.61]
    errors = [((y - x) ** 2).sum().item() for y in (plain, turned)]
    assert errors == pytest.approx([0.66, 0.072], abs=0.001)
    whole, scales = quantize_rows(x)  # eight bits lose little of so few
    assert (whole * scales[:, None]).sub(x).abs().max() <= 0.501 * 8 / 127


def test_capacity() -> None:
    step = (WEIGHTS + 64 * 1125 * TOKEN) / (0.6 * BANDWIDTH)
    decode, prefill = 250 * 0.0122 / 64, 1000 * WEIGHTS / (PEAK / 2)
    assert (round(1e3 * step, 1), round(1e3 * prefill, 1)) == (12.2, 30.3)
    busy = 20 * (0.0475 + 0.0303)
    assert decode == pytest.approx(0.0475, abs=0.0002)
    assert (round(busy, 2), math.ceil(busy / 0.7), round(busy / 3, 2), round(busy / 2, 2)) == (
        1.56,
        3,
        0.52,
        0.78,
    )
    assert round(20 * (0.0475 + 0.0303 / 5) / 2, 2) == 0.54
    waits = [load / (1 - load) for load in (0.5, 0.7, 0.9, 0.95)]
    assert [round(w, 1) for w in waits] == [1, 2.3, 9, 19]
    assert round(waits[2] / waits[1], 2) == 3.86
