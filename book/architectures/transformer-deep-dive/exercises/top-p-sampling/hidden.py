"""Hidden tests: the definition by brute force, ties, the edges, forbidden tokens, large logits, sampling."""

import itertools

import numpy as np


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def test_nucleus_is_the_smallest_set_that_reaches_p(submission):
    """Against all subsets of six tokens."""
    rng = np.random.default_rng(1)
    for p in (0.2, 0.5, 0.77, 0.93):
        logits = rng.normal(scale=2.0, size=6)
        probs = softmax(logits)
        subsets = [
            s for n in range(1, 7) for s in itertools.combinations(range(6), n) if probs[list(s)].sum() >= p
        ]
        best = min(subsets, key=lambda s: (len(s), -probs[list(s)].sum()))
        expected = np.zeros(6)
        expected[list(best)] = probs[list(best)] / probs[list(best)].sum()
        got = submission.top_p(logits, p)
        assert np.allclose(got, expected, atol=1e-9), (
            f"p = {p}: expected {np.round(expected, 4).tolist()}, got {np.round(got, 4).tolist()}"
        )


def test_sum_that_meets_p_exactly_is_enough(submission):
    got = submission.top_p(np.array([0.0, 0.0, 0.0, 0.0]), 0.75)  # quarters are exact in binary
    expected = [1 / 3, 1 / 3, 1 / 3, 0.0]
    assert np.allclose(got, expected), (
        f"three quarters reach p = 0.75: expected {expected}, got {np.round(got, 4).tolist()}"
    )


def test_p_one_keeps_the_whole_tail(submission):
    logits = np.concatenate((np.zeros(1000), np.full(1000, -60.0)))
    got = submission.top_p(logits, 1.0)
    kept = int((got > 0).sum())
    assert kept == 2000, f"p = 1, 1,000 tokens of probability 1e-29: expected 2000 tokens kept, got {kept}"


def test_tie_at_the_edge_goes_to_the_smaller_index(submission):
    got = submission.top_p(np.zeros(8), 0.5)
    expected = [0.25] * 4 + [0.0] * 4
    assert np.allclose(got, expected), (
        f"eight equal tokens, p = 0.5: expected the first four {expected}, got {np.round(got, 4).tolist()}"
    )
    got = submission.top_p(np.array([0.0, 3.0, 0.0, 3.0]), 0.4)
    expected = [0.0, 1.0, 0.0, 0.0]
    assert np.allclose(got, expected), (
        f"two best tokens tie, p = 0.4: expected {expected}, got {np.round(got, 4).tolist()}"
    )


def test_order_of_the_vocabulary_is_kept(submission):
    logits = np.random.default_rng(2).normal(size=20)
    order = np.random.default_rng(3).permutation(20)
    straight, shuffled = submission.top_p(logits, 0.8), submission.top_p(logits[order], 0.8)
    assert np.allclose(shuffled, straight[order]), (
        "shuffled logits: expected the same probabilities shuffled, got others"
    )


def test_forbidden_tokens_stay_forbidden(submission):
    logits = np.array([-np.inf, 1.0, -np.inf, 1.0])
    for p in (0.3, 0.9, 1.0):
        got = submission.top_p(logits, p)
        expected = [0.0, 1.0, 0.0, 0.0] if p == 0.3 else [0.0, 0.5, 0.0, 0.5]
        assert np.allclose(got, expected), (
            f"two tokens at minus infinity, p = {p}: expected {expected}, got {np.round(got, 4).tolist()}"
        )


def test_large_logits_stay_finite(submission):
    got = submission.top_p(np.array([10000.0, 9999.0, -10000.0]), 0.99)
    expected = softmax(np.array([1.0, 0.0]))
    assert np.allclose(got[:2], expected, atol=1e-6), (
        f"logits of 10000: expected {np.round(expected, 4).tolist()} and 0, got {np.round(got, 4).tolist()}"
    )
    assert got[2] == 0.0, f"logit of -10000: expected probability 0, got {got[2]}"


def test_float64_out_and_argument_unchanged(submission):
    logits = np.array([1.0, 2.0, -1.0, 0.0], dtype=np.float32)
    kept = logits.copy()
    got = submission.top_p(logits, 0.9)
    assert got.dtype == np.float64, f"float32 logits: expected float64 probabilities, got {got.dtype}"
    assert np.array_equal(logits, kept), (
        f"expected logits unchanged {np.round(kept, 4).tolist()}, got {np.round(logits, 4).tolist()}"
    )


def test_choice_accepts_a_large_vocabulary(submission):
    """Generator.choice wants a sum of 1 and draws only from the nucleus."""
    rng = np.random.default_rng(4)
    logits = rng.normal(scale=3.0, size=50_000).astype(np.float32)
    probs = submission.top_p(logits, 0.9)
    drawn = rng.choice(50_000, size=200, p=probs)
    outside = [int(token) for token in drawn if probs[token] == 0.0]
    assert not outside, f"200 draws: expected tokens of the nucleus only, got {outside}"
    share = softmax(logits.astype(np.float64))[probs > 0].sum()
    assert 0.9 - 1e-6 <= share < 0.91, (
        f"p = 0.9 of 50,000 tokens: expected a nucleus of mass just over 0.9, got {share:.4f}"
    )
