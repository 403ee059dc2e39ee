"""Visible tests: the example with its gradient, any chunk, no place that counts, what is kept."""

import torch
import torch.nn.functional as F

WEIGHT = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
HIDDEN = torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 5.0]])
TARGETS = torch.tensor([0, 2, -100])


def check(got, expected, what, tolerance=1e-4):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-5, atol=tolerance), (
        f"{what}: expected {[round(x, 4) for x in expected.flatten().tolist()[:8]]}, "
        f"got {[round(x, 4) for x in got.flatten().tolist()[:8]]}"
    )


def case(N, C, V, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden, weight = torch.randn(N, C, generator=generator), torch.randn(V, C, generator=generator)
    targets = torch.randint(V, (N,), generator=generator)
    targets[torch.rand(N, generator=generator) < 0.3] = -100
    return hidden.requires_grad_(), weight.requires_grad_(), targets


def test_worked_example(submission):
    for chunk in (1, 2, 256):
        got = submission.chunked_cross_entropy(HIDDEN, WEIGHT, TARGETS, chunk)
        check(got, 0.9795, f"loss of the example, chunks of {chunk}")


def test_worked_gradient(submission):
    hidden = HIDDEN.clone().requires_grad_()
    submission.chunked_cross_entropy(hidden, WEIGHT, TARGETS, 2).backward()
    assert hidden.grad is not None, "hidden: expected a gradient, got None"
    expected = [[-0.1674, 0.1224], [0.1060, 0.2881], [0.0, 0.0]]
    check(hidden.grad, expected, "gradient of hidden in the example")


def test_equals_cross_entropy_over_all_logits(submission):
    hidden, weight, targets = case(13, 4, 7)
    right = F.cross_entropy(hidden @ weight.T, targets)
    expected = torch.autograd.grad(right, (hidden, weight))
    for chunk in (1, 4, 13, 100):
        got = submission.chunked_cross_entropy(hidden, weight, targets, chunk)
        check(got, right.detach(), f"loss, chunks of {chunk}", 1e-5)
        for name, mine, theirs in zip(
            ("hidden", "weight"), torch.autograd.grad(got, (hidden, weight)), expected, strict=True
        ):
            check(mine, theirs, f"gradient of {name}, chunks of {chunk}", 1e-5)


def test_no_place_counts(submission):
    hidden, weight, _ = case(5, 3, 4)
    got = submission.chunked_cross_entropy(hidden, weight, torch.full((5,), -100), 2)
    check(got, 0.0, "loss where no place counts")
    for name, slope in zip(("hidden", "weight"), torch.autograd.grad(got, (hidden, weight)), strict=True):
        check(slope, torch.zeros_like(slope), f"gradient of {name} where no place counts")


def test_nothing_of_all_logits_is_kept_for_backward(submission):
    """Bytes that autograd keeps; `hidden` and `weight` themselves are among what may be."""
    hidden, weight, targets = case(256, 4, 512)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        submission.chunked_cross_entropy(hidden, weight, targets, 16)
    total, logits = sum(kept.values()), 4 * 256 * 512
    assert total < logits / 4, (
        f"bytes kept between forward and backward: expected below {logits // 4}, got {total}"
    )
