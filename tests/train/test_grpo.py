"""GRPO: advantages by hand, and the loss equal to TRL's in value and gradient, in each normalisation."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from handbook.train.grpo import grpo_advantages, grpo_loss, telling
from handbook.train.ppo import ppo_policy_loss

LENGTHS = (5, 2, 4, 1)
MASK = torch.arange(5) < torch.tensor(LENGTHS)[:, None]


def test_advantages_by_hand() -> None:
    """Of 1, 0, 0, 1 the mean is 1/2, and the deviation (by n - 1) the root of 1/3."""
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    found = grpo_advantages(rewards, 4)
    size = 0.5 / ((1 / 3) ** 0.5 + 1e-4)
    assert found.tolist() == pytest.approx([size, -size, -size, size, 0, 0, 0, 0])
    plain = grpo_advantages(rewards, 4, scale=False)
    assert plain.tolist() == pytest.approx([0.5, -0.5, -0.5, 0.5, 0, 0, 0, 0])
    assert telling(rewards, 4).tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize(("count", "group"), [(4, 1), (5, 2), (3, 4)])
def test_rewards_that_make_no_groups_are_refused(count: int, group: int) -> None:
    with pytest.raises(ValueError, match=f"groups of {group}"):
        grpo_advantages(torch.zeros(count), group)


def numbers(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities now, when drawn and of the reference [4, 5], far enough apart to be clipped, and
    advantages [4]."""
    random = torch.Generator().manual_seed(seed)
    now = -torch.rand(4, 5, generator=random) * 3
    old = now + torch.randn(4, 5, generator=random) * 0.3
    reference = now + torch.randn(4, 5, generator=random) * 0.5
    return now, old, reference, torch.randn(4, generator=random)


def trl_loss(kind: str, now: Tensor, numbers: Any, beta: float, low: float, high: float) -> Tensor:
    """TRL's own `_compute_loss`, on a trainer that is nothing but the settings that it reads."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    _, old, reference, advantages = numbers
    ids = torch.zeros(4, 5, dtype=torch.long)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (now, torch.zeros_like(now), None),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        aux_loss_enabled=False,
        beta=beta,
        current_gradient_accumulation_steps=1,
        epsilon_high=high,
        epsilon_low=low,
        importance_sampling_level="token",
        loss_type=kind,
        max_completion_length=7,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        vllm_importance_sampling_correction=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": ids,
        "prompt_mask": torch.ones_like(ids),
        "completion_ids": ids,
        "completion_mask": MASK.long(),
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": MASK.sum(),
    }
    found: Tensor = GRPOTrainer._compute_loss(trainer, None, inputs)
    return found


@pytest.mark.parametrize(
    ("kind", "normalise"), [("grpo", "answer"), ("dapo", "token"), ("bnpo", "token"), ("dr_grpo", "constant")]
)
@pytest.mark.parametrize(("beta", "high"), [(0.0, 0.28), (0.04, 0.2)])
def test_loss_and_gradient_are_trls(kind: str, normalise: Any, beta: float, high: float) -> None:
    pytest.importorskip("trl")
    given = numbers()
    ours, theirs = given[0].clone().requires_grad_(), given[0].clone().requires_grad_()
    _, old, reference, advantages = given
    found = grpo_loss(
        ours, old, advantages, MASK, reference, beta, low=0.2, high=high, normalise=normalise, longest=7
    )
    wanted = trl_loss(kind, theirs, given, beta, 0.2, high)
    assert found.loss.item() == pytest.approx(wanted.item(), abs=1e-6)
    found.loss.backward()
    wanted.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    assert 0 < found.clipped.item() < 1, "else the clip was not tested"


def test_one_answer_a_group_apart_is_ppo() -> None:
    """Without a KL and over all tokens, it is PPO's loss with the same advantage at each token."""
    now, old, _, advantages = numbers(1)
    ours = grpo_loss(now, old, advantages, MASK, normalise="token").loss
    theirs = ppo_policy_loss(now, old, advantages[:, None].expand(-1, 5), MASK).loss
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_what_a_normalisation_weighs() -> None:
    """The gradient of a token at ratio 1: by answer, a token of a long one counts less; by token and by a
    constant all count alike."""
    weights = {}
    for normalise in ("answer", "token", "constant"):
        now = torch.zeros(4, 5, requires_grad=True)
        loss = grpo_loss(now, torch.zeros(4, 5), torch.ones(4), MASK, normalise=normalise, longest=10).loss
        (gradient,) = torch.autograd.grad(loss, now)
        weights[normalise] = [-gradient[row, 0].item() for row in range(4)]
    assert weights["answer"] == pytest.approx([1 / (4 * n) for n in LENGTHS])
    assert weights["token"] == pytest.approx([1 / sum(LENGTHS)] * 4)
    assert weights["constant"] == pytest.approx([1 / 40] * 4)


def test_what_a_loss_needs() -> None:
    zeros = torch.zeros(4, 5)
    with pytest.raises(ValueError, match="longest"):
        grpo_loss(zeros, zeros, torch.ones(4), MASK, normalise="constant")
    with pytest.raises(ValueError, match="reference"):
        grpo_loss(zeros, zeros, torch.ones(4), MASK, beta=0.1)
