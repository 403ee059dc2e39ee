"""Hidden tests: the definition place by place, attention, padding, empty documents, what counts, loops."""

from itertools import pairwise

import numpy as np

from handbook.practice.checks import inside


def check(got, expected, dtype, what):
    expected = np.asarray(expected, dtype=dtype)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.dtype == dtype, f"{what}: expected {np.dtype(dtype)}, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.array_equal(got, expected), (
        f"{what}: expected {expected.astype(int).tolist()}, got {got.astype(int).tolist()}"
    )


def by_hand(bounds, total, tokens, counted):
    """A place at a time."""
    home = [None] * total
    for d, (start, end) in enumerate(pairwise(bounds)):
        for place in range(start, end):
            home[place] = (d, place - start)
    mask = np.eye(total, dtype=bool)
    position, target = np.zeros(total, int), np.full(total, -100)
    for i in range(total):
        if home[i] is None:
            continue
        position[i] = home[i][1]
        for j in range(i):
            mask[i, j] = home[j] is not None and home[j][0] == home[i][0]
        if i + 1 < total and home[i + 1] is not None and home[i + 1][0] == home[i][0] and counted[i + 1]:
            target[i] = tokens[i + 1]
    return mask, position, target


def rows(seed):
    """Bounds with empty documents among them, and a row of tokens."""
    chance = np.random.default_rng(seed)
    lengths = chance.integers(0, 5, size=chance.integers(0, 7))
    bounds = [0, *np.cumsum(lengths).tolist()]
    total = bounds[-1] + int(chance.integers(0, 3))
    return bounds, total, chance.integers(0, 50, size=total), chance.random(total) < 0.6


def test_equals_the_definition_place_by_place(submission):
    for seed in range(60):
        bounds, total, tokens, counted = rows(seed)
        mask, position, target = by_hand(bounds, total, tokens, counted)
        what = f"bounds {bounds}, {total} places"
        check(submission.packed_mask(bounds, total), mask, bool, f"mask, {what}")
        check(submission.positions(bounds, total), position, np.int64, f"positions, {what}")
        check(submission.targets(tokens, counted, bounds), target, np.int64, f"targets, {what}")


def test_target_is_counted_where_it_stands(submission):
    """counted speaks of the token itself: the prompt's last place is trained to say the answer's first."""
    tokens, counted = np.array([1, 2, 3, 4]), np.array([False, False, True, True])
    got = submission.targets(tokens, counted, [0, 4])
    check(got, [-100, 3, 4, -100], np.int64, "a prompt of 2 and an answer of 2")


def test_no_target_across_a_bound(submission):
    got = submission.targets(np.arange(1, 7), np.ones(6, dtype=bool), [0, 2, 4, 6])
    check(got, [2, -100, 4, -100, 6, -100], np.int64, "three documents of 2, all counted")


def test_empty_documents(submission):
    bounds = [0, 0, 2, 2, 2, 4, 4]
    block = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    check(submission.packed_mask(bounds, 4), block, bool, f"mask, bounds {bounds}")
    check(submission.positions(bounds, 4), [0, 1, 0, 1], np.int64, f"positions, bounds {bounds}")
    bounds = [0, 2, 2, 3, 4]
    check(submission.positions(bounds, 4), [0, 1, 0, 0], np.int64, f"positions, bounds {bounds}")


def test_padding_is_seen_by_nobody_and_sees_itself(submission):
    mask = submission.packed_mask([0, 2], 5)
    seen = mask.sum(axis=1).tolist()
    assert seen == [1, 2, 1, 1, 1], (
        f"2 tokens and 3 of padding, places seen: expected [1, 2, 1, 1, 1], got {seen}"
    )
    column = mask.sum(axis=0).tolist()
    assert column == [2, 1, 1, 1, 1], f"seen by how many: expected [2, 1, 1, 1, 1], got {column}"


def test_padding_is_no_target(submission):
    """Padding that somebody has marked as counted all the same."""
    got = submission.targets(np.array([1, 2, 9, 9]), np.ones(4, dtype=bool), [0, 2])
    check(got, [2, -100, -100, -100], np.int64, "padding marked as counted")
    check(submission.positions([0, 2], 4), [0, 1, 0, 0], np.int64, "positions of 2 tokens and 2 of padding")


def test_nothing_at_all(submission):
    none = np.zeros(0, dtype=np.int64)
    for total in (0, 2):
        what = f"no document, {total} places"
        check(submission.packed_mask([0], total), np.eye(total), bool, f"mask, {what}")
        check(submission.positions([0], total), np.zeros(total), np.int64, f"positions, {what}")
    check(submission.targets(none, none.astype(bool), [0]), none, np.int64, "targets, no document, no place")
    got = submission.targets(np.array([4, 4]), np.ones(2, dtype=bool), [0])
    check(got, [-100, -100], np.int64, "targets, no document, 2 places")


def attend(x, mask):
    scores = np.where(mask, x @ x.T, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ x


def test_attention_of_a_document_is_that_of_it_alone(submission):
    chance = np.random.default_rng(3)
    bounds, total = [0, 3, 4, 9], 11
    x = chance.normal(size=(total, 4))
    whole = attend(x, submission.packed_mask(bounds, total))
    assert np.isfinite(whole).all(), "softmax of every row: expected finite numbers, got NaN"
    for start, end in pairwise(bounds):
        alone = attend(x[start:end], np.tril(np.ones((end - start, end - start), dtype=bool)))
        off = np.abs(whole[start:end] - alone).max()
        assert off < 1e-9, f"places {start} to {end}: expected as alone, got a difference of {off:.2e}"


def test_kinds_of_arguments(submission):
    """Bounds as list, tuple and array; int32 tokens; all kept as they were."""
    tokens, counted = np.array([1, 2, 3, 4], dtype=np.int32), np.array([True, True, False, True])
    for kind in (list, tuple, np.array, lambda x: np.array(x, dtype=np.int32)):
        bounds = kind([0, 2, 4])
        name = type(bounds).__name__
        check(submission.positions(bounds, 4), [0, 1, 0, 1], np.int64, f"positions, bounds as {name}")
        check(submission.targets(tokens, counted, bounds), [2, -100, 4, -100], np.int64, f"targets, {name}")
        kept = [int(bound) for bound in bounds]
        assert kept == [0, 2, 4], f"bounds: expected unchanged, got {kept}"
    assert tokens.tolist() == [1, 2, 3, 4], f"tokens: expected unchanged, got {tokens.tolist()}"
    assert counted.tolist() == [True, True, False, True], (
        f"counted: expected unchanged, got {counted.tolist()}"
    )


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


def test_no_loop_over_pairs(submission):
    bounds = list(range(0, 1001, 4))
    count, mask = inside(submission, lines, "packed_mask", (bounds, 1000), 50_000)
    count += inside(submission, lines, "positions", (bounds, 1000), 50_000)[0]
    given = np.arange(1000), np.ones(1000, dtype=bool), bounds
    count += inside(submission, lines, "targets", given, 50_000)[0]
    assert count <= 50_000, "lines that run: expected at most 50,000, got more"
    assert int(mask.sum()) == 2500, (
        f"250 documents of 4: expected 2,500 pairs that see, got {int(mask.sum())}"
    )
