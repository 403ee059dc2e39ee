"""Visible tests: the worked example, what is written, what is read, the full cache."""

import torch


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def example():
    q = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]], [[2.0, 0.0]], [[0.0, 2.0]]]])
    k = torch.tensor([[[[0.0, 1.0]], [[1.0, 1.0]]]])
    v = torch.tensor([[[[0.0, 1.0]], [[4.0, 0.0]]]])
    cache_k, cache_v = torch.zeros(1, 2, 3, 2), torch.zeros(1, 2, 3, 2)
    cache_k[0, :, 0] = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    cache_v[0, :, 0] = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    return q, k, v, cache_k, cache_v


def test_worked_example(submission):
    got = submission.decode_step(*example(), 1)
    expected = torch.tensor([[[[0.8044, 0.1956]], [[0.1956, 0.8044]], [[2.0, 1.0]], [[2.0, 1.0]]]])
    assert got.shape == (1, 4, 1, 2), f"expected shape (1, 4, 1, 2), got {tuple(got.shape)}"
    assert torch.allclose(got, expected, atol=1e-4), (
        f"the example: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_new_key_and_value_are_stored_in_place(submission):
    q, k, v, cache_k, cache_v = example()
    submission.decode_step(q, k, v, cache_k, cache_v, 1)
    assert torch.equal(cache_k[:, :, 1:2], k), (
        f"slot 1 of cache_k: expected {rounded(k)}, got {rounded(cache_k[:, :, 1:2])}"
    )
    assert torch.equal(cache_v[:, :, 1:2], v), (
        f"slot 1 of cache_v: expected {rounded(v)}, got {rounded(cache_v[:, :, 1:2])}"
    )


def test_first_token_returns_its_own_value(submission):
    q, k, v, cache_k, cache_v = example()
    got = submission.decode_step(q, k, v, cache_k, cache_v, 0)
    expected = v.repeat_interleave(2, dim=1)
    assert torch.allclose(got, expected), (
        f"empty cache: expected each group's value {rounded(expected)}, got {rounded(got)}"
    )


def test_unused_slots_are_not_read(submission):
    q, k, v, cache_k, cache_v = example()
    cache_k[:, :, 1:], cache_v[:, :, 1:] = float("nan"), float("nan")
    got = submission.decode_step(q, k, v, cache_k, cache_v, 1)
    assert torch.isfinite(got).all(), (
        f"NaN in the slots after the new one: expected finite numbers, got {rounded(got)}"
    )


def test_full_cache_is_refused(submission):
    q, k, v, cache_k, cache_v = example()
    kept = cache_k.clone()
    try:
        submission.decode_step(q, k, v, cache_k, cache_v, 3)
    except ValueError:
        assert torch.equal(cache_k, kept), "full cache: expected the buffer unchanged, got a changed one"
        return
    raise AssertionError("capacity 3, length 3: expected ValueError, got a result")
