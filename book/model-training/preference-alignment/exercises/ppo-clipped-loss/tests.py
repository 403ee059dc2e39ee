"""Visible tests: the example, an unmoved policy, which tokens still have a gradient, no token at all."""

import math

import torch

from handbook.practice.checks import inside

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


def slopes(submission, name, args, wants, pick=None):
    """A driver: what `name` gives, and the gradients of its sum by the arguments at the places `wants`.

    None where there is no gradient. pick: the place of the result that is summed, if there are several.
    """
    import torch

    leaves = [x.detach().clone().requires_grad_() if i in wants else x for i, x in enumerate(args)]
    got = getattr(submission, name)(*leaves)
    chosen = got if pick is None else got[pick]
    if not getattr(chosen, "requires_grad", False):
        return got, [None for _ in wants]
    by = [leaves[i] for i in wants]
    return got, list(torch.autograd.grad(chosen.sum(), by, allow_unused=True))


def test_only_what_still_gains_has_a_gradient(submission):
    given = OLD + RATIOS.log(), OLD, ADVANTAGES, MASK
    _, (slope,) = inside(submission, slopes, "ppo_policy_loss", given, [0], 0)
    check(slope, [[0.0, 1.5 / 4, -1.0 / 4, 0.0, 0.0]], "gradient of the example: -r A / 4 where not clipped")


def test_unmoved_policy(submission):
    """The first step: r is 1, the loss is minus the mean advantage, its gradient the policy gradient."""
    old = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]])
    advantages, mask = torch.tensor([[1.0, 3.0], [-2.0, 6.0]]), torch.ones(2, 2, dtype=torch.bool)
    given = old.clone(), old, advantages, mask
    (loss, clipped), (slope,) = inside(submission, slopes, "ppo_policy_loss", given, [0], 0)
    check(loss, -2.0, "loss where logprobs = old, mean advantage 2")
    check(clipped, 0.0, "share of clipped tokens where logprobs = old")
    check(slope, -advantages / 4, "its gradient")


def test_no_token_at_all(submission):
    x, mask = torch.full((2, 3), math.nan), torch.zeros(2, 3, dtype=torch.bool)
    loss, clipped = submission.ppo_policy_loss(x, x.clone(), x.clone(), mask)
    error = submission.ppo_value_loss(x, x.clone(), x.clone(), mask)
    for name, got in (("policy loss", loss), ("share of clipped", clipped), ("value loss", error)):
        check(got, 0.0, f"{name} of no token")
