"""Visible tests: the worked example, a trap for greedy search, the limit, the penalty, bad arguments."""

import numpy as np

from handbook.practice.checks import close, equal, raises


def model(table):
    """step over a table from tokens to probabilities; whatever is not in it ends for certain."""

    def step(tokens):
        with np.errstate(divide="ignore"):
            return np.log(np.array(table.get(tuple(tokens), (1.0, 0.0, 0.0))))

    return step


def check(got, expected, what):
    equal([tuple(tokens) for tokens, _ in got], [tokens for tokens, _ in expected], f"{what}: tokens")
    close([float(score) for _, score in got], [score for _, score in expected], f"{what}: scores")


EXAMPLE = {(): (0.2, 0.5, 0.3), (1,): (0.9, 0.1, 0.0)}


def test_worked_example(submission):
    """The statement's model, with and without a length penalty."""
    check(submission.beam_search(model(EXAMPLE), 0, 1, 3), [((1, 0), np.log(0.45))], "alpha 0")
    check(submission.beam_search(model(EXAMPLE), 0, 1, 3, 2.0), [((1, 0), np.log(0.45) / 4)], "alpha 2")


def test_better_than_greedy(submission):
    """The best first token leads astray; a beam of two finds the other way."""
    table = {(): (0.0, 0.6, 0.4), (1,): (0.4, 0.3, 0.3), (2,): (0.9, 0.1, 0.0)}
    check(submission.beam_search(model(table), 0, 1, 4), [((1, 0), np.log(0.24))], "width 1")
    expected = [((2, 0), np.log(0.36)), ((1, 0), np.log(0.24))]
    check(submission.beam_search(model(table), 0, 2, 4), expected, "width 2")


def test_limit_cuts_off(submission):
    """What is live after the last round counts as it is, without end."""
    table = {(): (0.1, 0.6, 0.3), (1,): (0.1, 0.2, 0.7), (2,): (0.5, 0.25, 0.25)}
    expected = [((1,), np.log(0.6)), ((2,), np.log(0.3))]
    check(submission.beam_search(model(table), 0, 2, 1), expected, "limit 1, width 2")
    expected = [((1, 2), np.log(0.42)), ((2, 0), np.log(0.15))]
    check(submission.beam_search(model(table), 0, 2, 2), expected, "limit 2, width 2")


def test_length_penalty_prefers_longer_ones(submission):
    """With alpha 1 the mean counts, so a longer sequence of likelier tokens wins."""
    table = {(): (0.5, 0.5, 0.0), (1,): (0.1, 0.8, 0.1), (1, 1): (0.9, 0.1, 0.0)}
    check(submission.beam_search(model(table), 0, 1, 5), [((0,), np.log(0.5))], "alpha 0")
    expected = [((1, 1, 0), np.log(0.36) / 3)]
    check(submission.beam_search(model(table), 0, 1, 5, 1.0), expected, "alpha 1")


def test_bad_arguments_are_refused(submission):
    """A width or a limit below 1 raises ValueError."""
    raises(ValueError, submission.beam_search, model(EXAMPLE), 0, 0, 3, what="width 0")
    raises(ValueError, submission.beam_search, model(EXAMPLE), 0, 3, 0, what="limit 0")
