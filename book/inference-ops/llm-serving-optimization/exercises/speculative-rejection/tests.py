"""Visible tests: the example, equal models, no drafts, and the distribution of the first token."""

import numpy as np

from handbook.practice.checks import inside

Q = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2]])
P = np.array([[0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])


def check(submission, drafts, q, p, uniforms, expected, what):
    got = submission.verify(drafts, np.asarray(q), np.asarray(p), np.asarray(uniforms))
    got = [int(token) for token in got]
    assert got == expected, f"{what}: expected {expected}, got {got}"


def test_worked_example(submission):
    rest = [[0.99, 0.5], [0.7, 0.15]]
    check(submission, [0, 1], Q, P, [[0.39, 0.5], *rest], [0, 1, 1], "0.39 is below 0.2 / 0.5: both stay")
    check(submission, [0, 1], Q, P, [[0.41, 0.5], *rest], [1], "0.41 is above 0.2 / 0.5, then 0.5")
    check(submission, [0, 1], Q, P, [[0.41, 0.7], *rest], [2], "0.41 is above 0.2 / 0.5, then 0.7")


def test_drafts_of_an_equal_model_all_stay(submission):
    generator = np.random.default_rng(0)
    for _ in range(50):
        p = generator.dirichlet(np.ones(5), size=4)
        drafts = [int(generator.choice(5, p=row)) for row in p[:3]]
        got = submission.verify(drafts, p[:3], p, generator.random((4, 2)))
        assert list(got[:3]) == drafts, f"q = p: expected {drafts} and one more, got {list(got)}"
        assert len(got) == 4, f"q = p: expected 4 tokens, got {len(got)}"


def test_without_drafts_one_token_is_drawn(submission):
    for u, expected in ((0.05, 0), (0.15, 1), (0.25, 2), (0.95, 2)):
        check(submission, [], np.empty((0, 3)), P[2:], [[0.5, u]], [expected], f"no drafts, u = {u}")


def first_tokens(submission, drafts, q, p, uniforms):
    """A driver: the first token of each of many rounds of one draft."""
    return [submission.verify([int(d)], q, p, u)[0] for d, u in zip(drafts, uniforms, strict=True)]


def test_first_token_is_distributed_as_the_target_says(submission):
    """Chi-squared over the first token of 10,000 rounds: 18.4 is passed once in 10,000."""
    generator = np.random.default_rng(1)
    count = 10_000
    drafts, uniforms = generator.choice(3, size=count, p=Q[0]), generator.random((count, 2, 2))
    first = inside(submission, first_tokens, drafts, Q[:1], P[:2], uniforms)
    assert len(first) == count, f"rounds: expected {count}, got {len(first)}"
    seen = np.bincount(first, minlength=3)
    statistic = float(((seen - count * P[0]) ** 2 / (count * P[0])).sum())
    assert statistic < 18.4, (
        f"shares of the first token: expected {P[0].tolist()}, got {np.round(seen / count, 3).tolist()} "
        f"(chi-squared {statistic:.1f})"
    )
