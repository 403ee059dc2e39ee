"""The transformer lab: its claims hold, agree with arithmetic done here, and fail when the code is broken."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from handbook.book.claims import Claim
from handbook.book.load import open_book
from handbook.lab.transformer import cache, kernels, positions
from handbook.model import attention, routing
from handbook.model.transformer import Transformer
from tests.labs.conftest import LAB, ROOT

pytestmark = pytest.mark.alone

CHAPTER = open_book(ROOT / "book").chapters["transformer-deep-dive"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
PROMISED = """cached-decode-speedup prefill-over-decode gqa-equals-repeated-mha kv-bytes-per-token-smollm2
    gqa-cache-saving rope-relative-shift rope-decay-512 unscaled-softmax-peak first-token-attention-share
    logit-lens-settles tiled-attention-error tiled-attention-memory-saving attention-flops-share-2k
        flops-per-token-over-2n norm-time-share no-position-equivariance moe-drop-at-capacity-one
    moe-hottest-expert"""


def held(claim: Claim, lab: ModuleType) -> bool:
    found = getattr(lab, claim.lab)(small=True)
    samples = sorted(found) if isinstance(found, list) else [found]
    return claim.holds(samples[len(samples) // 2])


def test_every_promised_claim_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLAIMS)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS.values() if not claim.needs], ids=lambda c: c.id)
def test_claims_without_a_model_hold(claim: Claim, lab: ModuleType) -> None:
    assert held(claim, lab)


@pytest.mark.models
def test_the_numbers_of_smollm2_are_those_of_its_file(lab: ModuleType, smollm2) -> None:
    for name in ("vocab_size", "dim", "layers", "heads", "kv_heads", "head_dim", "hidden_dim", "context"):
        assert getattr(lab.SMOLLM2, name) == getattr(smollm2.config, name)
    assert lab.SMOLLM2.rope_theta == smollm2.config.rope_theta
    assert lab.SMOLLM2.tie_embeddings == smollm2.config.tie_embeddings


def test_bytes_are_those_counted_by_hand(lab: ModuleType) -> None:
    per_token = 2 * 30 * 3 * 64 * 2
    weights = 49152 * 576 + 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 2 * 576) + 576
    assert lab.kv_bytes_per_token_smollm2() == per_token
    assert lab.kv_megabytes_8k() * 1e6 == pytest.approx(8192 * per_token)
    assert lab.gqa_cache_saving() == 9 / 3
    assert lab.mla_cache_saving() == pytest.approx(2 * 128 * 128 / (512 + 64))
    assert lab.cache_equals_weights_tokens() == pytest.approx(2 * weights / per_token)
    assert lab.embedding_parameter_share() == pytest.approx(49152 * 576 / weights)


def test_flops_are_those_counted_by_hand(lab: ModuleType) -> None:
    matrices = 49152 * 576 + 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)
    weights = matrices + 61 * 576

    def step(context: int) -> int:
        return 2 * matrices + 30 * 4 * 576 * (context + 1)

    assert lab.flops_per_token_over_2n() == pytest.approx(step(128) / (2 * weights))
    assert lab.attention_flops_share_2k() == pytest.approx(1 - step(0) / step(2048))


def test_the_decay_is_the_mean_cosine(lab: ModuleType) -> None:
    cosines = [math.cos(512 * 10_000 ** (-2 * i / 64)) for i in range(32)]
    assert lab.rope_decay_512() == pytest.approx(sum(cosines) / 32, abs=1e-5)


def test_drops_are_those_of_the_binomial_distribution(lab: ModuleType) -> None:
    def share(room: int) -> float:
        expected = sum(
            math.comb(1024, n) * (1 / 32) ** n * (31 / 32) ** (1024 - n) * (n - room)
            for n in range(room + 1, 100)
        )
        return expected / 32

    for room, drops in ((32, lab.moe_drop_at_capacity_one(False)), (40, lab.moe_drop_at_capacity_125(False))):
        assert sum(drops) / len(drops) == pytest.approx(share(room), rel=0.05)


def test_a_wrong_tile_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_first(q, k, v, mask, block):
        return attention.attend_tiled(q, k, v, mask & (torch.arange(k.shape[2]) > 0), block=block)

    monkeypatch.setattr(kernels, "attend_tiled", without_the_first)
    assert not held(CLAIMS["tiled-attention-error"], lab)


def test_wrong_groups_are_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.attend_fused

    def interleaved(q, k, v, *rest):
        times = q.shape[1] // k.shape[1]  # query head h must use KV head h // times, not h % kv_heads
        return right(q, k.repeat(1, times, 1, 1), v.repeat(1, times, 1, 1), *rest)

    monkeypatch.setattr(attention, "attend_fused", interleaved)
    assert not held(CLAIMS["gqa-equals-repeated-mha"], lab)


def test_a_layer_that_knows_positions_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.Attention.forward

    def with_positions(self, x, *rest, **named):
        return right(self, x + torch.linspace(0, 1, x.shape[1])[:, None], *rest, **named)

    monkeypatch.setattr(attention.Attention, "forward", with_positions)
    assert not held(CLAIMS["no-position-equivariance"], lab)


def test_a_rotation_of_lengths_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = positions.apply_rope
    monkeypatch.setattr(positions, "apply_rope", lambda x, cos, sin: right(x, cos, sin * 0.9))
    assert not held(CLAIMS["rope-relative-shift"], lab)


def test_a_cache_twice_as_large_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SMOLLM2", replace(cache.SMOLLM2, kv_heads=9))
    assert not held(CLAIMS["kv-bytes-per-token-smollm2"], lab)
    assert not held(CLAIMS["gqa-cache-saving"], lab)


def test_a_biased_router_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = routing.route
    monkeypatch.setattr(routing, "route", lambda logits, k: right(logits + 0.5 * logits[0], k))
    assert not held(CLAIMS["moe-drop-at-capacity-one"], lab)
    assert not held(CLAIMS["moe-hottest-expert"], lab)


@pytest.mark.models
@pytest.mark.usefixtures("smollm2_path")
def test_a_decoder_that_recomputes_is_noticed(lab: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Transformer.forward

    def wasteful(self, tokens, cache=None, trace=None, last_only=False):
        if cache is not None and tokens.shape[1] == 1:
            right(self, tokens.expand(1, 160), last_only=True)
        return right(self, tokens, cache, trace, last_only)

    monkeypatch.setattr(Transformer, "forward", wasteful)
    assert not held(CLAIMS["cached-decode-speedup"], lab)


def run_as_script(**changes: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HANDBOOK_TEXT"} | changes
    return subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )


def lines_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line for line in done.stdout.splitlines() if line}


@pytest.fixture(scope="module")
def printed(smollm2_path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the notebook prints when it runs from end to end, on real weights, and the text if it is here."""
    try:
        changes = {"HANDBOOK_TEXT": str(request.getfixturevalue("text_path"))}
    except pytest.skip.Exception:
        changes = {}
    return lines_of(run_as_script(**changes))


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("claim", CLAIMS)
def test_the_script_holds_every_claim(
    claim: str, printed: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if "text" in CLAIMS[claim].needs:
        request.getfixturevalue("text_path")  # skips, and says why, where there is none
    assert printed[claim].endswith("yes")


@pytest.mark.slow
def test_without_model_and_text_the_script_measures_the_rest_and_says_so(tmp_path) -> None:
    lines = lines_of(run_as_script(HANDBOOK_DATA=str(tmp_path)))
    assert set(CLAIMS) <= set(lines)
    assert lines["rope-decay-512"].endswith("yes")
    assert "handbook models get smollm2-135m-instruct" in lines["logit-lens-settles"]
    assert "handbook train tiny" in lines["moe-unbalanced-busiest"]
