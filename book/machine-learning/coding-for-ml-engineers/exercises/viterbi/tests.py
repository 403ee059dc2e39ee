"""Visible tests: the example, one symbol, a path that greed misses, impossible steps, what is refused."""

import numpy as np

from handbook.practice.checks import close, equal, raises

INITIAL = np.log([0.6, 0.4])
TRANSITION = np.log([[0.7, 0.3], [0.4, 0.6]])
EMISSION = np.log([[0.5, 0.4, 0.1], [0.1, 0.3, 0.6]])


def log(probabilities):
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, dtype=np.float64))


def test_worked_example(submission):
    """The example of the statement."""
    path, score = submission.viterbi(INITIAL, TRANSITION, EMISSION, [0, 1, 2])
    equal(path, [0, 0, 1], "path of the symbols 0, 1, 2")
    close(score, float(np.log(0.01512)), "score of the symbols 0, 1, 2")


def test_one_symbol(submission):
    """The first state alone: initial times emission."""
    path, score = submission.viterbi(INITIAL, TRANSITION, EMISSION, [2])
    equal(path, [1], "path of the symbol 2")
    close(score, float(np.log(0.4 * 0.6)), "score of the symbol 2")


def test_best_path_is_not_greedy(submission):
    """The likelier first state leads into a dead end."""
    transition = log([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    emission = log([[0.9, 0.1], [0.9, 0.1], [0.01, 0.99]])
    path, score = submission.viterbi(log([0.55, 0.45, 0.0]), transition, emission, [0, 1])
    equal(path, [1, 2], "path where state 0 is likelier at first and leads nowhere")
    close(score, float(np.log(0.45 * 0.9 * 0.99)), "score of that path")


def test_impossible_steps(submission):
    """Probabilities of 0 are minus infinity, and are never taken."""
    transition = log([[0.0, 1.0], [1.0, 0.0]])
    path, score = submission.viterbi(log([1.0, 0.0]), transition, log([[0.5, 0.5], [0.5, 0.5]]), [0, 1, 0, 1])
    equal(path, [0, 1, 0, 1], "path of two states that take turns")
    close(score, float(4 * np.log(0.5)), "score of two states that take turns")


def test_nothing_possible_is_refused(submission):
    """No symbols, or none that any state emits, raise ValueError."""
    raises(ValueError, submission.viterbi, INITIAL, TRANSITION, EMISSION, [], what="no symbols")
    emission = log([[1.0, 0.0], [1.0, 0.0]])
    raises(
        ValueError, submission.viterbi, INITIAL, TRANSITION, emission, [0, 1], what="a symbol nobody emits"
    )
