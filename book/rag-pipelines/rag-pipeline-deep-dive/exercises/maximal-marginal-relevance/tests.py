"""Visible tests: the example, relevance alone, novelty alone, how many, what is refused."""

import numpy as np

RELEVANCE = np.array([0.9, 0.8, 0.5, 0.1])
VECTORS = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=np.float32)


def check(got, expected, what):
    assert isinstance(got, list), f"{what}: expected a list, got {type(got).__name__}"
    assert got == expected, f"{what}: expected {expected}, got {got}"


def test_worked_example(submission):
    check(submission.mmr(RELEVANCE, VECTORS, 3, 0.5), [0, 3, 1], "the example, balance 0.5")


def test_relevance_alone(submission):
    check(submission.mmr(RELEVANCE, VECTORS, 4, 1.0), [0, 1, 2, 3], "balance 1")
    check(submission.mmr(RELEVANCE[::-1], VECTORS, 4, 1.0), [3, 2, 1, 0], "balance 1, the other way round")


def test_the_same_twice_waits(submission):
    """With the balance that stands for itself: 0.7 * 0.8 - 0.3 * 1 < 0.7 * 0.6 - 0.3 * 0."""
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    check(submission.mmr(np.array([0.9, 0.8, 0.6]), vectors, 3), [0, 2, 1], "a copy of the best")


def test_at_most_limit_and_all_there_are(submission):
    for limit, count in ((0, 0), (1, 1), (4, 4), (9, 4)):
        got = submission.mmr(RELEVANCE, VECTORS, limit, 0.7)
        assert len(got) == count, f"limit {limit} of 4 items: expected {count} of them, got {got}"
        assert len(set(got)) == count, f"limit {limit}: expected each item once, got {got}"


def test_bad_arguments_are_refused(submission):
    cases = {
        "balance -0.1": (RELEVANCE, VECTORS, 2, -0.1),
        "balance 1.1": (RELEVANCE, VECTORS, 2, 1.1),
        "3 relevances of 4 vectors": (RELEVANCE[:3], VECTORS, 2, 0.5),
        "4 relevances of 3 vectors": (RELEVANCE, VECTORS[:3], 2, 0.5),
    }
    for what, arguments in cases.items():
        try:
            got = submission.mmr(*arguments)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"{what}: expected ValueError, got {got}")
