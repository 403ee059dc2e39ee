"""Visible tests: the example, sums, a p for each row, ties, bad p."""

import torch

ROW = [1.0, 2.0, -1.0, 0.0]


def rounded(tensor):
    return [[round(value, 4) for value in row[:6]] for row in tensor.tolist()[:4]]


def check(got, expected, what, tolerance=1e-4):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert got.dtype == torch.float32, f"{what}: expected float32, got {got.dtype}"
    assert torch.allclose(got, expected.float(), rtol=0, atol=tolerance), (
        f"{what}: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_worked_example(submission):
    logits, p = torch.tensor([ROW, ROW, ROW, [0.0] * 4]), torch.tensor([0.0, 0.8, 1.0, 0.5])
    expected = [
        [0.0, 1.0, 0.0, 0.0],
        [0.2689, 0.7311, 0.0, 0.0],
        [0.2369, 0.6439, 0.0321, 0.0871],
        [0.5, 0.5, 0.0, 0.0],
    ]
    check(submission.batched_top_p(logits, p), expected, "the example")


def test_each_row_has_its_own_p(submission):
    p = torch.tensor([0.6, 0.8, 0.9, 0.6])
    kept = (submission.batched_top_p(torch.tensor([ROW] * 4), p) > 0).sum(dim=-1).tolist()
    assert kept == [1, 2, 3, 1], (
        f"one row four times, p = {p.tolist()}: expected 1, 2, 3, 1 tokens, got {kept}"
    )


def test_rows_sum_to_one(submission):
    logits = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    sums = submission.batched_top_p(logits, torch.linspace(0, 1, 40)).sum(dim=-1)
    off = (sums - 1).abs().max().item()
    assert off < 1e-5, f"40 rows, p from 0 to 1: expected sums of 1, got one that is off by {off:.4f}"


def test_tie_at_the_edge_goes_to_the_smaller_index(submission):
    got = submission.batched_top_p(torch.zeros(3, 8), torch.tensor([0.25, 0.5, 0.125]))
    expected = [[0.5] * 2 + [0.0] * 6, [0.25] * 4 + [0.0] * 4, [1.0] + [0.0] * 7]
    check(got, expected, "eight equal tokens, p = 0.25, 0.5, 0.125")


def test_bad_p_is_refused(submission):
    for bad in (-0.1, 1.5, float("nan")):
        try:
            got = submission.batched_top_p(torch.zeros(3, 4), torch.tensor([0.5, bad, 0.5]))
        except ValueError:
            continue
        raise AssertionError(
            f"p = {bad} in the second of three rows: expected ValueError, got {rounded(got)}"
        )
