"""Hidden tests: the formulas in plain Python, other bases and contexts, clamps, bounds, attention."""

import math

import torch


def by_hand(dim, theta, factor, length, slow=1.0, fast=32.0):
    """The authors' ramp, one pair at a time, in double precision."""

    def index(turns):
        return dim / 2 * math.log(length / (2 * math.pi * turns)) / math.log(theta)

    first, last = max(math.floor(index(fast)), 0), min(math.ceil(index(slow)), dim - 1)
    out = []
    for i in range(dim // 2):
        frequency = theta ** (-2 * i / dim)
        squeeze = min(max((i - first) / (last - first), 0.0), 1.0)
        out.append(frequency * (1 - squeeze) + frequency / factor * squeeze)
    return out


def check(submission, *args):
    got, attention = submission.yarn(*args)
    what = "yarn(" + ", ".join(f"{value:g}" for value in args) + ")"
    expected = by_hand(*args)
    assert got.shape == (len(expected),), (
        f"{what}: expected {len(expected)} frequencies, got shape {tuple(got.shape)}"
    )
    shares = [mine / right for mine, right in zip(got.double().tolist(), expected, strict=True)]
    pair = max(range(len(shares)), key=lambda i: abs(shares[i] - 1))
    assert abs(shares[pair] - 1) < 1e-4, (
        f"{what}, pair {pair}: expected {expected[pair]:.6g}, got {got[pair].item():.6g}"
    )
    right = 1 + 0.1 * math.log(args[2])
    assert abs(attention - right) < 1e-6, f"{what}, attention: expected {right:.6f}, got {attention:.6f}"


def test_equals_the_formulas(submission):
    for dim in (4, 8, 64, 128):
        for theta in (10000.0, 100000.0, 1e6):
            for factor in (1.0, 2.5, 4.0, 40.0):
                for length in (2048, 8192):
                    check(submission, dim, theta, factor, length)


def test_ramp_runs_over_the_index_of_the_pair(submission):
    """Qwen2.5's sizes: between first and last the squeezed share grows by the same amount a pair."""
    got, _ = submission.yarn(128, 1e6, 4.0, 32768)
    trained = 1e6 ** (-torch.arange(0, 128, 2).double() / 128)
    squeezed = (1 - got.double() / trained) / (1 - 1 / 4)  # 0 where kept, 1 where squeezed
    steps = squeezed.diff()[squeezed[1:] < 1 - 1e-4]
    steps = steps[steps > 1e-4]
    first, last = 23, 40  # x(32) = 23.57, x(1) = 39.65
    expected = [1 / (last - first)] * (last - first - 1)
    same = len(steps) == len(expected) and torch.allclose(steps, steps.new_tensor(expected), atol=1e-4)
    assert same, (
        f"D = 128, theta = 1e6, L = 32768: expected the squeezed share to grow by {expected[0]:.4f} a pair "
        f"between pairs {first} and {last}, got steps {[round(step, 4) for step in steps.tolist()]}"
    )


def test_ramp_may_end_past_the_last_pair(submission):
    """A context so long that even the slowest pair turns more than `slow` times."""
    check(submission, 16, 10000.0, 4.0, 131072)  # last = 9, the last pair is 7
    check(submission, 16, 500.0, 4.0, 65536)  # first = 7, last = 12
    check(submission, 16, 10000.0, 4.0, 131072, 1e-4)  # last would be 17: clamped to 15


def test_ramp_does_not_begin_before_the_first_pair(submission):
    """A context in which no pair makes 32 turns."""
    check(submission, 32, 10000.0, 4.0, 100)
    check(submission, 16, 10000.0, 8.0, 12)


def test_bounds_are_used_as_given(submission):
    check(submission, 64, 10000.0, 4.0, 4096, 2.0, 64.0)
    check(submission, 64, 10000.0, 4.0, 4096, 0.5, 8.0)


def test_base_equals_the_formula(submission):
    for dim in (4, 64, 128):
        for theta in (100.0, 10000.0, 1e6):
            for factor in (1.0, 1.5, 4.0, 32.0):
                got, expected = submission.ntk_base(dim, theta, factor), theta * factor ** (dim / (dim - 2))
                assert abs(got / expected - 1) < 1e-6, (
                    f"ntk_base({dim}, {theta:g}, {factor:g}): expected {expected:.6g}, got {got:.6g}"
                )


def test_attention_is_the_factor_on_queries_and_keys(submission):
    """DeepSeek-V2's factor of 40: 1.3689 on each, 1.8739 on the logits."""
    for factor, expected in ((40.0, 1.368888), (2.0, 1.069315), (1.0, 1.0)):
        _, got = submission.yarn(64, 10000.0, factor, 4096)
        assert isinstance(got, float), (
            f"s = {factor:g}: expected attention as a float, got {type(got).__name__}"
        )
        assert abs(got - expected) < 1e-5, (
            f"s = {factor:g}, attention: expected {expected:.6f}, got {got:.6f}"
        )
