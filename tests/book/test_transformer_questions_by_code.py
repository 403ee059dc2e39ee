"""Figures in questions on mixtures, windows, latents and extension, computed by the code they are about."""

import math
from collections.abc import Sequence
from functools import cache

import pytest
import torch

from handbook.book.load import open_book
from handbook.model import count
from handbook.model.attention import soft_cap
from handbook.model.balance import z_loss
from handbook.model.config import Latent, Mixture, ModelConfig
from handbook.model.extension import (
    RopeScaling,
    dynamic_ntk_theta,
    llama3_frequencies,
    yarn_attention,
    yarn_frequencies,
)
from handbook.model.moe import split_experts
from handbook.model.rope import (
    half_split_to_interleaved,
    interleaved_to_half_split,
    rope_frequencies,
)
from handbook.model.router import Router, keep_within
from handbook.model.routing import room
from handbook.model.variants import attend_with_sink, held_positions

MISTRAL = {"dim": 4096, "layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128, "hidden_dim": 14336}
FULL = ModelConfig(vocab_size=32000, context=32768, **MISTRAL)  # type: ignore[arg-type]
WINDOWED = ModelConfig(vocab_size=32000, context=32768, windows=(4096,) * 32, **MISTRAL)  # type: ignore[arg-type]
LATENT = ModelConfig(
    vocab_size=102400, dim=5120, layers=60, heads=128, kv_heads=128, head_dim=192, hidden_dim=12288,
    context=131072, latent=Latent(rank=512, rope_dim=64, value_dim=128),
)  # fmt: skip
SPARSE = ModelConfig(
    vocab_size=151936, dim=2048, layers=48, heads=32, kv_heads=4, head_dim=128, hidden_dim=6144,
    context=40960, head_norm=True, mixture=Mixture(experts=128, k=8, hidden_dim=768),
)  # fmt: skip
UNFOLDING = 2 * 512 * 128 * (128 + 128)  # FLOPs for one latent
PLAIN_PAIR, LATENT_PAIR = 2 * 128 * (192 + 128), 2 * 128 * (512 + 64 + 512)
CHOSEN = torch.tensor([[2, 0], [0, 1], [2, 3], [0, 2], [1, 0]])
TRAFFIC = 8 * 7168 * (1 + 2)
FAST, BUSY = 50e9 / (58 * TRAFFIC), 0.4 * 989e12 / 74e9
OTHERS = 94 / 255


@cache
def said() -> dict[str, str]:
    return {q.id: " ".join(q.answer.split()) for q in open_book().questions.values()}


def weights(gate: str, normalise: bool) -> list[str]:
    router = Router(4, 4, 2, gate=gate, normalise=normalise)  # type: ignore[arg-type]
    with torch.no_grad():
        router.weight.copy_(torch.eye(4))
        return [f"{w:.3f}" for w in router(torch.tensor([[3.0, 1.0, 0.0, -1.0]])).weights[0].tolist()]


def order(convert: object) -> str:
    rows = convert(torch.arange(8)[:, None], 1).flatten().tolist()  # type: ignore[operator]
    return ", ".join(map(str, rows))


def bands(kind: str) -> tuple[int, int, int]:
    """Pairs kept, blended and slowed by 8, for Llama 3's base and head size."""
    plain = rope_frequencies(128, 5e5)
    if kind == "llama3":
        slowed = plain / llama3_frequencies(plain, 8.0, 8192, 1.0, 4.0)
    else:
        slowed = plain / yarn_frequencies(plain, 8.0, 8192, 1.0, 32.0, theta=5e5)
    kept, full = int((slowed < 1 + 1e-5).sum()), int((slowed > 8 - 1e-4).sum())
    return kept, 64 - kept - full, full


def crossing(level: float) -> float:
    """The pair whose wavelength is `level`, base 500,000 and D = 128."""
    return 64 * math.log(level / (2 * math.pi)) / math.log(5e5)


def sunk(score: float) -> float:
    q, k = torch.ones(1, 1, 1, 1), torch.full((1, 1, 4, 1), score)
    return attend_with_sink(q, k, torch.ones_like(k), torch.zeros(1), scale=1.0).item()


def capped(score: float) -> float:
    return soft_cap(torch.tensor(score), 50.0).item()


def wave(pair: int, dim: int) -> float:
    return 2 * math.pi / rope_frequencies(dim, 1e4)[pair].item()


BASE = dynamic_ntk_theta(1e4, 4.0, 128, 8192, 4096)
NEW, OLD = rope_frequencies(128, BASE)[32].item(), rope_frequencies(128, 1e4)[32].item()
KEPT, BLENDED, SLOWED = bands("llama3")
STEP = count.attention_flops(LATENT, 1, 4096)
UNFOLDED = 4096 * (UNFOLDING + PLAIN_PAIR)
ATTENTION, EXPERT = count.attention_size(SPARSE).matrices, 3 * 2048 * 768
KEEP = (2.26 - 1) / 3

CASES: list[tuple[str, Sequence[str]]] = [
    ("pairing-permutation", [order(interleaved_to_half_split), order(half_split_to_interleaved)]),
    ("partial-rotary-frequencies", [f"{wave(15, 32):,.0f} tokens", f"about {wave(15, 128):.0f}"]),
    (
        "partial-rotary-frequencies",
        [f"{rope_frequencies(128)[1]:.3f} in place of {rope_frequencies(32)[1]:.3f}"],
    ),
    ("dynamic-ntk-with-a-cache", [f"{round(BASE, -2):,.0f}", f"from {OLD:.2f} to {NEW:.5f}"]),
    ("dynamic-ntk-with-a-cache", [f"{4000 * OLD:.0f} radians", f"{8191 * NEW:.1f}"]),
    ("dynamic-ntk-with-a-cache", [f"\N{MINUS SIGN}{4000 * OLD - 8191 * NEW:.1f} where {4191 * NEW:.1f}"]),
    ("three-bands-of-frequencies", [f"{KEPT} pairs are kept, {BLENDED} blended, {SLOWED} slowed"]),
    ("three-bands-of-frequencies", ["{} kept, {} blended, {} slowed".format(*bands("yarn"))]),
    (
        "three-bands-of-frequencies",
        [f"{crossing(2048):.1f}", f"{crossing(8192):.2f}", f"{yarn_attention(8):.3f}"],
    ),
    (
        "three-bands-of-frequencies",
        [f"{KEEP + (1 - KEEP) / 8:.4f}", f"{1 / (KEEP + (1 - KEEP) / 8):.2f} times"],
    ),
    ("config-claims-128k", [f"{4 * 8192:,}", f"{131072 // 8192}", f"{round(131072 - 4 * 8192, -3):,}"]),
    ("window-cache-by-hand", [f"{count.kv_bytes(FULL, n):,}" for n in (1, 32768)]),
    ("window-cache-by-hand", [f"{count.kv_bytes(WINDOWED, 32768):,}", f"{round(32 * 4095, -3):,}"]),
    ("ring-buffer-eats-the-chunk", [f"{held_positions(99999, 4096) + 1024:,}", f"{4096 + 1024 - 1:,}"]),
    ("sink-that-adds-nothing", [f"{sunk(-2.0):.3f}", f"{sunk(3.0):.3f}"]),
    ("soft-cap-or-head-norm", [f"{capped(10.0):.2f}", f"{capped(100.0):.1f}", f"{math.sqrt(128):.1f}"]),
    ("soft-cap-or-head-norm", [f"{1 - (capped(s) / 50) ** 2:.2f} at {s:.0f}" for s in (10.0, 100.0)]),
    ("absorbed-step-counted", [f"{4096 * UNFOLDING / 1e9:.1f} GFLOPs", f"{UNFOLDED / 1e9:.1f}"]),
    ("absorbed-step-counted", [f"{STEP / 1e9:.3f}", f"{UNFOLDED / STEP:.0f} times less"]),
    (
        "absorbed-step-counted",
        [f"{128 * 320:,} values", f"{128 * 320 / 576:.0f} times", f"{128 * 320 * 8192 / 1e6:.1f} MB"],
    ),
    (
        "absorbed-step-counted",
        [f"{UNFOLDED / 989e6:.0f} µs", f"{STEP / 989e6:.1f} µs", f"{576 * 8192 / 3.35e6:.1f} µs"],
    ),
    (
        "where-unfolding-pays",
        [f"{PLAIN_PAIR:,}", f"{LATENT_PAIR:,}", f"{UNFOLDING / (LATENT_PAIR - PLAIN_PAIR):.1f}"],
    ),
    (
        "sparse-config-on-a-page",
        [f"{count.parameters(SPARSE) / 1e9:.2f} billion", f"{count.weight_bytes(SPARSE) / 1e9:.1f} GB"],
    ),
    (
        "sparse-config-on-a-page",
        [f"{count.active_parameters(SPARSE) / 1e9:.2f} billion", f"{count.kv_bytes(SPARSE, 1):,}"],
    ),
    (
        "sparse-config-on-a-page",
        [
            f"{count.decode_flops(SPARSE, 0) / 1e9:.2f} GFLOPs",
            f"{count.decode_flops(SPARSE, 32768) / 1e9:.1f}",
        ],
    ),
    ("sparse-config-on-a-page", [f"{ATTENTION / 1e6:.2f} million", f"{128 * EXPERT / 1e6:.2f} million"]),
    (
        "softmax-before-or-after-top-k",
        [
            " and ".join(weights(*w))
            for w in (("softmax", False), ("softmax-after", False), ("sigmoid", True))
        ],
    ),
    ("softmax-before-or-after-top-k", [" and ".join(weights("softmax", True)), "0.943"]),
    (
        "many-small-experts",
        [
            f"C(16, 2) = {math.comb(16, 2)}",
            f"C({', '.join(map(str, split_experts(4096, 16, 2, 4)[1:]))}) = {math.comb(64, 8):,}",
        ],
    ),
    (
        "dispatch-by-hand",
        [f"Counts {', '.join(map(str, CHOSEN.flatten().bincount().tolist()))}", f"{room(10, 4, 1.0)} slots"],
    ),
    (
        "four-ways-to-run-experts",
        [f"{64 * 4096:,} rows", f"64·{room(32768, 64, 1.25)} = {64 * room(32768, 64, 1.25):,}"],
    ),
    ("three-tools-for-the-router", [f"{z_loss(torch.full((1, 4), x)):.2f}" for x in (0.0, 10.0)]),
    ("answers-change-with-load", [f"room for {room(128, 8, 1.25)}", f"= {room(2, 8, 1.25)} assignment"]),
    (
        "traffic-of-expert-parallelism",
        [f"{TRAFFIC:,} bytes", f"{58 * TRAFFIC / 1e6:.2f} MB", f"{FAST:,.0f} tokens", f"{BUSY:,.0f} tokens"],
    ),
    ("traffic-of-expert-parallelism", [f"{1 / (1 / n / FAST + 1 / BUSY):,.0f}" for n in (1, 2)]),
    (
        "one-gpu-waits-for-another",
        [f"{131072 // 8:,}", f"{29500 / 16384:.1f} times", f"{16384 / 29500:.0%}".replace("%", " per cent")],
    ),
    (
        "hot-experts-in-production",
        [f"{6 * 2.56:.1f} times", f"{6 + 31 * OTHERS:.1f} per cent", f"{(6 + 31 * OTHERS) / 12.5:.2f} times"],
    ),
    (
        "hot-experts-in-production",
        [f"{1.5 + 32 * OTHERS:.1f} per cent, {(1.5 + 32 * OTHERS) / 12.5:.2f} times"],
    ),
    ("gemma-run-as-llama", [f"{math.sqrt(2048):.2f}"]),
]


@pytest.mark.parametrize(("id", "figures"), CASES, ids=[f"{id}-{n}" for n, (id, _) in enumerate(CASES)])
def test_figures_stand_in_the_answer(id: str, figures: Sequence[str]) -> None:
    missing = [figure for figure in figures if figure not in said()[id]]
    assert not missing, f"{id}: computed {figures}, not found {missing}"


def test_who_is_dropped_by_hand() -> None:
    """Question dispatch-by-hand: token 4's second choice, and after the swap of its follow-up token 0's."""
    assert (~keep_within(CHOSEN, 3, 4)).nonzero().tolist() == [[4, 1]]
    swapped = torch.cat((CHOSEN[:4], CHOSEN[4:].flip(1)))
    assert (~keep_within(swapped, 3, 4)).nonzero().tolist() == [[0, 1]]


def test_three_conversions_of_eight_rows_bring_them_back() -> None:
    rows = torch.arange(8)[:, None]
    once = interleaved_to_half_split(rows, 1)
    twice = interleaved_to_half_split(once, 1)
    assert not torch.equal(twice, rows)
    assert torch.equal(interleaved_to_half_split(twice, 1), rows)


def test_a_normalised_router_gives_unchosen_logits_no_gradient() -> None:
    """Question softmax-before-or-after-top-k; without normalisation they do get one."""
    for normalise in (True, False):
        router = Router(4, 4, 2, normalise=normalise)
        with torch.no_grad():
            router.weight.copy_(torch.eye(4))
        logits = torch.tensor([[3.0, 1.0, 0.0, -1.0]], requires_grad=True)
        (router(logits).weights * torch.tensor([[3.0, 1.0]])).sum().backward()
        assert logits.grad is not None
        assert bool((logits.grad[0, 2:].abs() > 1e-3).any()) is not normalise


def test_a_claimed_context_beyond_the_reach_is_refused() -> None:
    """Question config-claims-128k: factor 4 over 8,192 reaches 32,768."""
    from handbook.errors import ModelFileError

    with pytest.raises(ModelFileError, match="context is 131072, and yarn by 4 reaches 32768"):
        ModelConfig(
            vocab_size=32000,
            context=131072,
            rope_scaling=RopeScaling("yarn", 4.0, 8192),
            **MISTRAL,  # type: ignore[arg-type]
        )


def test_absorbing_stops_paying_at_171_queries() -> None:
    """Question where-unfolding-pays, by the code's own count of a call that unfolds."""
    S = 100_000
    absorbed = {T: T * (S * LATENT_PAIR + UNFOLDING) for T in (170, 171)}
    assert absorbed[170] < count.attention_flops(LATENT, 170, S)
    assert absorbed[171] > count.attention_flops(LATENT, 171, S)
