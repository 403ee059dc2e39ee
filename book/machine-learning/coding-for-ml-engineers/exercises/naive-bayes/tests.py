"""Visible tests: the worked example, priors, unknown tokens, learning in parts, bad arguments."""

import math

from handbook.practice.checks import close, equal, raises

DOCUMENTS, LABELS = [["refund", "refund"], ["refund", "late"], ["crash"]], ["billing", "billing", "bug"]


def learned(submission, alpha=1.0):
    model = submission.NaiveBayes(alpha)
    model.partial_fit(DOCUMENTS, LABELS)
    return model


def test_worked_example(submission):
    """The statement's example."""
    model = learned(submission)
    expected = {"billing": math.log(32 / 39), "bug": math.log(7 / 39)}
    close(model.log_posterior(["refund"]), expected, "log-posterior of refund")
    equal(model.predict(["refund"]), "billing", "class of refund")
    equal(model.predict(["crash", "crash"]), "bug", "class of crash crash")


def test_empty_document_has_the_prior(submission):
    """No tokens: two thirds and one third."""
    expected = {"billing": math.log(2 / 3), "bug": math.log(1 / 3)}
    close(learned(submission).log_posterior([]), expected, "log-posterior of nothing")


def test_unknown_tokens_are_left_out(submission):
    """A word that training has never seen says nothing, however often it comes."""
    model = learned(submission)
    expected = model.log_posterior(["late"])
    close(model.log_posterior(["invoice", "late", "invoice"]), expected, "late among unknown tokens")


def test_learning_in_parts(submission):
    """Three calls are as good as one, also with a class that comes later."""
    model = submission.NaiveBayes()
    for document, label in zip(DOCUMENTS, LABELS, strict=True):
        equal(model.partial_fit([document], [label]), None, "what partial_fit returns")
    close(model.log_posterior(["refund"]), learned(submission).log_posterior(["refund"]), "learned in parts")
    model.partial_fit([["password", "late"]], ["account"])
    equal(model.predict(["password"]), "account", "class that came later")


def test_bad_arguments_are_refused(submission):
    """alpha of 0, lengths that differ, asking too early."""
    for bad in (0.0, -1.0, float("nan")):
        raises(ValueError, submission.NaiveBayes, bad, what=f"alpha = {bad}")
    model = submission.NaiveBayes()
    raises(RuntimeError, model.predict, ["refund"], what="predict before anything is learned")
    raises(RuntimeError, model.log_posterior, ["refund"], what="log_posterior before anything is learned")
    raises(ValueError, model.partial_fit, DOCUMENTS, LABELS[:2], what="3 documents, 2 labels")
    raises(ValueError, model.partial_fit, DOCUMENTS[:2], LABELS, what="2 documents, 3 labels")
