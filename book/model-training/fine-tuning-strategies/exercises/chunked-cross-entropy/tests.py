"""Visible tests: the example with its gradient, any chunk, no place that counts, what is kept."""

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside

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
    return hidden, weight, targets


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


def test_worked_example(submission):
    for chunk in (1, 2, 256):
        got = submission.chunked_cross_entropy(HIDDEN, WEIGHT, TARGETS, chunk)
        check(got, 0.9795, f"loss of the example, chunks of {chunk}")


def test_worked_gradient(submission):
    given = HIDDEN, WEIGHT, TARGETS, 2
    _, (got,) = inside(submission, slopes, "chunked_cross_entropy", given, [0])
    assert got is not None, "hidden: expected a gradient, got None"
    expected = [[-0.1674, 0.1224], [0.1060, 0.2881], [0.0, 0.0]]
    check(got, expected, "gradient of hidden in the example")


def test_equals_cross_entropy_over_all_logits(submission):
    hidden, weight, targets = case(13, 4, 7)
    leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    right = F.cross_entropy(leaves[0] @ leaves[1].T, targets)
    expected = torch.autograd.grad(right, leaves)
    for chunk in (1, 4, 13, 100):
        given = hidden, weight, targets, chunk
        got, found = inside(submission, slopes, "chunked_cross_entropy", given, [0, 1])
        check(got, right.detach(), f"loss, chunks of {chunk}", 1e-5)
        for name, mine, theirs in zip(("hidden", "weight"), found, expected, strict=True):
            check(mine, theirs, f"gradient of {name}, chunks of {chunk}", 1e-5)


def test_no_place_counts(submission):
    hidden, weight, _ = case(5, 3, 4)
    given = hidden, weight, torch.full((5,), -100), 2
    got, found = inside(submission, slopes, "chunked_cross_entropy", given, [0, 1])
    check(got, 0.0, "loss where no place counts")
    for name, slope, x in zip(("hidden", "weight"), found, given, strict=False):
        check(slope, torch.zeros_like(x), f"gradient of {name} where no place counts")


def bytes_kept(submission, hidden, weight, targets, chunk):
    """A driver: bytes of memory that autograd keeps between forward and backward."""
    import torch

    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    leaves = hidden.requires_grad_(), weight.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = submission.chunked_cross_entropy(*leaves, targets, chunk)
    return sum(kept.values()) if loss.requires_grad else None


def test_nothing_of_all_logits_is_kept_for_backward(submission):
    """Bytes that autograd keeps; `hidden` and `weight` themselves are among what may be."""
    total, logits = inside(submission, bytes_kept, *case(256, 4, 512), 16), 4 * 256 * 512
    assert total is not None, "the loss: expected one with a gradient, got one without"
    assert total < logits / 4, (
        f"bytes kept between forward and backward: expected below {logits // 4}, got {total}"
    )
