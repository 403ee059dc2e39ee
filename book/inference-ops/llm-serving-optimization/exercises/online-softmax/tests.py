"""Visible tests: the example, softmax over everything, masked keys, blocks whose memory is used again."""

import numpy as np

from handbook.practice.checks import inside


def exact(scores, values):
    """In double precision, all keys at once."""
    scores, values = scores.astype(np.float64), values.astype(np.float64)
    largest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(largest), largest, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    return weights @ values / np.where(total > 0, total, 1.0)


def streamed(submission, scores, values, sizes):
    """A driver: attend over blocks of these sizes in two buffers that the next block overwrites."""
    import numpy as np

    def blocks():
        rooms = (
            np.empty((len(scores), max(sizes)), scores.dtype),
            np.empty((max(sizes), values.shape[1]), values.dtype),
        )
        start = 0
        for size in sizes:
            for room in rooms:
                room.fill(7)
            rooms[0][:, :size] = scores[:, start : start + size]
            rooms[1][:size] = values[start : start + size]
            yield rooms[0][:, :size], rooms[1][:size]
            start += size

    return submission.attend(blocks())


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


def test_worked_example(submission):
    first = np.array([[1.0, 3.0]]), np.array([[10.0], [20.0]])
    second = np.array([[4.0, -np.inf]]), np.array([[30.0], [99.0]])
    check(inside(submission, attended, [first, second]), [[26.702660]], "the example")
    check(submission.finish(submission.partial(*first)), [[21.353353 / 1.135335]], "the first block alone")
    both = submission.merge(submission.partial(*first), submission.partial(*second))
    check(submission.finish(both), [[26.702660]], "both blocks, merged")


def test_equals_softmax_over_all_keys(submission):
    generator = np.random.default_rng(0)
    scores, values = generator.normal(size=(5, 60)) * 3, generator.normal(size=(60, 4))
    for sizes in ([60], [20] * 3, [1] * 60, [7, 30, 3, 20]):
        got = inside(submission, streamed, scores, values, sizes)
        check(got, exact(scores, values), f"60 keys in {len(sizes)} blocks")
        assert got.dtype == np.float32, f"output: expected float32, got {got.dtype}"


def test_largest_score_may_come_last(submission):
    scores, values = np.arange(12.0)[None] * 20, np.eye(12)
    check(inside(submission, streamed, scores, values, [4, 4, 4]), exact(scores, values), "scores that rise")
    down = scores[:, ::-1]
    check(inside(submission, streamed, down, values, [4, 4, 4]), exact(down, values), "scores that fall")


def test_masked_keys_weigh_nothing(submission):
    generator = np.random.default_rng(1)
    scores, values = generator.normal(size=(3, 12)), generator.normal(size=(12, 2))
    scores[0, 4:8] = -np.inf  # the second block
    scores[1, :8] = -np.inf  # the first two
    scores[2, 1:] = -np.inf  # all but one key
    check(
        inside(submission, streamed, scores, values, [4, 4, 4]),
        exact(scores, values),
        "blocks masked from end to end",
    )


def test_row_masked_everywhere_gives_zeros(submission):
    scores, values = np.full((2, 6), -np.inf), np.ones((6, 3))
    scores[0] = 0.0
    got = inside(submission, streamed, scores, values, [3, 3])
    check(got, [[1.0] * 3, [0.0] * 3], "the second of two rows is masked everywhere")
