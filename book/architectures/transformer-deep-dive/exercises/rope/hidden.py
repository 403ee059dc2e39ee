"""Hidden tests: distance only, pairing, given positions, theta, precision, no side effects."""

import math

import torch


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turn_by_hand(row, position, theta):
    """Plain Python, one pair at a time, in double precision."""
    D = len(row)
    out = [0.0] * D
    for i in range(D // 2):
        angle = position * theta ** (-2 * i / D)
        a, b = row[i], row[i + D // 2]
        out[i] = a * math.cos(angle) - b * math.sin(angle)
        out[i + D // 2] = b * math.cos(angle) + a * math.sin(angle)
    return out


def test_scores_depend_on_distance_only(submission):
    q, k = noise(1, 2, 1, 16, seed=1), noise(1, 2, 1, 16, seed=2)

    def score(m, n):
        turned_q = submission.rope(q, torch.tensor([m]))
        turned_k = submission.rope(k, torch.tensor([n]))
        return (turned_q * turned_k).sum(dim=-1)

    near, far = score(5, 2), score(1005, 1002)
    assert torch.allclose(near, far, atol=1e-3), (
        f"distance 3 at positions (5, 2) and (1005, 1002): expected equal scores {rounded(near.flatten())}, "
        f"got {rounded(far.flatten())}"
    )
    other = score(2, 5)
    assert not torch.allclose(near, other, atol=1e-3), (
        "distance 3 and distance -3: expected different scores, got equal ones"
    )


def test_equals_a_rotation_by_hand(submission):
    x = noise(1, 1, 3, 10, seed=3)
    positions = [2, 11, 63]
    for theta in (10000.0, 500000.0, 10.0):
        got = submission.rope(x, torch.tensor(positions), theta=theta)[0, 0]
        expected = torch.tensor(
            [turn_by_hand(x[0, 0, t].tolist(), p, theta) for t, p in enumerate(positions)]
        )
        off = (got - expected).abs().max().item()
        assert off < 1e-4, f"theta {theta:g}: expected the rotation by hand, got a difference of {off:.2e}"


def test_pairs_are_half_split(submission):
    x = torch.zeros(1, 1, 1, 8)
    x[..., 0] = 1.0
    got = submission.rope(x, torch.tensor([1])).flatten()
    touched = got.abs().gt(1e-6).nonzero().flatten().tolist()
    assert touched == [0, 4], (
        f"only coordinate 0 is set: expected it to reach coordinates 0 and 4, got {touched}"
    )


def test_positions_are_used_as_given(submission):
    x = noise(1, 2, 4, 8, seed=4)
    whole = submission.rope(x, torch.arange(4))
    tail = submission.rope(x[:, :, 3:], torch.tensor([3]))
    assert torch.allclose(tail, whole[:, :, 3:], atol=1e-5), (
        "token 3 alone with positions [3]: expected the same as in the whole sequence, got another rotation"
    )
    order = torch.tensor([2, 0, 3, 1])
    mixed = submission.rope(x[:, :, order], order)
    assert torch.allclose(mixed, whole[:, :, order], atol=1e-5), (
        "positions [2, 0, 3, 1]: expected each token turned by its own position, got another rotation"
    )


def test_every_head_and_example_is_turned_alike(submission):
    x = noise(1, 1, 3, 8, seed=5)
    got = submission.rope(x.expand(2, 4, 3, 8).clone(), torch.tensor([1, 2, 3]))
    alone = submission.rope(x, torch.tensor([1, 2, 3])).expand(2, 4, 3, 8)
    assert torch.allclose(got, alone, atol=1e-6), (
        "the same rows in 2 examples and 4 heads: expected equal results, got unequal ones"
    )


def test_half_precision_turns_by_exact_angles(submission):
    for dtype, tolerance in ((torch.float16, 5e-3), (torch.bfloat16, 4e-2)):
        x = noise(1, 1, 1, 8, seed=6).to(dtype)
        for position in (1001, 4095):
            got = submission.rope(x, torch.tensor([position]))
            assert got.dtype == dtype, f"{dtype} in: expected {dtype} out, got {got.dtype}"
            expected = torch.tensor(turn_by_hand(x.flatten().tolist(), position, 10000.0))
            off = (got.float().flatten() - expected).abs().max().item()
            assert off < tolerance, (
                f"{dtype}, position {position}: expected an error below {tolerance}, got {off:.3f}"
            )


def test_argument_stays_as_it_was(submission):
    x = noise(1, 2, 3, 8, seed=7)
    kept = x.clone()
    submission.rope(x, torch.tensor([4, 5, 6]))
    assert torch.equal(x, kept), "expected x unchanged after the call, got a changed tensor"
