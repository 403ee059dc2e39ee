"""Hidden tests: the definition passage by passage, empty ones anywhere, signs, precision, loops, memory."""

import numpy as np

from handbook.practice.checks import inside


def check(got, expected, what, tolerance=1e-4):
    expected = np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.allclose(got, expected, atol=tolerance), (
        f"{what}: expected {np.round(expected, 4).tolist()}, got {np.round(got, 4).tolist()}"
    )


def by_hand(question, tokens, lengths):
    """Token by token."""
    scores, start = [], 0
    for length in lengths:
        own = tokens[start : start + length].astype(np.float64)
        start += length
        nearest = [max(float(q @ t) for t in own) for q in question.astype(np.float64) if length]
        scores.append(sum(nearest))
    return scores


def case(seed, lengths, q=4, d=6):
    chance = np.random.default_rng(seed)
    return chance.normal(size=(q, d)).astype(np.float32), chance.normal(size=(sum(lengths), d)).astype(
        np.float32
    )


def test_equals_the_definition(submission):
    for seed in range(15):
        lengths = np.random.default_rng(seed).integers(1, 9, size=6).tolist()
        question, tokens = case(seed, lengths, q=1 + seed % 5)
        got = submission.max_sims(question, tokens, np.array(lengths))
        check(got, by_hand(question, tokens, lengths), f"seed {seed}, lengths {lengths}")


def test_passages_without_tokens_anywhere(submission):
    for lengths in ([0, 2, 3], [2, 0, 3], [2, 0, 0, 3], [2, 3, 0], [2, 3, 0, 0], [0], [0, 0, 0], [0, 1, 0]):
        question, tokens = case(len(lengths), lengths)
        try:
            got = submission.max_sims(question, tokens, np.array(lengths))
        except Exception as error:
            raise AssertionError(
                f"lengths {lengths}: expected scores, got {type(error).__name__}: {error}"
            ) from error
        check(got, by_hand(question, tokens, lengths), f"lengths {lengths}")


def test_scores_below_zero(submission):
    question = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    tokens = np.array([[-1.0, -0.5], [-0.8, -0.6], [-0.1, 0.2]], np.float32)
    got = submission.max_sims(question, tokens, np.array([2, 1]))
    check(got, [-1.3, 0.1], "a passage that points away")


def test_vectors_as_they_are(submission):
    question, tokens = np.array([[2.0, 0.0]], np.float32), np.array([[3.0, 4.0], [0.5, 0.0]], np.float32)
    check(submission.max_sims(question, tokens, np.array([1, 1])), [6.0, 1.0], "vectors of other lengths")


def test_question_without_tokens(submission):
    lengths = [2, 0, 3]
    _, tokens = case(2, lengths)
    try:
        got = submission.max_sims(np.zeros((0, 6), np.float32), tokens, np.array(lengths))
    except Exception as error:
        raise AssertionError(f"no tokens: expected zeros, got {type(error).__name__}: {error}") from error
    check(got, [0.0, 0.0, 0.0], "a question without tokens")


def test_half_precision_is_for_keeping(submission):
    """The numbers come in float16; their products and sums in float32."""
    lengths = [40, 25]
    question, tokens = case(5, lengths, q=32, d=64)
    question, tokens = question.astype(np.float16), tokens.astype(np.float16)
    got = submission.max_sims(question, tokens, np.array(lengths))
    assert got.dtype == np.float32, f"scores: expected float32, got {got.dtype}"
    check(got, by_hand(question, tokens, lengths), "float16 in", 5e-3)
    large = np.full((4, 2), 200.0, np.float16)
    got = submission.max_sims(large, large[:1], np.array([1]))
    check(got, [320_000.0], "products of 80,000, more than float16 holds", 1.0)


def test_lengths_of_any_kind(submission):
    question, tokens = case(6, [1, 2, 3])
    expected = by_hand(question, tokens, [1, 2, 3])
    for kind in (list, tuple, lambda x: np.array(x, np.int32), lambda x: np.array(x, np.uint16)):
        lengths = kind([1, 2, 3])
        try:
            got = submission.max_sims(question, tokens, lengths)
        except Exception as error:
            what = f"lengths as {type(lengths).__name__}"
            raise AssertionError(f"{what}: expected scores, got {type(error).__name__}: {error}") from error
        check(got, expected, f"lengths as {type(lengths).__name__}")


def test_many_tokens_before_a_passage(submission):
    """Places of more than two bytes, from lengths of two."""
    lengths = np.full(4, 30_000, np.uint16)
    tokens = np.zeros((120_000, 1), np.float32)
    tokens[[1, 30_001, 89_999, 90_001], 0] = [1, 2, 3, 4]
    got = submission.max_sims(np.ones((1, 1), np.float32), tokens, lengths)
    check(got, [1.0, 2.0, 3.0, 4.0], "four passages of 30,000 tokens, lengths as uint16")


def test_arguments_stay_as_they_were(submission):
    lengths = np.array([2, 3])
    question, tokens = case(7, [2, 3])
    kept = question.copy(), tokens.copy(), lengths.copy()
    submission.max_sims(question, tokens, lengths)
    names = ("question", "tokens", "lengths")
    for name, now, before in zip(names, (question, tokens, lengths), kept, strict=True):
        assert np.array_equal(now, before), f"{name}: expected unchanged, got others"


def peak(submission, name, args):
    """A driver: bytes at most while it runs, and what came of it."""
    import tracemalloc

    tracemalloc.start()
    try:
        got = getattr(submission, name)(*args)
        return tracemalloc.get_traced_memory()[1], got
    finally:
        tracemalloc.stop()


def test_nothing_is_filled_up(submission):
    """One passage of 2,000 tokens among 80 of five."""
    lengths = np.array([5] * 40 + [2000] + [5] * 40)
    question, tokens = case(8, lengths.tolist(), q=8, d=16)
    most, _ = inside(submission, peak, "max_sims", (question, tokens, lengths))
    assert most < 2e6, f"2,400 tokens, 8 of the question: expected below 2 MB, got {most / 1e6:.0f} MB"


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


def test_no_loop_over_passages(submission):
    lengths = np.tile([1, 2, 3, 0], 500)
    question, tokens = case(9, lengths.tolist(), q=3)
    count, got = inside(submission, lines, "max_sims", (question, tokens, lengths), 500)
    assert count <= 500, "lines that run: expected at most 500, got more"
    check(got[:8], by_hand(question, tokens, lengths[:8].tolist()), "the first eight of 2,000 passages")
