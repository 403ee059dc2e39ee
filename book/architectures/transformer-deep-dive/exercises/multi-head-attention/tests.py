"""Visible tests: the worked example, causality, one head, bad sizes."""

import torch

X = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]])
EYE = torch.eye(4)


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def check(got, expected, what, atol=1e-4):
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got, expected, atol=atol), (
        f"{what}: expected {rounded(expected)}, got {rounded(got)}"
    )


def weights(C, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(C, C, generator=generator) / C**0.5 for _ in range(4)]


def test_worked_example(submission):
    expected = torch.tensor([[[0.6698, 0.3302, 0.0, 1.0], [0.3302, 0.6698, 0.0, 1.0]]])
    check(submission.multi_head_attention(X, EYE, EYE, EYE, EYE, 2), expected, "the example")


def test_worked_example_causal(submission):
    expected = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [0.3302, 0.6698, 0.0, 1.0]]])
    check(
        submission.multi_head_attention(X, EYE, EYE, EYE, EYE, 2, causal=True),
        expected,
        "the example, causal",
    )


def test_shape(submission):
    got = submission.multi_head_attention(torch.randn(2, 5, 12), *weights(12), heads=3)
    assert got.shape == (2, 5, 12), f"expected shape (2, 5, 12), got {tuple(got.shape)}"


def test_future_does_not_leak(submission):
    x = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(3))
    before = submission.multi_head_attention(x, *weights(8), heads=2, causal=True)
    changed = x.clone()
    changed[:, 4:] += 1.0
    after = submission.multi_head_attention(changed, *weights(8), heads=2, causal=True)
    off = (after[:, :4] - before[:, :4]).abs().max().item()
    assert off < 1e-6, (
        f"positions 4 and 5 changed: expected positions 0 to 3 unchanged, got a difference of {off:.2e}"
    )


def test_heads_must_divide_channels(submission):
    try:
        got = submission.multi_head_attention(torch.randn(1, 2, 10), *weights(10), heads=3)
    except ValueError:
        return
    raise AssertionError(f"C = 10, 3 heads: expected ValueError, got a tensor of shape {tuple(got.shape)}")
