"""PPO in parts: advantages by hand and by definition, gradients of the clip, the penalty, estimates of KL."""

import math

import pytest
import torch
from torch import Tensor

from handbook.train.ppo import (
    ValueHead,
    gae,
    kl_estimate,
    masked_mean,
    next_beta,
    penalised,
    ppo_policy_loss,
    ppo_value_loss,
    whiten,
)


def ragged(*lengths: int) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_advantages_by_hand() -> None:
    """Three tokens, a reward of 1 at the end, gamma 0.5 and lambda 0.5: deltas 0, -0.1, 0.5 from the left."""
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.4, 0.5]])
    advantages, returns = gae(rewards, values, ragged(3), gamma=0.5, lam=0.5)
    deltas = (0.5 * 0.4 - 0.2, 0.5 * 0.5 - 0.4, 1 - 0.5)
    wanted = [deltas[0] + 0.25 * deltas[1] + 0.0625 * deltas[2], deltas[1] + 0.25 * deltas[2], deltas[2]]
    assert advantages[0].tolist() == pytest.approx(wanted)
    assert returns[0].tolist() == pytest.approx([a + v for a, v in zip(wanted, [0.2, 0.4, 0.5], strict=True)])


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.0), (0.97, 1.0)])
def test_advantages_are_their_definition(gamma: float, lam: float) -> None:
    """Equation 16 written out as a double sum, answer by answer."""
    random = torch.Generator().manual_seed(0)
    lengths = (4, 1, 6)
    mask = ragged(*lengths)
    rewards, values = torch.randn(2, 3, 6, generator=random)
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for row, length in enumerate(lengths):
        r, v = rewards[row, :length].tolist(), [*values[row, :length].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        wanted = [
            sum((gamma * lam) ** (t - at) * deltas[t] for t in range(at, length)) for at in range(length)
        ]
        assert advantages[row, :length].tolist() == pytest.approx(wanted, abs=1e-6)
        assert not advantages[row, length:].any()
        assert not returns[row, length:].any()


def test_lambda_1_is_the_return_less_the_value() -> None:
    rewards, values = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[5.0, 7.0, 9.0]])
    advantages, returns = gae(rewards, values, ragged(3), gamma=1.0, lam=1.0)
    assert returns[0].tolist() == pytest.approx([6.0, 5.0, 3.0])
    assert torch.allclose(advantages, returns - values)


def test_whitened_values_have_mean_0_and_variance_1() -> None:
    mask = ragged(5, 2, 4)
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(1)) * 3 + 2
    white = whiten(x, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-6)
    assert white[mask].std().item() == pytest.approx(1, abs=1e-5)
    assert not white[~mask].any()
    assert whiten(x, mask, centre=False)[mask].mean().item() == pytest.approx(x[mask].mean().item(), abs=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [
        (1.0, 2.0, -2.0, True),
        (1.1, 1.0, -1.1, True),
        (1.5, 1.0, -1.2, False),  # likely enough already
        (0.5, 1.0, -0.5, True),  # a good token that became rarer: pulled back
        (1.5, -1.0, 1.5, True),  # a bad one that became likelier: pushed down without bound
        (0.5, -1.0, 0.8, False),
    ],
)
def test_the_clip_by_hand(ratio: float, advantage: float, loss: float, moves: bool) -> None:
    logprobs = torch.tensor([[ratio]]).log().requires_grad_()
    found = ppo_policy_loss(logprobs, torch.zeros(1, 1), torch.tensor([[advantage]]), ragged(1), clip=0.2)
    assert found.loss.item() == pytest.approx(loss)
    found.loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.item() == pytest.approx(-ratio * advantage if moves else 0.0)
    assert found.clipped.item() == (not moves)


def test_values_gain_nothing_from_far_steps() -> None:
    mask, old, returns = ragged(1), torch.tensor([[1.0]]), torch.tensor([[2.0]])
    near, far = torch.tensor([[1.1]], requires_grad=True), torch.tensor([[1.9]], requires_grad=True)
    assert ppo_value_loss(near, old, returns, mask, 0.2).loss.item() == pytest.approx(0.5 * 0.9**2)
    held = ppo_value_loss(far, old, returns, mask, 0.2)
    assert held.loss.item() == pytest.approx(0.5 * 0.8**2), "as if it stood at 1.2"
    held.loss.backward()
    assert far.grad is not None
    assert far.grad.item() == 0
    assert held.clipped.item() == 1
    assert ppo_value_loss(far, old, returns, mask, None).loss.item() == pytest.approx(0.5 * 0.1**2)


def test_estimators_have_the_mean_that_is_claimed() -> None:
    """Over all outcomes instead of samples: KL(p || q) exactly, and the gradient of each as a loss."""
    logits = torch.tensor([0.5, -1.0, 0.3, 0.0], requires_grad=True)
    p, q = logits.log_softmax(0), torch.tensor([0.1, 0.2, -0.4, 0.6]).log_softmax(0)
    kl = (p.exp() * (p - q)).sum()
    back = (q.exp() * (q - p)).sum()
    (forward,) = torch.autograd.grad(kl, logits, retain_graph=True)
    (backward,) = torch.autograd.grad(back, logits, retain_graph=True)
    wanted = {"k1": torch.zeros(4), "k2": forward, "k3": backward}
    for kind, gradient in wanted.items():
        each = kl_estimate(p, q, kind)  # type: ignore[arg-type]
        mean = (p.detach().exp() * each).sum()
        if kind != "k2":
            assert mean.item() == pytest.approx(kl.item(), abs=1e-6)
        (found,) = torch.autograd.grad(mean, logits, retain_graph=True)
        assert torch.allclose(found, gradient, atol=1e-6), kind
    assert (kl_estimate(p, q, "k3") >= 0).all()
    assert (kl_estimate(p, q, "k1") < 0).any()


def test_the_score_comes_last_and_the_penalty_everywhere() -> None:
    mask = ragged(3, 1)
    logprobs, reference = torch.full((2, 3), -1.0), torch.full((2, 3), -1.5)
    rewards = penalised(torch.tensor([2.0, 3.0]), logprobs, reference, mask, beta=0.1)
    assert rewards.tolist() == [pytest.approx([-0.05, -0.05, 1.95]), pytest.approx([2.95, 0.0, 0.0])]


def test_the_penalty_follows_its_target() -> None:
    assert next_beta(0.1, kl=6.0, target=6.0) == pytest.approx(0.1)
    assert next_beta(0.1, kl=60.0, target=6.0) == pytest.approx(0.102), "no more than 2 % a round"
    assert next_beta(0.1, kl=0.0, target=6.0) == pytest.approx(0.098)
    assert next_beta(0.1, kl=6.6, target=6.0) == pytest.approx(0.101)
    assert next_beta(0.1, kl=60.0, target=None) == 0.1


def test_a_value_moves_the_layers_below_only_where_it_may() -> None:
    for through in (False, True):
        head, hidden = ValueHead(3, through), torch.randn(2, 4, 3, requires_grad=True)
        assert not head(hidden).any(), "it begins at 0"
        with torch.no_grad():
            head.weight += 1
        head(hidden).sum().backward()
        assert (hidden.grad is not None) == through
        assert head.weight.grad is not None


def test_nothing_that_counts_is_0_and_no_nan() -> None:
    assert masked_mean(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool)).item() == 0


def test_a_ratio_beyond_fp32_gives_no_nan() -> None:
    """exp(100) is infinite in fp32; the clip's gradient there is 0, and 0 times infinity is NaN."""
    old = torch.tensor([[-101.0, -1.0]])
    logprobs = torch.tensor([[-1.0, -1.5]], requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    for advantage, second in ((1.0, -0.5 * math.exp(-0.5)), (-1.0, 0.0)):
        found = ppo_policy_loss(logprobs, old, torch.full((1, 2), advantage), mask)
        (gradient,) = torch.autograd.grad(found.loss, logprobs)
        assert found.loss.isfinite()
        assert gradient.tolist() == [[0.0, pytest.approx(second)]]


def test_what_stands_behind_an_answer_may_be_anything() -> None:
    mask = torch.tensor([[True, True, False]])
    rubbish = torch.tensor([[0.0, 0.0, float("nan")]])
    rewards, values = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.2, 0.6, 0.0]])
    for one, other in zip(
        gae(rewards + rubbish, values + rubbish, mask), gae(rewards, values, mask), strict=True
    ):
        assert torch.equal(one, other)
    logprobs = torch.tensor([[-1.0, -2.0, 0.0]])
    same = ppo_policy_loss(logprobs, logprobs, rewards, mask)
    bad = ppo_policy_loss(logprobs + rubbish, logprobs, rewards + rubbish, mask)
    assert torch.equal(bad.loss, same.loss)
    assert torch.equal(
        ppo_value_loss(values + rubbish, values, rewards, mask).loss,
        ppo_value_loss(values, values, rewards, mask).loss,
    )
