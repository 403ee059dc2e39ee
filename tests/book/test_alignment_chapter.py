"""The alignment chapter's arithmetic by hand, recomputed, with the code that it teaches where it can."""

import math
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from handbook.train.dpo import dpo_loss, dpo_margin
from handbook.train.grpo import grpo_advantages, grpo_loss
from handbook.train.orpo import log_odds, odds_ratio_loss, orpo_loss
from handbook.train.ppo import gae, kl_estimate, next_beta, penalised, ppo_policy_loss
from handbook.train.reward import reward_loss

FOLDER = Path(__file__).parents[2] / "book" / "model-training" / "preference-alignment"
WHOLE = 8.03026  # Llama 3 8B, billions of weights
REFERENCE, REWARDS, BETA = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.0, 1, -1]), 0.5


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits."""
    text = FOLDER.with_suffix(".md").read_text(encoding="utf-8").replace("{,}", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def unsaid(*wanted: str) -> list[str]:
    """Those pieces that the chapter does not have."""
    return [w for w in wanted if w not in prose()]


def row(*values: float) -> Tensor:
    """[1, T]"""
    return torch.tensor([values])


def one(value: float) -> Tensor:
    return torch.tensor([value])


def every(values: Tensor) -> Tensor:
    return torch.ones(values.shape, dtype=torch.bool)


def test_comparison_by_hand() -> None:
    wins = torch.sigmoid(one(1.2) - one(0.4)).item()
    losses = [reward_loss(one(a), one(b)).item() for a, b in ((1.2, 0.4), (0.4, 1.2))]
    assert (round(wins, 3), [round(loss, 3) for loss in losses]) == (0.690, [0.371, 1.171])
    first, second = (one(r).requires_grad_() for r in (1.2, 0.4))
    reward_loss(first, second).backward()
    assert first.grad is not None
    assert first.grad.item() == pytest.approx(-0.310, abs=5e-4)
    assert round(math.log(0.7 / 0.3), 3) == 0.847
    assert unsaid("= 0.690$", "= 0.371$", "= 1.171$", "$-(1 - P) = -0.310$", "= 0.847$") == []


def test_agreement_and_its_ceiling() -> None:
    ceilings = {a: (1 + math.sqrt(2 * a - 1)) / 2 for a in (0.726, 0.6)}
    assert [round(c, 3) for c in ceilings.values()] == [0.836, 0.724]
    assert all(c**2 + (1 - c) ** 2 == pytest.approx(a) for a, c in ceilings.items())
    assert unsaid("72.6% is then $p = 0.836$", "the ceiling is 0.724") == []


def test_memory_of_four_models() -> None:
    trained, frozen = 16 * WHOLE, 2 * WHOLE
    sums = {"rlhf": 2 * trained + 2 * frozen, "dpo": trained + frozen, "orpo": trained}
    assert {name: round(2 * size) / 2 for name, size in sums.items()} == {
        "rlhf": 289,
        "dpo": 144.5,
        "orpo": 128.5,
    }
    assert unsaid("so 289 GB; DPO takes 144.5, ORPO 128.5") == []


def test_advantages_by_hand() -> None:
    logprobs, reference = row(-1.0, -0.5, -2.0), row(-1.4, -0.7, -1.8)
    rewards = penalised(one(1.0), logprobs, reference, every(logprobs), 0.1)
    assert rewards.flatten().tolist() == pytest.approx([-0.04, -0.02, 1.02])
    values = row(0.5, 0.6, 0.8)
    advantages, returns = gae(rewards, values, every(values), 1.0, 0.95)
    assert advantages.flatten().tolist() == pytest.approx([0.4295, 0.389, 0.22], abs=5e-5)
    assert returns.flatten().tolist() == pytest.approx([0.9295, 0.989, 1.02], abs=5e-5)
    ends = [gae(rewards, values, every(values), 1.0, lam)[0][0, 0].item() for lam in (0.0, 1.0)]
    assert ends == pytest.approx([0.06, 0.46])
    free = gae(row(0, 0, 1), values, every(values), 1.0, 0.95)[0][0, 0].item()
    assert (round(free, 4), round(free - 0.4295, 3)) == (0.4705, 0.041)
    assert unsaid("= 0.4295$", "= 0.389$", "$(0.9295, 0.989, 1.02)$", "cost it 0.041") == []


def test_clipping_by_hand() -> None:
    ratios, advantages = row(1.3, 0.9, 1.3, 0.7), row(2.0, 1, -1, -1)
    logprobs = ratios.log().requires_grad_()
    found = ppo_policy_loss(logprobs, torch.zeros(1, 4), advantages, every(ratios))
    found.loss.backward()
    assert (round(found.loss.item(), 4), found.clipped.item()) == (-0.3, 0.5)
    assert logprobs.grad is not None
    assert (logprobs.grad != 0).flatten().tolist() == [False, True, True, False]
    for name, *cells in (
        ("gained enough", 1.3, 2, 2.6, 2.4, 2.4),
        ("on its way", 0.9, 1, 0.9, 0.9, 0.9),
        ("went the wrong way", 1.3, -1, -1.3, -1.2, -1.3),
        ("lost enough", 0.7, -1, -0.7, -0.8, -0.8),
    ):
        ratio, advantage, *wanted = cells
        clipped = min(max(ratio, 0.8), 1.2) * advantage
        free = ratio * advantage
        assert [free, clipped, min(free, clipped)] == pytest.approx(wanted)
        assert unsaid(" | ".join([f"| {name}", *(f"{c:g}".replace("-", "\u2212") for c in cells)])) == []


def test_steering_of_beta() -> None:
    assert [round(next_beta(0.1, kl, 6.0), 6) for kl in (9.0, 6.6)] == [0.102, 0.101]
    assert round(math.exp(6), -2) == 400
    assert unsaid("beta 0.1 becomes 0.102; at 6.6 it becomes 0.101") == []


def test_estimators_of_kl() -> None:
    policy, reference = torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])
    told = []
    for kind in ("k1", "k2", "k3"):
        values = kl_estimate(policy.log(), reference.log(), kind)
        mean = (policy * values).sum()
        told.append((round(mean.item(), 4), round((policy * (values - mean) ** 2).sum().sqrt().item(), 3)))
    assert told == [(0.2231, 0.693), (0.2651, 0.155), (0.2231, 0.093)]
    assert (
        unsaid("mean 0.2231, deviation 0.693", "mean 0.2651, deviation 0.155", "mean 0.2231, deviation 0.093")
        == []
    )


@pytest.mark.parametrize(("kind", "wanted"), [("k1", "none"), ("k2", "policy"), ("k3", "reference")])
def test_gradients_of_estimators(kind: str, wanted: str) -> None:
    """In the mean over draws, k1's is zero, k2's that of KL(policy || reference), k3's that of the other."""
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    logprobs = logits.log_softmax(0)
    drawn = logprobs.detach().exp()
    estimate = (drawn * kl_estimate(logprobs, reference, kind)).sum()  # type: ignore[arg-type]
    exact = {
        "none": 0 * logprobs.sum(),
        "policy": (logprobs.exp() * (logprobs - reference)).sum(),
        "reference": (reference.exp() * (reference - logprobs)).sum(),
    }[wanted]
    got, right = (torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (estimate, exact))
    assert got.tolist() == pytest.approx(right.tolist(), abs=1e-12)


def test_groups_by_hand() -> None:
    def group(right: int, scale: bool) -> Tensor:
        return grpo_advantages(torch.tensor([1.0] * right + [0.0] * (8 - right)), 8, scale, eps=0)

    assert [round(x, 3) for x in group(1, True)[[0, 7]].tolist()] == [2.475, -0.354]
    assert [round(x, 3) for x in group(4, True)[[0, 7]].tolist()] == [0.935, -0.935]
    sums = [round(group(right, scale).abs().sum().item(), 2) for scale in (True, False) for right in (1, 4)]
    assert sums == [4.95, 7.48, 1.75, 4]
    assert (round(0.9**8, 2), round((299 / 300) ** 64, 1)) == (0.43, 0.8)
    assert [round(1 - (1 - p) ** 8, 2) for p in (0.01, 0.1)] == [0.08, 0.57]
    assert unsaid("gets 2.475, each wrong one −0.354", "4.95 to 7.48; undivided 1.75 to 4") == []  # noqa: RUF001


def test_tokens_of_long_answers() -> None:
    mask = torch.arange(100) < torch.tensor([[10], [100]])
    logprobs = torch.zeros(2, 100, requires_grad=True)
    loss = grpo_loss(logprobs, torch.zeros(2, 100), torch.tensor([-1.0, -1]), mask, normalise="answer").loss
    loss.backward()
    assert logprobs.grad is not None
    assert (logprobs.grad[0, 0] / logprobs.grad[1, 0]).item() == pytest.approx(10)
    assert logprobs.grad[1, 0].item() * 2 == pytest.approx(1 / 100)


def test_best_of_n() -> None:
    assert [round(math.log(n) - (n - 1) / n, 2) for n in (4, 16, 64)] == [0.64, 1.84, 3.17]
    assert unsaid("0.64 nats at 4, 1.84 at 16 and 3.17 at 64") == []


def test_pair_by_hand() -> None:
    chosen, rejected = one(-42.0).requires_grad_(), one(-36.0).requires_grad_()
    loss = dpo_loss(chosen, rejected, one(-40.0), one(-30.0), 0.1)
    loss.backward()
    assert dpo_margin(chosen, rejected, one(-40.0), one(-30.0)).item() == 4
    assert round(loss.item(), 3) == 0.513
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert [round(g.item(), 4) for g in (chosen.grad, rejected.grad)] == [-0.0401, 0.0401]
    first = dpo_loss(one(-40.0), one(-30.0), one(-40.0), one(-30.0), 0.1)
    assert first.item() == pytest.approx(math.log(2))
    kinds = [dpo_loss(chosen, rejected, one(-40.0), one(-30.0), 0.1, k, 0.1) for k in ("sigmoid", "robust")]
    assert [round(x.item(), 3) for x in kinds] == [0.553, 0.463]
    assert (round(math.exp(2), 1), round(math.log(0.9 / 0.1) / 0.1)) == (7.4, 22)
    assert unsaid("$-\\log 0.599 = 0.513$", "$-\\beta(1 - 0.599) = -0.0401$") == []
    assert unsaid("plain 0.513, smoothed 0.553, robust 0.463") == []


def test_both_sides_fall() -> None:
    """Drawn from the reference, both sides together lose KL; and a toy whose answers share one feature."""
    chosen, rejected = 4 / 2 - 3, -4 / 2 - 3
    assert (chosen, rejected) == (-1, -5)
    features, start = torch.tensor([1.0, 3, 0]), torch.tensor([0.1, 0.1, 0.8]).log()
    moved = (start - 2 * features).log_softmax(0) - start  # the shared feature at -2: a margin of 4
    assert (moved[0] - moved[1]).item() == pytest.approx(4)
    assert [round(x, 2) for x in moved.tolist()] == [-1.79, -5.79, 0.21]
    shared_feature = torch.zeros((), requires_grad=True)
    logprobs = (start + shared_feature * features).log_softmax(0)
    slopes = [torch.autograd.grad(logprobs[n], shared_feature, retain_graph=True)[0].item() for n in (0, 1)]
    assert slopes[0] ** 2 < slopes[0] * slopes[1]
    told = "stands at −1.79, the rejected one at −5.79, and all other text at +0.21"  # noqa: RUF001
    assert unsaid("$-1$ and $-5$", told) == []


def test_goal_of_ipo() -> None:
    margins = torch.tensor([4.0, 5.0, 8.0], requires_grad=True)
    zero = torch.zeros(3)
    dpo_loss(margins, zero, zero, zero, 0.1, "ipo").sum().backward()
    assert margins.grad is not None
    assert margins.grad.sign().tolist() == [-1, 0, 1]


def test_simpo_by_hand() -> None:
    loss = dpo_loss(one(-42 / 40), one(-36 / 60), None, None, 2.0, target=1.0)
    assert (round(loss.item(), 2), -42 / 40, -36 / 60) == (2.04, -1.05, -0.6)
    assert unsaid("- 1 = -1.9$, and the loss is 2.04") == []


def test_odds_by_hand() -> None:
    chosen, rejected = one(-0.5), one(-1.2)
    logs = [log_odds(x).item() for x in (chosen, rejected)]
    assert [round(x, 4) for x in logs] == [0.4328, -0.8416]
    assert round(logs[0] - logs[1], 4) == pytest.approx(1.2743, abs=1.01e-4)
    assert [round(math.exp(x), 4) for x in logs] == [1.5415, 0.4310]
    assert round(odds_ratio_loss(chosen, rejected).item(), 4) == 0.2466
    assert round(orpo_loss(chosen, rejected, 0.1).item(), 4) == 0.5247
    assert round(math.log1p(math.exp(-0.7)), 3) == 0.403
    slopes = [1 / (1 - math.exp(x)) for x in (-3, -0.5, -0.05)]
    assert [round(slopes[0], 2), *(round(s, 1) for s in slopes[1:])] == [1.05, 2.5, 20.5]
    slope = "1.05 at a mean of −3 nats a token, 2.5 at −0.5, 20.5 at −0.05"  # noqa: RUF001
    assert unsaid("= 0.2466$", "= 0.5247$", slope) == []


def test_three_answers() -> None:
    weights = REFERENCE * (REWARDS / BETA).exp()
    optimum = weights / weights.sum()
    assert [round(x, 4) for x in weights.tolist()] == [0.5, 2.2167, 0.0271]
    assert (round(weights.sum().item(), 4), [round(x, 4) for x in optimum.tolist()]) == (
        2.7438,
        [0.1822, 0.8079, 0.0099],
    )
    back = BETA * (optimum / REFERENCE).log()
    assert [round(x, 3) for x in back.tolist()] == [-0.505, 0.495, -1.505]
    assert round(BETA * weights.sum().log().item(), 3) == 0.505
    generous = REFERENCE * (torch.tensor([0.0, 1, 1]) / BETA).exp()
    assert round((generous / generous.sum())[2].item(), 3) == 0.352
    assert (
        unsaid("Z = 2.7438$", "(0.1822, 0.8079, 0.0099)$", "(-0.505, 0.495, -1.505)$", "give it 0.352") == []
    )


def descended(pairs: list[tuple[int, int]]) -> Tensor:
    """Gradient descent with our loss on three free logits, from the reference; labels are exact shares."""
    reference = REFERENCE.double().log()
    logits = reference.clone().requires_grad_()
    for _ in range(800):
        logprobs = logits.log_softmax(0)
        total = torch.zeros((), dtype=torch.float64)
        for a, b in pairs:
            wins = torch.sigmoid(REWARDS[a] - REWARDS[b]).double()
            for share, won, lost in ((wins, a, b), (1 - wins, b, a)):
                total = total + share * dpo_loss(
                    logprobs[won], logprobs[lost], reference[won], reference[lost], BETA
                )
        (slope,) = torch.autograd.grad(total, logits)
        logits = (logits - 2 * slope).detach().requires_grad_()
    return logits.detach().softmax(0)


def test_where_dpo_and_rlhf_agree() -> None:
    assert descended([(1, 0), (0, 2), (1, 2)]).tolist() == pytest.approx([0.1822, 0.8079, 0.0099], abs=1e-4)
    assert descended([(1, 0)]).tolist() == pytest.approx([0.153, 0.680, 0.167], abs=5e-4)
    assert unsaid("(0.153, 0.680, 0.167)$") == []


def test_mass_that_goes_elsewhere() -> None:
    moved = (torch.tensor([0.60, 0.01, 0.39]).log() + torch.tensor([-2.0, 2, 0])).softmax(0)
    assert [round(x, 3) for x in moved.tolist()] == [0.149, 0.136, 0.715]
    assert unsaid("$(0.149, 0.136, 0.715)$") == []


def test_intervals() -> None:
    assert round(math.sqrt(0.6 * 0.4 / 32), 3) == 0.087
    error = math.sqrt(0.54 * 0.46 / 200)
    assert (round(error, 3), [round(0.54 + 2 * s * error, 2) for s in (-1, 1)]) == (0.035, [0.47, 0.61])
    assert round(0.25 / (0.04 / 2) ** 2, -2) == 600
    assert unsaid("= 3.5$ points, so 47 to 61") == []
