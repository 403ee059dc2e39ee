"""Hidden tests: half precision, very small and large scores, empty blocks, merges in any order, memory."""

import numpy as np

from handbook.practice.checks import inside


def exact(scores, values):
    """In double precision, all keys at once."""
    scores, values = scores.astype(np.float64), values.astype(np.float64)
    largest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(largest), largest, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    return weights @ values / np.where(total > 0, total, 1.0)


def blocks(scores, values, size):
    return [(scores[:, i : i + size], values[i : i + size]) for i in range(0, scores.shape[1], size)]


def attended(submission, blocks):
    """A driver: attend over an iterator of the blocks of a list."""
    return submission.attend(iter(blocks))


def check(got, expected, what, tolerance=1e-5):
    expected = np.asarray(expected)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.isfinite(got).all(), f"{what}: expected finite numbers, got {got.flatten()[:4].tolist()} ..."
    off = np.abs(got - expected).max(initial=0.0) / max(1.0, np.abs(expected).max(initial=0.0))
    assert off < tolerance, (
        f"{what}: expected {np.round(expected.flatten()[:4], 4).tolist()} ..., "
        f"got {np.round(got.flatten()[:4], 4).tolist()} ..."
    )


def test_scores_far_below_and_above_zero(submission):
    """Whoever starts the running maximum at 0 or at -10,000 loses the low rows."""
    values = np.arange(6.0)[:, None]
    for level in (-60_000.0, -10_000.0, -1000.0, 1000.0, 60_000.0):
        scores = level + np.array([[0.0, 1.0, 2.0, 3.0, 2.0, 1.0]])
        got = inside(submission, attended, blocks(scores, values, 2))
        check(got, exact(scores, values), f"scores around {level:,.0f}")
    scores = np.array([[-60_000.0, -60_000.0, 60_000.0, -60_000.0, 60_000.0, -60_000.0]])
    check(inside(submission, attended, blocks(scores, values, 2)), [[3.0]], "scores of -60,000 and 60,000")


def test_half_precision_of_many_keys(submission):
    """The sum of weights passes 65,504 and the sum of values passes it 60,000 times over."""
    count = 70_000
    scores, values = np.zeros((1, count), np.float16), np.full((count, 2), 60_000, np.float16)
    values[::2, 1] = -60_000
    got = inside(submission, attended, blocks(scores, values, 1000))
    check(got, [[60_000.0, 0.0]], "70,000 equal float16 scores, float16 values of 60,000")
    got = submission.finish(submission.partial(scores, values))
    check(got, [[60_000.0, 0.0]], "the same in one block, summed in float32", 2e-3)
    assert got.dtype == np.float32, f"output of float16: expected float32, got {got.dtype}"


def test_half_precision_is_as_exact_as_single(submission):
    generator = np.random.default_rng(2)
    scores = (generator.normal(size=(3, 4000)) * 4).astype(np.float16)
    values = generator.normal(size=(4000, 5)).astype(np.float16)
    got = inside(submission, attended, blocks(scores, values, 100))
    check(got, exact(scores, values), "4,000 float16 keys in blocks of 100", 2e-5)


def test_large_half_precision_scores(submission):
    scores = np.array([[60_000, 59_968, -60_000, 60_000]], np.float16)
    values = np.array([[1], [2], [3], [5]], np.float16)
    for size in (1, 2, 4):
        got = inside(submission, attended, blocks(scores, values, size))
        check(got, [[3.0]], f"float16 scores of 60,000, blocks of {size}")


def test_blocks_without_keys(submission):
    nothing = np.empty((2, 0)), np.empty((0, 3))
    generator = np.random.default_rng(3)
    some = generator.normal(size=(2, 5)), generator.normal(size=(5, 3))
    for name, order in (
        ("first", [nothing, some]),
        ("last", [some, nothing]),
        ("between", [some, nothing, some]),
    ):
        check(inside(submission, attended, order), exact(*some), f"a block without keys {name}")
    check(inside(submission, attended, [nothing, nothing]), np.zeros((2, 3)), "no keys at all")


def test_merges_in_any_order_and_grouping(submission):
    generator = np.random.default_rng(4)
    scores, values = generator.normal(size=(4, 48)) * 8, generator.normal(size=(48, 3))
    scores[0, :24], scores[1, 24:], scores[2] = -np.inf, -np.inf, -np.inf
    parts = [submission.partial(*block) for block in blocks(scores, values, 6)]
    right = exact(scores, values)

    def tree(states):
        if len(states) == 1:
            return states[0]
        half = len(states) // 2
        return submission.merge(tree(states[:half]), tree(states[half:]))

    def onto(states, swapped):
        state = states[0]
        for other in states[1:]:
            state = submission.merge(other, state) if swapped else submission.merge(state, other)
        return state

    check(submission.finish(tree(parts)), right, "8 partial results merged as a tree")
    check(submission.finish(onto(parts[::-1], False)), right, "merged from the last to the first")
    check(submission.finish(onto(parts, True)), right, "each merged in front of what was there")


def merged_twice(submission, first, second):
    """A driver: two states alone, merged, merged once more, alone again."""
    import numpy as np

    a, b = submission.partial(*first), submission.partial(*second)
    out = [np.array(submission.finish(state)) for state in (a, b)]
    out += [np.array(submission.finish(submission.merge(a, b))) for _ in range(2)]
    return out + [np.array(submission.finish(state)) for state in (a, b)]


def test_merge_and_partial_change_nothing(submission):
    generator = np.random.default_rng(5)
    scores, values = (
        generator.normal(size=(2, 8)).astype(np.float32),
        generator.normal(size=(8, 3)).astype(np.float32),
    )
    kept = scores.copy(), values.copy()
    submission.partial(scores, values)
    assert np.array_equal(scores, kept[0]), f"partial: expected scores unchanged, got {scores.tolist()}"
    assert np.array_equal(values, kept[1]), f"partial: expected values unchanged, got {values.tolist()}"
    halves = (scores[:, :4], values[:4]), (scores[:, 4:] + 5, values[4:])
    a, b, first, again, now_a, now_b = inside(submission, merged_twice, *halves)
    check(again, first, "the same merge once more")
    check(now_a, a, "a after the merges")
    check(now_b, b, "b after the merges")


def in_one_memory(submission):
    """A driver: two blocks of one key that lie in the same memory, one after the other."""
    import numpy as np

    scores, values = np.zeros((1, 1), np.float32), np.full((1, 2), 3.0, np.float32)
    a = submission.partial(scores, values)
    scores.fill(50.0)
    values.fill(9.0)
    b = submission.partial(scores - 50.0, values)
    scores.fill(0.0)
    values.fill(0.0)
    return submission.finish(submission.merge(a, b))


def test_what_a_block_leaves_is_not_the_block(submission):
    """The block's memory is used again before the merge."""
    check(inside(submission, in_one_memory), [[6.0, 6.0]], "two blocks of one key in the same memory")


def peak(submission, scores, values, times):
    """A driver: bytes at most while it attends to the same block again and again, and the output."""
    import tracemalloc

    tracemalloc.start()
    try:
        got = submission.attend((scores, values) for _ in range(times))
        return tracemalloc.get_traced_memory()[1], got
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_blocks(submission):
    """4,000 blocks of 64 keys: the scores of two rows alone would be 2 MB."""
    generator = np.random.default_rng(6)
    scores, values = generator.normal(size=(2, 64)).astype(np.float32), generator.normal(size=(64, 8))
    values = values.astype(np.float32)
    most, got = inside(submission, peak, scores, values, 4000)
    check(got, exact(scores, values), "the same block 4,000 times", 1e-4)
    assert most < 500_000, f"memory at most: expected under 500,000 bytes, got {most:,}"


def asked_for(submission, count):
    """A driver: the numbers of the blocks that were asked for, and the output."""
    import numpy as np

    asked = []

    def counted():
        for n in range(count):
            asked.append(n)
            yield np.full((1, 2), float(n)), np.full((2, 1), float(n))

    got = submission.attend(counted())
    return asked, got


def test_every_block_is_asked_for_once(submission):
    asked, got = inside(submission, asked_for, 5)
    assert asked == [0, 1, 2, 3, 4], f"blocks asked for: expected 0 to 4 once, got {asked}"
    weights = np.exp(np.arange(5.0))
    check(got, [[float(weights @ np.arange(5.0) / weights.sum())]], "five blocks")


def test_rows_are_scaled_each_by_its_own_largest(submission):
    """One row's score of 1,000 must not push the other's weights to 0."""
    scores = np.array([[1000.0, 999.0, 1000.0, 998.0], [0.0, 1.0, 2.0, -1.0]])
    values = np.arange(8.0).reshape(4, 2)
    check(
        inside(submission, attended, blocks(scores, values, 2)),
        exact(scores, values),
        "rows at 1,000 and at 0",
    )
