"""Visible tests: the worked example, there and back, the same scores, what cannot be."""

import torch


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def numbers(weight):
    """The rows of a weight whose rows are their own numbers."""
    return weight.reshape(len(weight), -1)[:, 0].long().tolist()


def check(submission, expected, heads, to, rotary=None):
    weight = torch.arange(float(len(expected)))[:, None].repeat(1, 3)
    got = submission.convert(weight, heads, to, rotary)
    assert got.shape == weight.shape, (
        f"shape of the result: expected {tuple(weight.shape)}, got {tuple(got.shape)}"
    )
    assert numbers(got) == expected, (
        f"{heads} heads, to {to}, rotary {rotary}: expected rows {expected}, got {numbers(got)}"
    )


def turn(x, pairing, theta=10000.0):
    """Rotate x [H, T, D] by its positions 0 .. T - 1, pairs as `pairing` has them."""
    D = x.shape[-1]
    angles = torch.arange(x.shape[1])[:, None] * theta ** (-torch.arange(0, D, 2) / D)
    cos, sin = angles.cos(), angles.sin()
    if pairing == "half-split":
        a, b = x[..., : D // 2], x[..., D // 2 :]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)


def project(x, weight, heads):
    """x [T, C], weight [heads * D, C] -> [heads, T, D]."""
    return (x @ weight.T).view(len(x), heads, -1).transpose(0, 1)


def test_worked_example(submission):
    check(submission, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11], 2, "half-split")
    check(submission, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11], 2, "interleaved")


def test_partial_rotary_example(submission):
    check(submission, [0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11], 2, "half-split", rotary=4)


def test_there_and_back(submission):
    weight = noise(3 * 10, 7)
    for first, second in (("half-split", "interleaved"), ("interleaved", "half-split")):
        got = submission.convert(submission.convert(weight, 3, first), 3, second)
        moved = (got != weight).any(dim=1).nonzero().flatten().tolist()
        assert not moved, f"to {first} and back: expected the weight itself, got other rows at {moved}"


def test_scores_stay(submission):
    x, query, key = noise(5, 12), noise(2 * 8, 12, seed=1), noise(2 * 8, 12, seed=2)
    q, k = (turn(project(x, each, 2), "interleaved") for each in (query, key))
    expected = q @ k.transpose(1, 2)
    query, key = (submission.convert(each, 2, "half-split") for each in (query, key))
    q, k = (turn(project(x, each, 2), "half-split") for each in (query, key))
    off = (q @ k.transpose(1, 2) - expected).abs().max().item()
    assert off < 1e-4, f"scores under the other rotation: expected the same, got a difference of {off:.3f}"


def test_unknown_pairing_is_refused(submission):
    try:
        submission.convert(noise(8, 4), 2, "halves")
    except ValueError:
        return
    raise AssertionError("to = 'halves': expected ValueError, got a result")
