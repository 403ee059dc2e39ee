"""Visible tests: the worked example, position 0, length, the odd dimension."""

import torch


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


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_worked_example(submission):
    x = torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]]])
    expected = torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [-1.9841, 1.5907, 2.4624, 4.1797]]]])
    check(submission.rope(x, torch.tensor([0, 1]), theta=100.0), expected, "the example")


def test_position_zero_changes_nothing(submission):
    x = noise(2, 3, 1, 8)
    check(submission.rope(x, torch.tensor([0])), x, "position 0", atol=1e-6)


def test_rotation_keeps_length(submission):
    x = noise(2, 3, 5, 8)
    got = submission.rope(x, torch.tensor([0, 1, 7, 100, 4000])).norm(dim=-1)
    check(got, x.norm(dim=-1), "length of every vector")


def test_odd_dimension_is_refused(submission):
    try:
        submission.rope(noise(1, 1, 2, 5), torch.tensor([0, 1]))
    except ValueError:
        return
    raise AssertionError("D = 5: expected ValueError, got a result")
