"""Visible tests: the worked example in three steps, zeros, shapes."""

import torch

X = torch.tensor([[1.0, 7.0]])
NORM = torch.tensor([1.0, 0.5])
GATE = torch.tensor([[5.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
UP = torch.tensor([[0.0, 1.0], [5.0, 0.0], [1.0, 1.0]])
DOWN = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])


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


def test_norm_of_the_example(submission):
    check(submission.rms_norm(X, NORM), torch.tensor([[0.2, 0.7]]), "rms_norm")


def test_swiglu_of_the_example(submission):
    got = submission.swiglu(torch.tensor([[0.2, 0.7]]), GATE, UP, DOWN)
    check(got, torch.tensor([[0.5117, -0.2323]]), "swiglu")


def test_block_of_the_example(submission):
    check(
        submission.feed_forward_block(X, NORM, GATE, UP, DOWN), torch.tensor([[1.5117, 6.7677]]), "the block"
    )


def test_zeros_stay_zeros(submission):
    got = submission.rms_norm(torch.zeros(3, 4), torch.ones(4))
    check(got, torch.zeros(3, 4), "rms_norm of zeros")


def test_leading_axes(submission):
    x = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    got = submission.feed_forward_block(x, NORM, GATE, UP, DOWN)
    assert got.shape == (2, 5, 2), f"x of shape (2, 5, 2): expected the same shape, got {tuple(got.shape)}"
