"""Hidden tests: against torch and the formula, eps, scale, half precision, gradients, no shortcuts."""

import math

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside

LIBRARY = F.rms_norm


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parts(C=12, hidden=20):
    return (
        1.0 + 0.1 * noise(C, seed=1),
        noise(hidden, C, seed=2),
        noise(hidden, C, seed=3),
        noise(C, hidden, seed=4),
    )


def difference(got, expected):
    return (got.float() - expected.float()).abs().max().item()


def test_norm_equals_torch(submission):
    x, weight = 3.0 + noise(4, 6, 12), parts()[0]
    off = difference(submission.rms_norm(x, weight, 1e-6), LIBRARY(x, (12,), weight, 1e-6))
    assert off < 1e-5, (
        f"rows with a mean around 3: expected F.rms_norm's result, got a difference of {off:.2e}"
    )


def test_eps_stands_inside_the_root(submission):
    """With x = 0.1 and eps = 0.03 the root is of 0.01 + 0.03: x / 0.2 = 0.5."""
    got = submission.rms_norm(torch.full((1, 4), 0.1), torch.ones(4), 0.03)
    assert difference(got, torch.full((1, 4), 0.5)) < 1e-5, (
        f"x = 0.1, eps = 0.03: expected 0.5 everywhere, got {rounded(got)}"
    )


def test_eps_where_none_is_given(submission):
    """With x = 0.003 the mean square is 9e-6, less than an eps of 1e-5."""
    x, (norm, gate, up, down) = torch.full((1, 12), 0.003), parts()
    got, expected = submission.rms_norm(x, norm), submission.rms_norm(x, norm, 1e-5)
    assert difference(got, expected) < 1e-6, f"eps left out: expected {rounded(expected)}, got {rounded(got)}"
    weights = norm, gate, up, down
    got, expected = (
        submission.feed_forward_block(x, *weights),
        submission.feed_forward_block(x, *weights, 1e-5),
    )
    assert difference(got, expected) < 1e-6, (
        f"block, eps left out: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_swiglu_equals_the_formula_in_plain_numbers(submission):
    x, (_, gate, up, down) = noise(3, 4), parts(C=4, hidden=5)
    got = submission.swiglu(x, gate, up, down)
    for row in range(3):
        hidden = []
        for f in range(5):
            g = sum(gate[f, c].item() * x[row, c].item() for c in range(4))
            u = sum(up[f, c].item() * x[row, c].item() for c in range(4))
            hidden.append(g / (1 + math.exp(-g)) * u)
        expected = torch.tensor([sum(down[c, f].item() * hidden[f] for f in range(5)) for c in range(4)])
        off = difference(got[row], expected)
        assert off < 1e-4, f"row {row}: expected {rounded(expected)}, got {rounded(got[row])}"


def test_block_adds_the_input_unnormalised(submission):
    """With w_down zero the branch is zero, so what comes out is what went in."""
    x, (norm, gate, up, down) = 100.0 * noise(2, 3, 12), parts()
    got = submission.feed_forward_block(x, norm, gate, up, torch.zeros_like(down))
    assert torch.equal(got, x), (
        f"w_down is zero: expected x itself, got a difference of {difference(got, x):.2e}"
    )


def test_branch_does_not_see_the_scale_of_its_input(submission):
    x, (norm, gate, up, down) = noise(2, 3, 12), parts()
    small = submission.feed_forward_block(x, norm, gate, up, down, eps=0.0) - x
    large = submission.feed_forward_block(8.0 * x, norm, gate, up, down, eps=0.0) - 8.0 * x
    off = difference(small, large)
    assert off < 1e-3, f"x and 8 x, eps = 0: expected the same branch output, got a difference of {off:.2e}"


def test_half_precision_does_not_overflow(submission):
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.tensor([[300.0, -400.0]], dtype=dtype)
        got = submission.rms_norm(x, torch.ones(2, dtype=dtype))
        assert got.dtype == dtype, f"{dtype} in: expected {dtype} out, got {got.dtype}"
        expected = torch.tensor([[300.0, -400.0]]) / math.sqrt((300**2 + 400**2) / 2)
        assert difference(got, expected) < 0.01, (
            f"{dtype}, [300, -400]: expected {rounded(expected)}, got {rounded(got)}"
        )


def slopes(submission, *args):
    """A driver: the gradients of the result's squares by every argument."""
    leaves = [tensor.requires_grad_() for tensor in args]
    submission.feed_forward_block(*leaves).square().sum().backward()
    return [leaf.grad for leaf in leaves]


def test_gradients_reach_every_argument(submission):
    got = inside(submission, slopes, noise(2, 12), *parts())
    for name, slope in zip(("x", "norm_weight", "w_gate", "w_up", "w_down"), got, strict=True):
        assert slope is not None, f"{name}: expected a gradient, got none"
        assert slope.abs().max() > 0, f"{name}: expected a gradient other than zero, got zeros"


def library(submission, *args):
    """A driver: how often a call goes to the library's norm."""
    import torch
    import torch.nn.functional as F

    real, calls = (F.rms_norm, torch.rms_norm), []

    def counted(*given, **named):
        calls.append(len(given))
        return real[0](*given, **named)

    F.rms_norm = torch.rms_norm = counted
    try:
        submission.feed_forward_block(*args)
    finally:
        F.rms_norm, torch.rms_norm = real
    return len(calls)


def test_does_not_change_x_or_call_the_library(submission):
    x, weights = noise(2, 12), parts()
    kept = x.clone()
    calls = inside(submission, library, x, *weights)
    assert not calls, "expected your own norm, got a call to the library's"
    submission.feed_forward_block(x, *weights)
    assert torch.equal(x, kept), "expected x unchanged after the call, got a changed tensor"
