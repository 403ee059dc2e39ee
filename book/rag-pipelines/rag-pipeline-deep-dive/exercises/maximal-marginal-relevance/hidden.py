"""Hidden tests: the definition step by step, signs, ties, edges, what is kept, memory, loops."""

import numpy as np

from handbook.practice.checks import inside


def check(got, expected, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


def by_hand(relevance, vectors, limit, balance):
    """A candidate at a time."""
    likeness = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    chosen, rest = [], list(range(len(relevance)))
    while rest and len(chosen) < limit:
        worth = {
            i: balance * relevance[i] - (1 - balance) * max((likeness[i, j] for j in chosen), default=0.0)
            for i in rest
        }
        best = max(rest, key=worth.__getitem__)
        chosen.append(best)
        rest.remove(best)
    return chosen


def case(seed, n, d=3):
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(n, d)).astype(np.float32)
    return chance.uniform(-0.2, 1.0, size=n), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_equals_the_definition(submission):
    for seed in range(40):
        n = 1 + seed % 12
        relevance, vectors = case(seed, n)
        for balance in (0.0, 0.3, 0.7, 1.0):
            limit = 1 + seed % 7
            got = submission.mmr(relevance, vectors, limit, balance)
            expected = by_hand(relevance, vectors, limit, balance)
            check(got, expected, f"seed {seed}, {n} items, limit {limit}, balance {balance}")


def test_nearest_of_all_chosen_counts(submission):
    """Not the newest, nor the mean: a copy of the first stays a copy after two others were chosen."""
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 3]]
    relevance = np.array([1.0, 0.9, 0.8, 0.7, 0.3])
    got = submission.mmr(relevance, vectors, 5, 0.5)
    check(got, [0, 1, 2, 4, 3], "a copy of the first, and one that is new")


def test_pointing_away_is_a_gain(submission):
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    got = submission.mmr(np.array([0.9, 0.5, 0.4]), vectors, 2, 0.5)
    check(got, [0, 2], "one across, and one that points away: 0.25 - 0 against 0.2 + 0.5")


def test_the_first_is_chosen_by_relevance(submission):
    relevance, vectors = case(5, 8)
    got = submission.mmr(relevance, vectors, 1, 0.01)
    check(got, [int(relevance.argmax())], "limit 1, balance 0.01")


def test_negative_relevance_can_be_chosen(submission):
    vectors = np.eye(3, dtype=np.float32)
    got = submission.mmr(np.array([-0.5, -0.1, -0.9]), vectors, 3, 0.9)
    check(got, [1, 0, 2], "relevances below 0")


def test_equal_ones_are_taken_in_order(submission):
    vectors = np.eye(5, dtype=np.float32)
    check(submission.mmr(np.full(5, 0.5), vectors, 5, 0.7), [0, 1, 2, 3, 4], "five equal items across")
    same = np.tile(vectors[:1], (4, 1))
    check(submission.mmr(np.full(4, 0.5), same, 9, 0.7), [0, 1, 2, 3], "the same item four times")
    check(submission.mmr(np.zeros(4), same, 3, 0.0), [0, 1, 2], "the same item four times, balance 0")


def test_limit_and_balance_at_their_borders(submission):
    relevance, vectors = case(3, 6)
    check(submission.mmr(relevance, vectors, 0, 0.5), [], "limit 0")
    for balance in (0, 1, 0.0, 1.0):
        try:
            got = submission.mmr(relevance, vectors, 6, balance)
        except ValueError as error:
            raise AssertionError(f"balance {balance}: expected a list, got ValueError") from error
        check(sorted(got), list(range(6)), f"balance {balance}, all of 6, sorted")


def test_the_balance_left_out(submission):
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    for third, expected in ((0.3, [0, 1, 2]), (0.4, [0, 2, 1])):
        got = submission.mmr(np.array([0.9, 0.8, third]), vectors, 3)
        check(got, expected, f"a copy of relevance 0.8 (worth 0.26) against {third} across")


def test_no_items(submission):
    for d in (0, 3):
        try:
            got = submission.mmr(np.zeros(0), np.zeros((0, d), np.float32), 3, 0.5)
        except Exception as error:
            raise AssertionError(f"no items: expected [], got {type(error).__name__}: {error}") from error
        check(got, [], f"no items of {d} dimensions")


def test_lists_for_relevance(submission):
    got = submission.mmr([0.9, 0.8, 0.6], np.eye(3, dtype=np.float32), 2, 0.7)
    check(got, [0, 1], "relevance as a list")
    kinds = {type(place) for place in got}
    check(kinds, {int}, "kinds of the places")


def test_one_relevance_for_many_vectors(submission):
    """NumPy stretches one number over four vectors without a word."""
    _, vectors = case(1, 4)
    for limit in (0, 1, 4):
        try:
            got = submission.mmr(np.array([0.5]), vectors, limit, 0.5)
        except ValueError:
            continue
        raise AssertionError(f"1 relevance of 4 vectors, limit {limit}: expected ValueError, got {got}")


def test_arguments_stay_as_they_were(submission):
    relevance, vectors = case(1, 6)
    kept = relevance.copy(), vectors.copy()
    submission.mmr(relevance, vectors, 4, 0.5)
    assert np.array_equal(relevance, kept[0]), f"relevance: expected unchanged {kept[0]}, got {relevance}"
    assert np.array_equal(vectors, kept[1]), f"vectors: expected unchanged {kept[1]}, got {vectors}"


def peak(submission, name, args):
    """A driver: bytes at most while it runs, and what came of it."""
    import tracemalloc

    tracemalloc.start()
    try:
        got = getattr(submission, name)(*args)
        return tracemalloc.get_traced_memory()[1], got
    finally:
        tracemalloc.stop()


def test_no_matrix_of_all_pairs(submission):
    relevance, vectors = case(2, 3000, 4)
    most, _ = inside(submission, peak, "mmr", (relevance, vectors, 5, 0.5))
    assert most < 4e6, f"memory for 5 of 3,000 items: expected below 4 MB, got {most / 1e6:.0f} MB"


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
    relevance, vectors = case(4, 2000, 4)
    count, got = inside(submission, lines, "mmr", (relevance, vectors, 30, 0.6), 20_000)
    assert count <= 20_000, "lines that run: expected at most 20,000, got more"
    assert len(set(got)) == 30, f"30 of 2,000: expected 30 different ones, got {len(set(got))}"
