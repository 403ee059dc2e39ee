"""Visible tests: the worked example, the mask, the empty row."""

import math

import torch

Q = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
K = torch.tensor([[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]])
V = torch.tensor([[[[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]]]])


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def check(got, expected, what, atol=1e-4):
    """Same shape and close, with a message that shows both."""
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.float(), expected.float(), atol=atol, rtol=1e-4), (
        f"{what}: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_worked_example(submission):
    expected = torch.tensor([[[[2.0056, 1.8022], [1.8916, 2.2290]]]])
    check(submission.attention(Q, K, V), expected, "the example without mask")


def test_worked_example_with_mask(submission):
    mask = torch.tensor([[True, False, False], [True, True, False]])
    expected = torch.tensor([[[[1.0, 0.0], [0.1956, 0.8044]]]])
    check(submission.attention(Q, K, V, mask), expected, "the example with mask")


def test_scale_uses_head_dimension(submission):
    """Two keys whose scores differ by D: the weights must differ by exp(√D)."""
    D = 16
    q = torch.ones(1, 1, 1, D)
    k = torch.stack([torch.ones(D), torch.zeros(D)])[None, None]
    v = torch.zeros(1, 1, 2, D)
    v[..., 0, :] = 1.0
    weight = 1.0 / (1.0 + math.exp(-math.sqrt(D)))
    check(
        submission.attention(q, k, v),
        torch.full((1, 1, 1, D), weight),
        "D = 16, scores 16 and 0 before scaling",
    )


def test_query_without_any_key_gives_zeros(submission):
    mask = torch.tensor([[False, False, False], [True, True, True]])
    got = submission.attention(Q, K, V, mask)
    assert not torch.isnan(got).any(), f"a query that sees no key: expected zeros, got NaN in {rounded(got)}"
    expected = torch.tensor([[[[0.0, 0.0], [1.8916, 2.2290]]]])
    check(got, expected, "first query sees no key, second sees all")


def test_shape_when_queries_and_keys_differ_in_number(submission):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 3, 1, 8, generator=generator)
    k = torch.randn(2, 3, 5, 8, generator=generator)
    got = submission.attention(q, k, k)
    assert got.shape == (2, 3, 1, 8), f"T = 1, S = 5: expected shape (2, 3, 1, 8), got {tuple(got.shape)}"
