"""Hidden tests: row by row, biases, grouped and partial scores, bits, memory, sizes that cannot be."""

import torch

from handbook.practice.checks import inside


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def places(heads, D, R, to):
    """Row by row in plain Python: which old row stands at each new place."""
    order = list(range(heads * D))
    for h in range(heads):
        for i in range(R // 2):
            for half in range(2):
                neighbours, halves = h * D + 2 * i + half, h * D + i + half * R // 2
                new, old = (halves, neighbours) if to == "half-split" else (neighbours, halves)
                order[new] = old
    return order


def compare(got, weight, heads, to, rotary=None):
    D = len(weight) // heads
    expected = weight[places(heads, D, rotary or D, to)]
    what = f"{heads} heads of {D}, {rotary or D} turning, to {to}, {tuple(weight.shape)} {weight.dtype}"
    assert got.shape == expected.shape, f"{what}: expected the same shape, got {tuple(got.shape)}"
    assert got.dtype == expected.dtype, f"{what}: expected the same dtype, got {got.dtype}"
    wrong = [r for r in range(len(expected)) if not torch.equal(got[r], expected[r])]
    assert not wrong, f"{what}: expected the rows by hand, got other ones at {wrong[:8]}"


def converted(submission, weight, heads, to, rotary=None):
    compare(submission.convert(weight, heads, to, rotary), weight, heads, to, rotary)


def test_equals_the_definition(submission):
    for to in ("half-split", "interleaved"):
        for heads, D, C in ((1, 8, 3), (3, 10, 5), (5, 2, 4), (4, 16, 64), (2, 4, 1)):
            converted(submission, noise(heads * D, C, seed=D), heads, to)


def test_partial_rotary_equals_the_definition(submission):
    for to in ("half-split", "interleaved"):
        for heads, D, R in ((3, 10, 6), (2, 16, 8), (4, 7, 6), (2, 12, 2), (2, 8, 8)):
            converted(submission, noise(heads * D, 3, seed=R), heads, to, R)


def test_biases_are_converted_too(submission):
    for to in ("half-split", "interleaved"):
        converted(submission, noise(3 * 10, seed=1), 3, to)
        converted(submission, noise(3 * 10, seed=2), 3, to, 6)


def turn(x, R, pairing, theta=500.0):
    """Rotate the first R of D coordinates of x [H, T, D] by positions 0 .. T - 1."""
    angles = torch.arange(x.shape[1])[:, None] * theta ** (-torch.arange(0, R, 2) / R)
    cos, sin = angles.cos(), angles.sin()
    first = slice(0, R // 2) if pairing == "half-split" else slice(0, R, 2)
    second = slice(R // 2, R) if pairing == "half-split" else slice(1, R, 2)
    out = x.clone()
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., second] * cos + x[..., first] * sin
    return out


def scores(x, query, key, D, R, pairing):
    """Grouped queries: query and key are (weight, bias); scores [H, T, T]."""
    q, k = (
        turn((x @ weight.T + bias).view(len(x), -1, D).transpose(0, 1), R, pairing)
        for weight, bias in (query, key)
    )
    return q @ k.repeat_interleave(len(q) // len(k), dim=0).transpose(1, 2)


def test_grouped_scores_with_biases_stay(submission):
    """6 query heads over 2 key heads: each weight is converted with its own number of heads."""
    x, C = noise(6, 20), 20
    other = {"half-split": "interleaved", "interleaved": "half-split"}
    for D, R in ((10, 10), (12, 6)):
        query = noise(6 * D, C, seed=1), noise(6 * D, seed=2)
        key = noise(2 * D, C, seed=3), noise(2 * D, seed=4)
        for to in other:
            expected = scores(x, query, key, D, R, other[to])
            rotary = None if R == D else R
            new_query = tuple(submission.convert(each, 6, to, rotary) for each in query)
            new_key = tuple(submission.convert(each, 2, to, rotary) for each in key)
            off = (scores(x, new_query, new_key, D, R, to) - expected).abs().max().item()
            assert off < 1e-3, (
                f"D = {D}, {R} turning, to {to}: expected the same scores, got a difference of {off:.3f}"
            )


def test_numbers_keep_their_bits(submission):
    """A row of infinities stays one row, and integers beyond float32 stay themselves."""
    weight = noise(12, 3)
    weight[4] = float("inf")
    converted(submission, weight, 2, "half-split")
    converted(submission, weight.to(torch.bfloat16), 2, "interleaved")
    converted(submission, weight.to(torch.float16), 2, "interleaved", 4)
    large = (1 << 24) + torch.arange(24, dtype=torch.int32).view(12, 2)
    for dtype in (torch.int32, torch.int64):
        converted(submission, large.to(dtype), 2, "half-split")
    converted(submission, torch.arange(-12, 12, dtype=torch.int8).view(12, 2), 2, "half-split")


def of_a_view(submission, weight, view, *rest):
    """A driver: the conversion of a transposed weight, or of every second row of one."""
    return submission.convert(weight.T if view == "transposed" else weight[::2], *rest)


def test_any_strides(submission):
    """A transposed weight, as GPT-2's files hold it, and every second row of a larger one."""
    cases = [
        (noise(5, 12), "transposed", "half-split", None),
        (noise(24, 5), "every second row", "interleaved", None),
        (noise(5, 12), "transposed", "interleaved", 4),
        (noise(24), "every second row", "half-split", None),
    ]
    for weight, view, to, rotary in cases:
        right = weight.T if view == "transposed" else weight[::2]
        try:
            got = inside(submission, of_a_view, weight, view, 2, to, rotary)
        except RuntimeError as error:
            what = f"strides {right.stride()} of {tuple(right.shape)}"
            raise AssertionError(f"{what}: expected a result, got RuntimeError: {error}") from None
        compare(got, right.contiguous(), 2, to, rotary)


def overwritten(submission, weight):
    """A driver: the weight after its conversion, and after the result was overwritten."""
    got = submission.convert(weight, 3, "half-split")
    after = weight.clone()
    got.zero_()
    return after, weight


def test_result_is_a_new_tensor(submission):
    """Heads of two rows are the same in both pairings: a copy all the same."""
    for D in (2, 6):
        kept = noise(3 * D, 4, seed=D)
        after, now = inside(submission, overwritten, kept.clone())
        assert torch.equal(after, kept), f"D = {D}: expected weight unchanged, got a changed one"
        assert torch.equal(now, kept), (
            f"D = {D}, the result overwritten: expected weight unchanged, got it overwritten too"
        )


def test_sizes_that_cannot_be_are_refused(submission):
    weight = noise(12, 3)
    cases = {
        "12 rows in 5 heads": (5, None),
        "12 rows in 24 heads": (24, None),
        "4 heads of 3 rows, all turning": (4, None),
        "rotary 3 of 6": (2, 3),
        "rotary 8 of 6": (2, 8),
        "rotary 0 of 6": (2, 0),
        "rotary -2 of 6": (2, -2),
        "no heads": (0, None),
    }
    for what, (heads, rotary) in cases.items():
        try:
            submission.convert(weight, heads, "half-split", rotary)
        except ValueError:
            continue
        except ZeroDivisionError:
            raise AssertionError(f"{what}: expected ValueError, got ZeroDivisionError") from None
        raise AssertionError(f"{what}: expected ValueError, got a result")
