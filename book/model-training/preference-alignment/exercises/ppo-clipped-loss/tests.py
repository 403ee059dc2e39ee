"""Visible tests: the example, an unmoved policy, which tokens still have a gradient, no token at all."""

import math

import torch

RATIOS = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.0]])
ADVANTAGES = torch.tensor([[2.0, -1.0, 2.0, -1.0, math.nan]])
MASK = torch.tensor([[True, True, True, True, False]])
OLD = torch.tensor([[-1.0, -2.0, -0.5, -3.0, math.nan]])


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-5, atol=tolerance), (
        f"{what}: expected {[round(x, 4) for x in expected.flatten().tolist()]}, "
        f"got {[round(x, 4) for x in got.flatten().tolist()]}"
    )


def test_worked_policy_loss(submission):
    loss, clipped = submission.ppo_policy_loss(OLD + RATIOS.log(), OLD, ADVANTAGES, MASK)
    check(loss, -0.275, "loss of the example")
    check(clipped, 0.5, "share of clipped tokens in the example")


def test_worked_value_loss(submission):
    one = torch.ones(1, 1, dtype=torch.bool)
    numbers = (torch.tensor([[x]]) for x in (1.0, 0.5, 0.9))
    check(submission.ppo_value_loss(*numbers, one), 0.02, "value loss of the example")


def test_only_what_still_gains_has_a_gradient(submission):
    logprobs = (OLD + RATIOS.log()).requires_grad_()
    loss, _ = submission.ppo_policy_loss(logprobs, OLD, ADVANTAGES, MASK)
    (slope,) = torch.autograd.grad(loss, logprobs)
    check(slope, [[0.0, 1.5 / 4, -1.0 / 4, 0.0, 0.0]], "gradient of the example: -r A / 4 where not clipped")


def test_unmoved_policy(submission):
    """The first step: r is 1, the loss is minus the mean advantage, its gradient the policy gradient."""
    old = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]])
    advantages, mask = torch.tensor([[1.0, 3.0], [-2.0, 6.0]]), torch.ones(2, 2, dtype=torch.bool)
    logprobs = old.clone().requires_grad_()
    loss, clipped = submission.ppo_policy_loss(logprobs, old, advantages, mask)
    check(loss, -2.0, "loss where logprobs = old, mean advantage 2")
    check(clipped, 0.0, "share of clipped tokens where logprobs = old")
    (slope,) = torch.autograd.grad(loss, logprobs)
    check(slope, -advantages / 4, "its gradient")


def test_no_token_at_all(submission):
    x, mask = torch.full((2, 3), math.nan).requires_grad_(), torch.zeros(2, 3, dtype=torch.bool)
    loss, clipped = submission.ppo_policy_loss(x, x.detach(), x.detach(), mask)
    error = submission.ppo_value_loss(x, x.detach(), x.detach(), mask)
    for name, got in (("policy loss", loss), ("share of clipped", clipped), ("value loss", error)):
        check(got, 0.0, f"{name} of no token")
