"""Hidden tests: the definition's double sum, what stands behind the mask, precision, sizes, loops."""

import numpy as np

from handbook.practice.checks import inside


def check(got, expected, what, tolerance=1e-5):
    expected = np.asarray(expected, dtype=np.float64)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.dtype == np.float32, f"{what}: expected float32, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    with np.errstate(invalid="ignore"):
        off = np.abs(got - expected).max(initial=0.0)
    assert off <= tolerance * max(1.0, np.abs(expected).max(initial=0.0)), (
        f"{what}: expected {np.round(expected[:2, :6], 4).tolist()}, got {np.round(got[:2, :6], 4).tolist()}"
    )


def by_hand(rewards, values, mask, gamma, lam):
    """The double sum, a row at a time, in double precision."""
    advantages, returns = np.zeros(mask.shape), np.zeros(mask.shape)
    for b in range(len(mask)):
        n = int(mask[b].sum())
        r, v = rewards[b, :n].astype(np.float64), [*values[b, :n].astype(np.float64), 0.0]
        delta = [r[t] + gamma * v[t + 1] - v[t] for t in range(n)]
        for t in range(n):
            advantages[b, t] = sum((gamma * lam) ** i * delta[t + i] for i in range(n - t))
            returns[b, t] = advantages[b, t] + v[t]
    return advantages, returns


def batch(seed, B=6, T=9):
    chance = np.random.default_rng(seed)
    mask = np.arange(T)[None, :] < chance.integers(0, T + 1, size=B)[:, None]
    rewards, values = chance.normal(size=(2, B, T)).astype(np.float32)
    return rewards, values, mask


def test_equals_the_double_sum(submission):
    for seed, (gamma, lam) in enumerate(
        [(1.0, 0.95), (0.99, 0.95), (0.9, 0.5), (0.7, 0.0), (1.0, 1.0), (0.0, 0.9)]
    ):
        given = batch(seed)
        for mine, right, name in zip(
            submission.gae(*given, gamma, lam),
            by_hand(*given, gamma, lam),
            ("advantages", "returns"),
            strict=True,
        ):
            check(mine, right, f"{name}, gamma = {gamma}, lam = {lam}")


def test_what_stands_behind_the_mask_counts_nowhere(submission):
    for poison in (1e6, np.nan, np.inf, -np.inf):
        rewards, values, mask = batch(7)
        expected = by_hand(rewards, values, mask, 0.9, 0.8)
        dirty = np.where(mask, rewards, np.float32(poison)), np.where(mask, values, np.float32(poison))
        with np.errstate(all="ignore"):
            got = submission.gae(*dirty, mask, 0.9, 0.8)
        check(got[0], expected[0], f"advantages, {poison} behind the mask")
        check(got[1], expected[1], f"returns, {poison} behind the mask")
        assert not got[0][~mask].any(), f"behind the mask: expected 0, got {got[0][~mask].tolist()}"
        assert not got[1][~mask].any(), f"returns behind the mask: expected 0, got {got[1][~mask].tolist()}"


def test_full_row_ends_with_a_value_of_zero(submission):
    """No padding at all: what follows the last token is still the end, not the first or the same value."""
    rewards, values = np.zeros((1, 2), np.float32), np.array([[3.0, 5.0]], np.float32)
    advantages, returns = submission.gae(rewards, values, np.ones((1, 2), bool), 1.0, 0.0)
    check(advantages, [[2.0, -5.0]], "values 3 and 5, no reward, lam = 0")
    check(returns, [[5.0, 0.0]], "their returns")


def test_half_precision_is_computed_in_single(submission):
    """Values of 300 add up past 2,048, where float16 counts in twos; the sum of 400 passes 65,504."""
    chance = np.random.default_rng(8)
    rewards = (300 + chance.random((2, 400))).astype(np.float16)
    values, mask = chance.random((2, 400)).astype(np.float16), np.ones((2, 400), bool)
    with np.errstate(all="ignore"):
        got = submission.gae(rewards, values, mask, 1.0, 1.0)
    expected = by_hand(rewards, values, mask, 1.0, 1.0)
    check(got[0], expected[0], "advantages, float16, 400 rewards of 300")
    check(got[1], expected[1], "returns, float16, 400 rewards of 300")


def test_kinds_may_differ(submission):
    rewards, values, mask = batch(9)
    expected = by_hand(rewards, values.astype(np.float16), mask, 1.0, 0.9)
    got = submission.gae(rewards.astype(np.float64), values.astype(np.float16), mask, 1.0, 0.9)
    check(got[0], expected[0], "float64 rewards, float16 values")


def test_smallest_shapes(submission):
    for shape in ((0, 4), (3, 0), (0, 0)):
        empty = np.zeros(shape, np.float32)
        for part in submission.gae(empty, empty, empty.astype(bool), 1.0, 0.9):
            check(part, empty, f"shape {shape}")
    got = submission.gae(np.ones((1, 1)), np.full((1, 1), 0.25), np.ones((1, 1), bool), 0.5, 0.5)
    check(got[0], [[0.75]], "one answer of one token")


def shared(submission, args):
    """A driver: whether both results lie in one memory."""
    import numpy as np

    advantages, returns = submission.gae(*args)
    return bool(np.shares_memory(advantages, returns))


def test_arguments_stay_as_they_were(submission):
    given = batch(10)
    kept = [array.copy() for array in given]
    submission.gae(*given, 0.9, 0.9)
    for name, now, before in zip(("rewards", "values", "mask"), given, kept, strict=True):
        assert np.array_equal(now, before), f"expected {name} unchanged, got a changed array"
    one = inside(submission, shared, (*batch(10), 0.9, 0.9))
    assert not one, "advantages and returns: expected two arrays, got one memory"


def lines(submission, name, args, most):
    """A driver: lines of the submission that ran, one more than `most` at the most, and what came of it."""
    import sys

    class Enough(BaseException):
        pass

    count, file = 0, submission.__file__

    def line(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count > most:
            raise Enough
        return line

    def call(frame, event, argument):
        return line if frame.f_code.co_filename == file else None

    before, got = sys.gettrace(), None
    sys.settrace(call)
    try:
        got = getattr(submission, name)(*args)
    except Enough:
        pass
    finally:
        sys.settrace(before)
    return count, got


def test_rows_cost_no_loop(submission):
    counts = []
    for B in (4, 64):
        count, _ = inside(submission, lines, "gae", (*batch(11, B=B), 1.0, 0.95), 100_000)
        counts.append(count)
    assert counts[1] <= counts[0] + 8, (
        f"lines that run for 64 rows: expected as many as for 4 ({counts[0]}), got {counts[1]}"
    )
