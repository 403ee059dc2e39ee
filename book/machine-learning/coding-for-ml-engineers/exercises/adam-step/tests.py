"""Visible tests: the worked example, first steps, decay apart from the means, no gradient, bad arguments."""

import numpy as np

from handbook.practice.checks import close, raises


def test_worked_example(submission):
    """The statement's two steps."""
    params, state = {"p": np.array([1.0])}, None
    params, state = submission.adamw_step(params, {"p": np.array([0.5])}, state, 0.1, decay=0.0)
    close(params, {"p": np.array([0.9])}, "after the first step", rtol=1e-6)
    params, state = submission.adamw_step(params, {"p": np.array([-0.5])}, state, 0.1, decay=0.0)
    close(params, {"p": np.array([0.90526])}, "after the second step", rtol=1e-5)


def test_first_step_has_the_length_of_lr(submission):
    """Whatever the gradient's size, the first step moves each entry by lr against it."""
    grads = {"p": np.array([1e-3, -1.0, 1e3])}
    got, _ = submission.adamw_step({"p": np.zeros(3)}, grads, None, 0.01)
    close(got, {"p": np.array([-0.01, 0.01, -0.01])}, "the first step", rtol=1e-4)


def test_decay_is_apart_from_the_gradient(submission):
    """With a gradient of 0 a parameter shrinks by lr * decay of itself, and by no more."""
    params, state = {"p": np.array([2.0, -4.0])}, None
    for step in range(1, 4):
        params, state = submission.adamw_step(params, {"p": np.zeros(2)}, state, 0.1, decay=0.5)
        close(params, {"p": np.array([2.0, -4.0]) * 0.95**step}, f"after {step} steps of decay alone")


def test_no_gradient_leaves_all_as_it_was(submission):
    """A parameter whose gradient is None neither moves nor decays."""
    params = {"a": np.array([1.0]), "b": np.array([1.0])}
    got, state = submission.adamw_step(params, {"a": np.array([1.0]), "b": None}, None, 0.1)
    close(got, {"a": np.array([0.899]), "b": np.array([1.0])}, "a moves, b stays")
    got, _ = submission.adamw_step(got, {"a": None, "b": np.array([1.0])}, state, 0.1)
    close(got, {"a": np.array([0.899]), "b": np.array([0.899])}, "b's first step is a first step")


def test_bad_arguments_are_refused(submission):
    """Names and shapes that do not fit raise ValueError."""
    params, call = {"p": np.zeros(2)}, submission.adamw_step
    raises(ValueError, call, params, {"q": np.zeros(2)}, None, 0.1, what="a gradient of q for p")
    raises(ValueError, call, params, {}, None, 0.1, what="no gradient at all")
    raises(ValueError, call, params, {"p": np.zeros(2), "q": None}, None, 0.1, what="one name too many")
    raises(ValueError, call, params, {"p": np.zeros(1)}, None, 0.1, what="a gradient of shape [1] for [2]")
