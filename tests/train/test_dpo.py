"""The losses on pairs, as functions: by hand, and equal to trl's own functions, values and gradients."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from handbook.train.dpo import KINDS, dpo_loss, dpo_margin
from handbook.train.orpo import log_odds, odds_ratio_loss, orpo_loss
from handbook.train.reward import reward_loss

# trl says at its import that what is under `experimental` may change; a parity test is how we would notice
pytestmark = pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'")
B = 5


@pytest.fixture
def answers() -> list[Tensor]:
    """Log-probabilities [B] of chosen and rejected answers, policy's then reference's."""
    random = torch.Generator().manual_seed(4)
    return [(-40 * torch.rand(B, generator=random)).requires_grad_(k < 2) for k in range(4)]


def same(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    """Each pair's loss and its gradients, to 1e-5 (fp32, a handful of operations in another order)."""
    found = []
    for loss in (ours, theirs):
        values = loss(*inputs)
        grads = torch.autograd.grad(values.sum(), [x for x in inputs if x.requires_grad])
        found.append((values.detach(), *grads))
    assert len({f"{x:.3f}" for x in found[0][0].tolist()}) > 1, "pairs that all lose the same prove little"
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_one_pair_by_hand() -> None:
    """Policy 3 and 1 nats above the reference, beta 0.5: the margin is 2, the loss log(1 + e^-1)."""
    pair = [torch.tensor([x]) for x in (-7.0, -19.0, -10.0, -20.0)]
    assert dpo_margin(*pair).item() == 2.0
    assert dpo_loss(*pair, beta=0.5).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert dpo_loss(*pair, beta=0.5, kind="ipo").item() == pytest.approx((2 - 1) ** 2)
    assert dpo_loss(*pair, beta=0.25, kind="hinge").item() == pytest.approx(0.5)
    smoothed = dpo_loss(*pair, beta=0.5, label_smoothing=0.25).item()
    assert smoothed == pytest.approx(0.75 * math.log(1 + math.exp(-1)) + 0.25 * math.log(1 + math.e))


def test_the_slope_is_equation_8() -> None:
    """d loss / d log p of the chosen answer is -beta sigmoid(-beta margin), of the rejected its opposite."""
    pair = [torch.tensor([x], requires_grad=True) for x in (-7.0, -19.0, -10.0, -20.0)]
    dpo_loss(*pair, beta=0.5).backward()
    slope = 0.5 / (1 + math.e)
    assert [x.grad.item() for x in pair] == pytest.approx([-slope, slope, slope, -slope])


def test_robust_is_right_in_the_mean(answers: list[Tensor]) -> None:
    """A share s of flipped labels: the robust loss over both is the plain loss on the true ones."""
    flipped = [answers[k] for k in (1, 0, 3, 2)]
    right, wrong = (dpo_loss(*each, 0.1, "robust", 0.2) for each in (answers, flipped))
    torch.testing.assert_close(0.8 * right + 0.2 * wrong, dpo_loss(*answers, 0.1))


def test_without_a_reference_it_is_one_that_likes_all_alike(answers: list[Tensor]) -> None:
    chosen, rejected, *_ = answers
    alike = torch.full((B,), -9.0)
    assert torch.allclose(
        dpo_loss(chosen, rejected, None, None, 0.1), dpo_loss(chosen, rejected, alike, alike, 0.1)
    )
    with pytest.raises(ValueError, match="both answers, or for none"):
        dpo_loss(chosen, rejected, alike, None, 0.1)


def test_all_faults_at_once(answers: list[Tensor]) -> None:
    with pytest.raises(ValueError, match=r"sigmoid, robust, ipo, hinge, got 'no'; beta .*; label_smoothing"):
        dpo_loss(*answers, beta=0.0, kind="no", label_smoothing=0.5)
    for kind in ("ipo", "hinge"):
        with pytest.raises(ValueError, match=f"{kind} knows no label_smoothing"):
            dpo_loss(*answers, beta=0.1, kind=kind, label_smoothing=0.1)


def test_far_apart_stays_finite() -> None:
    pair = [torch.tensor([x], requires_grad=True) for x in (-5000.0, -1.0)]
    for kind in KINDS:
        loss = dpo_loss(*pair, None, None, 0.1, kind)
        assert loss.isfinite()
        assert all(g.isfinite() for g in torch.autograd.grad(loss.sum(), pair))


def test_orpo_by_hand() -> None:
    """p of 0.8 and 0.5: odds 4 and 1, so the loss is -log sigmoid(log 4) = log(1.25)."""
    chosen, rejected = torch.tensor([0.8]).log(), torch.tensor([0.5]).log()
    assert odds_ratio_loss(chosen, rejected).item() == pytest.approx(math.log(1.25))
    total = orpo_loss(chosen, rejected, 0.5).item()
    assert total == pytest.approx(-math.log(0.8) + 0.5 * math.log(1.25))
    other = orpo_loss(chosen, rejected, 0.5, torch.tensor([-2.0])).item()
    assert other == pytest.approx(2 + 0.5 * math.log(1.25))


def test_odds_keep_their_digits() -> None:
    """Against float64, from 1 - 1e-6 down to e^-80, with gradients that are numbers."""
    logprob = torch.tensor([-1e-6, -1e-3, -0.5, -0.6931, -0.6932, -3.0, -80.0], requires_grad=True)
    exact = logprob.detach().double()
    log_odds(logprob).sum().backward()
    torch.testing.assert_close(
        log_odds(logprob).detach(), (exact - (-exact.expm1()).log()).float(), rtol=1e-6, atol=1e-7
    )
    torch.testing.assert_close(logprob.grad, (-1 / exact.expm1()).float(), rtol=1e-5, atol=0)


def test_reward_by_hand() -> None:
    chosen, rejected = torch.tensor([1.5]), torch.tensor([0.5])
    assert reward_loss(chosen, rejected).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert reward_loss(chosen, rejected, torch.tensor([1.0])).item() == pytest.approx(math.log(2))
    assert reward_loss(chosen, rejected, centring=0.5).item() == pytest.approx(math.log(1 + math.exp(-1)) + 2)


FREE = [
    ("sigmoid", 0.0, 0.0),
    ("sigmoid", 0.0, 0.2),
    ("sigmoid", 1.5, 0.2),
    ("hinge", 0.0, 0.0),
    ("ipo", 0.0, 0.0),
]


@pytest.mark.parametrize(("kind", "target", "smoothing"), FREE)
def test_equal_to_trl_without_a_reference(
    answers: list[Tensor], kind: str, target: float, smoothing: float
) -> None:
    """trl's CPO holds the reference-free forms, label smoothing and SimPO's target among them."""
    from trl.experimental.cpo import CPOTrainer

    self = SimpleNamespace(
        alpha=0.0,
        beta=0.3,
        loss_type="simpo" if target else kind,
        simpo_gamma=target,
        label_smoothing=smoothing,
        accelerator=SimpleNamespace(device="cpu"),
    )
    same(
        lambda chosen, rejected: dpo_loss(chosen, rejected, None, None, 0.3, kind, smoothing, target),
        lambda chosen, rejected: CPOTrainer.cpo_loss(self, chosen, rejected)[0],
        answers[:2],
    )


def test_equal_to_trl_orpo(answers: list[Tensor]) -> None:
    from trl.experimental.orpo import ORPOTrainer

    self = SimpleNamespace(beta=0.3, accelerator=SimpleNamespace(device="cpu"))
    means = [(x.detach() / 30).requires_grad_() for x in answers[:2]]
    same(
        lambda *each: -0.3 * odds_ratio_loss(*each),
        lambda *each: ORPOTrainer.odds_ratio_loss(self, *each)[0],
        means,
    )
