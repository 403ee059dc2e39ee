"""Hidden tests: all paths by brute force, ties, zeros, plain numbers, long texts, what is kept."""

import itertools

import numpy as np

from handbook.practice.checks import close, equal, raises, unchanged


def model(seed, states, symbols, zeros=0.0):
    """Random log-probabilities; a share of the transitions is impossible."""
    rng = np.random.default_rng(seed)

    def rows(*shape):
        values = rng.random(shape) + 1e-3
        if len(shape) == 2 and shape[0] == shape[1]:
            values *= rng.random(shape) >= zeros
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(values / np.maximum(values.sum(axis=-1, keepdims=True), 1e-12))

    return rows(states), rows(states, states), rows(states, symbols)


def growth_input(n):
    observed = np.random.default_rng(n).integers(0, 5, size=n)
    return *model(1, 8, 5), observed


def score_of(path, initial, transition, emission, observed):
    total = initial[path[0]] + emission[path[0], observed[0]]
    for place in range(1, len(path)):
        total = total + transition[path[place - 1], path[place]] + emission[path[place], observed[place]]
    return float(total)


def all_paths(initial, transition, emission, observed):
    """The best of all paths; among equals the one that is smallest when read backwards."""
    paths = itertools.product(range(len(initial)), repeat=len(observed))
    scored = [(score_of(path, initial, transition, emission, observed), path) for path in paths]
    top = max(score for score, _ in scored)
    return list(min((p for s, p in scored if s >= top - 1e-12), key=lambda p: p[::-1])), top


def check(submission, parts, observed, what):
    expected_path, expected = all_paths(*parts, observed)
    path, score = submission.viterbi(*parts, observed)
    equal(path, expected_path, f"path, {what}")
    close(score, expected, f"score, {what}", atol=1e-9)
    equal(type(score), float, f"type of the score, {what}")


def test_equals_trying_all_paths(submission):
    """Random models of two to four states, five symbols in a row."""
    for seed in range(25):
        states = 2 + seed % 3
        observed = np.random.default_rng(seed).integers(0, 3, size=5).tolist()
        check(submission, model(seed, states, 3), observed, f"model {seed}, symbols {observed}")


def test_with_impossible_transitions(submission):
    """Half of the transitions have probability 0."""
    for seed in range(25):
        parts = model(seed, 4, 3, zeros=0.5)
        observed = np.random.default_rng(seed).integers(0, 3, size=5).tolist()
        if all_paths(*parts, observed)[1] > -np.inf:
            check(submission, parts, observed, f"model {seed} with zeros, symbols {observed}")


def test_ties_take_the_smaller_state_from_the_end(submission):
    """All paths are equally probable, or two of them are."""
    even = np.log(np.full(3, 1 / 4)), np.log(np.full((3, 3), 1 / 4)), np.log(np.full((3, 2), 1 / 2))
    equal(submission.viterbi(*even, [0, 1, 0])[0], [0, 0, 0], "path where all are equally probable")
    with np.errstate(divide="ignore"):
        parts = np.log([0.0, 0.5, 0.5]), np.log([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0]]), even[2]
    equal(
        submission.viterbi(*parts, [0, 0])[0], [2, 0], "path where (1, 1), (1, 2), (2, 0), (2, 1) are equal"
    )


def test_direction_of_the_transitions(submission):
    """transition[s, r] goes from s to r: a ring that turns one way."""
    with np.errstate(divide="ignore"):
        ring = np.log(np.roll(np.eye(4), 1, axis=1))
        initial = np.log(np.array([0.0, 1.0, 0.0, 0.0]))
    path, score = submission.viterbi(initial, ring, np.zeros((4, 1)), [0] * 6)
    equal(path, [1, 2, 3, 0, 1, 2], "path round a ring of four states, beginning in 1")
    close(score, 0.0, "score round a ring whose steps are certain")


def test_plain_numbers_come_back(submission):
    """Python integers in a list and a Python float, whatever went in."""
    observed = np.array([1, 0, 1], dtype=np.int32)
    path, score = submission.viterbi(*model(3, 3, 2), observed)
    equal([type(state) for state in path], [int] * 3, "types of the states")
    equal(type(score), float, "type of the score")


def test_long_text(submission):
    """5,000 symbols: the probability itself would be 0 in float64."""
    parts = model(7, 6, 4)
    observed = np.random.default_rng(7).integers(0, 4, size=5_000)
    path, score = submission.viterbi(*parts, observed)
    equal(len(path), 5_000, "length of the path of 5,000 symbols")
    close(score_of(path, *parts, observed), score, "score of the path that came back, summed anew", rtol=1e-9)
    best = parts[0] + parts[2][:, observed[0]]
    for symbol in observed[1:]:
        best = (best[:, None] + parts[1]).max(axis=0) + parts[2][:, symbol]
    close(score, float(best.max()), "score of 5,000 symbols", rtol=1e-9)


def test_one_state(submission):
    """There is only one path."""
    got = submission.viterbi(np.zeros(1), np.zeros((1, 1)), np.log([[0.25, 0.75]]), [1, 1, 0])
    equal(got[0], [0, 0, 0], "path of a model with one state")
    close(got[1], float(np.log(0.75 * 0.75 * 0.25)), "score of a model with one state")


def test_arguments_stay_as_they_were(submission):
    """The arrays are not written to."""
    parts, observed = model(5, 3, 2), [0, 1, 1]
    before = [part.copy() for part in parts]
    submission.viterbi(*parts, observed)
    unchanged(list(parts), before, "initial, transition and emission")
    unchanged(observed, [0, 1, 1], "observed")


def test_impossible_at_the_first_symbol_is_refused(submission):
    """Also where only one symbol was observed."""
    never = np.full((2, 1), -np.inf)
    raises(
        ValueError,
        submission.viterbi,
        np.log([0.5, 0.5]),
        np.log(np.full((2, 2), 0.5)),
        never,
        [0],
        what="one",
    )
