"""What the transformer lab measures and draws, by arithmetic done here; and broken code, which it notices."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.return_types import topk

from handbook.book.load import open_book
from handbook.errors import TextUnavailable
from handbook.lab import kit
from handbook.lab.transformer import (
    attention,
    cache,
    counting,
    kernels,
    latent,
    live,
    mixture,
    positions,
    reading,
    subjects,
)
from handbook.model import count, moe
from handbook.model.latent import LatentAttention
from handbook.model.variants import WindowCache
from handbook.train.characters import Corpus
from handbook.train.loop import Point
from tests.labs.conftest import ROOT

pytestmark = pytest.mark.alone

CLAIMS = {claim.id: claim for claim in open_book(ROOT / "book").chapters["transformer-deep-dive"].claims}


def held(id: str, found: float | list[float]) -> bool:
    samples = sorted(found) if isinstance(found, list) else [found]
    return CLAIMS[id].holds(samples[len(samples) // 2])


def test_exact_claims_by_hand() -> None:
    assert cache.window_cache_share() == 4096 / 32768
    expert, attention_, vocabulary = 3 * 4096 * 14336, 2 * 4096 * (4096 + 1024), 2 * 32000 * 4096
    always = 32 * (attention_ + 8 * 4096 + 2 * 4096) + vocabulary + 4096
    share = (always + 32 * 2 * expert) / (always + 32 * 8 * expert)
    assert counting.active_share_mixtral() == pytest.approx(share)


@pytest.mark.parametrize("cached", [1, 4096])
def test_flops_of_latent_attention_by_hand(cached: int) -> None:
    H, N, R, V, L = 128, 128, 64, 128, 512
    found = latent.step_flops(subjects.published("deepseek-v2"), cached)
    unfold, kept = 2 * cached * L * H * (N + V), 2 * cached * H * (N + R + V)
    absorbed = 2 * L * H * (N + V) + 2 * cached * H * (2 * L + R)
    assert found == {"unfolded": unfold + kept, "absorbed": absorbed, "kept": kept}
    assert absorbed == count.attention_flops(subjects.published("deepseek-v2"), 1, cached)
    if cached == 4096:
        assert latent.mla_absorbed_flops() == pytest.approx((unfold + kept) / absorbed)


def test_values_that_latent_attention_caches() -> None:
    assert latent.cached_values(subjects.published("deepseek-v2")) == {
        "absorbed": 576,
        "kept": 128 * 256 + 64,
    }
    assert latent.cached_values(latent.resized(8, 64)) == {"absorbed": 128, "kept": 8 * 256 + 64}


def test_cache_bytes_by_kind() -> None:
    sizes = cache.bytes_by_kind(
        layers=3, heads=8, kv_heads=2, head_dim=16, latent=32, batch=5, bytes_per_value=2
    )
    expected = {"MHA": 8 * 16 * 2, "GQA": 2 * 16 * 2, "MQA": 16 * 2, "MLA": 32 + 64}
    assert {kind: size(7) for kind, size in sizes.items()} == {
        kind: 3 * values * 7 * 5 * 2 for kind, values in expected.items()
    }


def test_wavelengths_by_hand() -> None:
    found = positions.wavelengths(dim=128, theta=10_000.0, factor=4.0, original=4096)
    own = [math.tau * 10_000 ** (2 * pair / 128) for pair in range(64)]
    assert found["as trained"] == pytest.approx(own, rel=1e-5)
    assert found["linear"] == pytest.approx([4 * wave for wave in own], rel=1e-5)
    ntk = [found["NTK"][pair] / own[pair] for pair in range(64)]
    assert ntk == pytest.approx([4 ** (pair / 63) for pair in range(64)], rel=1e-4)
    for name, often in (("YaRN", 40), ("Llama 3", 4)):
        stretched = [round(found[name][pair] / own[pair], 5) for pair in range(64)]
        assert stretched == sorted(stretched)
        turns = [4096 / wave for wave in own]
        kept = [s for s, t in zip(stretched, turns, strict=True) if t > often]
        squeezed = [s for s, t in zip(stretched, turns, strict=True) if t < 0.8]  # YaRN's ramp ends at a pair
        assert kept == pytest.approx([1.0] * len(kept), rel=1e-5)
        assert squeezed == pytest.approx([4.0] * len(squeezed), rel=1e-5)


def test_curves_of_attention_and_decay() -> None:
    for name, weights in attention.sorted_weights(64, temperature=1.0).items():
        assert weights == sorted(weights, reverse=True), name
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    hot = attention.sorted_weights(64, temperature=2.0)["q·k"][0]
    assert hot < attention.sorted_weights(64, temperature=1.0)["q·k"][0]
    ones = positions.decay_curves([0, 5], theta=100.0)["q = k = all ones"]
    cosines = [math.cos(5 * 100 ** (-2 * pair / 64)) for pair in range(32)]
    assert ones == pytest.approx([1, sum(cosines) / 32], abs=1e-5)


def test_ways_to_attention_differ_in_memory_and_not_in_result() -> None:
    plain, tiled, fused = kernels.ways(256, 32)
    scores = 9 * 256 * 256 * 4
    assert plain["peak MB"] >= 2 * scores / 1e6  # scores and weights at once
    assert tiled["peak MB"] < plain["peak MB"] / 2
    assert plain["largest difference from plain"] == "0"
    assert all(float(way["largest difference from plain"]) < 1e-5 for way in (tiled, fused))


def test_balancing_by_hand() -> None:
    raw, even = mixture.before_and_after(experts=8, k=2, gate="sigmoid", skew=1.0, steps=200, step=3).values()
    assert sum(raw.load) == sum(even.load) == 1024
    assert raw.busiest == max(raw.load) / 128
    assert even.busiest < 1.3 < 2 < raw.busiest
    for factor, share in raw.dropped:
        room = math.ceil(round(factor * 128, 6))
        assert share == pytest.approx(sum(max(load - room, 0) for load in raw.load) / 1024)
    same = mixture.before_and_after(experts=8, k=2, gate="sigmoid", skew=1.0, steps=0, step=3)
    assert same["before"] == same["after balancing"] == raw


def test_rows_of_the_lens() -> None:
    tokenizer = SimpleNamespace(decode=lambda ids: "ab cd"[ids[0]])
    top = topk((torch.tensor([[0.5, 0.25], [0.75, 0.125]]), torch.tensor([[0, 2], [4, 1]])))
    assert reading.lens_rows(tokenizer, top) == [
        {"blocks": 0, "1.": ("a", 0.5), "2.": ("␣", 0.25)},
        {"blocks": 1, "1.": ("d", 0.75), "2.": ("b", 0.125)},
    ]


def test_the_short_training_trains_all_on_the_same_text() -> None:
    text = "to be, or not to be, that is the question.\n" * 40
    seen: list[tuple[str, int]] = []
    before = torch.get_num_threads()
    found = live.train_all(
        Corpus.of(text, live.SHAPE.length), 4, lambda name, point: seen.append((name, point.step))
    )
    assert seen == [(name, step) for name in live.MODELS.values() for step in (1, 2, 3, 4)]
    assert torch.get_num_threads() == before
    rows = {row["model"]: row for row in live.summary(found)}
    dense, mixed = rows["dense"], rows["mixture, balanced"]
    router = live.SHAPE.layers * live.SHAPE.dim * live.SHAPE.experts
    assert dense["parameters"] == dense["active"] == mixed["active"] - router
    assert mixed["parameters"] > 2 * mixed["active"]
    assert dense["busiest over mean"] == ""
    assert 1 <= float(mixed["busiest over mean"]) <= live.SHAPE.experts


def test_loss_curves_are_means_of_ten_steps() -> None:
    curve = [Point(step, 0.0, 0.0, {"text": float(step)}, 0.0) for step in range(1, 26)]
    assert live.smooth(curve) == [(10, 5.5), (20, 15.5)]


def test_without_a_text_the_command_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path))
    monkeypatch.delenv("HANDBOOK_TEXT", raising=False)
    with pytest.raises(TextUnavailable) as raised:
        live.corpus()
    assert "handbook train tiny" in raised.value.remedy
    own = tmp_path / "own.txt"
    own.write_text("a line of text\n" * 100)
    monkeypatch.setenv("HANDBOOK_TEXT", str(own))
    assert live.corpus().tokenizer.symbols == "".join(sorted(set("a line of text\n")))


def test_a_window_that_forgets_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "WindowCache", lambda windows: WindowCache([0] * len(windows)))
    assert not held("window-cache-share", cache.window_cache_share())


def test_a_formula_that_forgets_attention_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "attention_flops", lambda config, queries, keys: 0)
    assert not held("decode-flops-error", counting.decode_flops_error())


def test_absorbed_without_positions_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LatentAttention.absorb
    monkeypatch.setattr(LatentAttention, "absorb", lambda self, q, turned: right(self, q, 0 * turned))
    assert not held("mla-absorbed-error", latent.mla_absorbed_error())


def test_a_step_that_always_unfolds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfolding(self: LatentAttention, q, latents, key, mask):
        return self.unfold(latents, key)[1][:, :, -1:]

    monkeypatch.setattr(LatentAttention, "attend_absorbed", unfolding)
    assert not held("mla-absorbed-speedup", latent.mla_absorbed_speedup())


def test_pieces_for_the_wrong_experts_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(x, routing, gate, up, down):
        weights = (weight.roll(1, 0) for weight in (gate, up, down))
        return moe.run_grouped(x, routing, *weights)

    monkeypatch.setattr(mixture, "run_grouped", shifted)
    assert not held("moe-grouped-error", mixture.moe_grouped_error())


def test_an_output_without_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def detached(x, routing, gate, up, down):
        return moe.run_grouped(x.detach() + 0 * x, routing, gate, up, down)

    monkeypatch.setattr(mixture, "run_grouped", detached)
    assert not held("moe-grouped-error", mixture.moe_grouped_error())


@pytest.mark.parametrize("job", ["decode", "train"])
def test_a_loop_in_place_of_the_groups_is_noticed(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "run_grouped", moe.run_plain)
    assert not held(f"moe-grouped-{job}-speedup", getattr(mixture, f"moe_grouped_{job}_speedup")())


def test_timed_claims_divide_the_plain_by_the_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """moe-grouped-speedup has a bound too near to 1 to notice the two sides changed."""
    sides = []
    monkeypatch.setattr(kit, "paired", lambda slow, fast, *rest, **named: sides.extend((slow, fast)))
    mixture.moe_grouped_speedup()
    assert [side.args[0] for side in sides] == [moe.run_plain, moe.run_grouped]
