"""Visible tests: the example, odds of known probabilities, what weighs nothing, equal answers, no tokens."""

import math

import torch


def check(got, expected, what, tolerance=1e-4):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-5, atol=tolerance), (
        f"{what}: expected {[round(x, 4) for x in expected.flatten().tolist()]}, "
        f"got {[round(x, 4) for x in got.flatten().tolist()]}"
    )


CHOSEN, CHOSEN_MASK = torch.tensor([[-0.2, -0.6]]), torch.ones(1, 2, dtype=torch.bool)
REJECTED = torch.tensor([[-1.0, -2.0, math.nan]])
REJECTED_MASK = torch.tensor([[True, True, False]])


def test_worked_example(submission):
    got = submission.orpo_loss(CHOSEN, CHOSEN_MASK, REJECTED, REJECTED_MASK, 0.5)
    check(got, [0.4661], "loss of the example")


def test_odds_of_known_probabilities(submission):
    p = torch.tensor([[0.5, 0.75], [0.2, 0.9]])
    expected = [[0.0, math.log(3)], [math.log(0.25), math.log(9)]]
    check(submission.log_odds(p.log()), expected, "log odds of 0.5, 0.75, 0.2, 0.9", 1e-5)


def test_weight_of_zero_is_fine_tuning(submission):
    got = submission.orpo_loss(CHOSEN, CHOSEN_MASK, REJECTED, REJECTED_MASK, 0.0)
    check(got, [0.4], "weight 0: minus the mean of -0.2 and -0.6", 1e-6)


def test_equal_answers_cost_log_two(submission):
    got = submission.orpo_loss(CHOSEN, CHOSEN_MASK, CHOSEN, CHOSEN_MASK, 2.0)
    check(got, [0.4 + 2 * math.log(2)], "the same answer twice, weight 2", 1e-5)


def test_answer_without_tokens_is_refused(submission):
    two, mask = torch.full((2, 2), -1.0), torch.tensor([[True, True], [False, False]])
    for name, masks in (("chosen", (mask, ~mask | mask)), ("rejected", (~mask | mask, mask))):
        try:
            got = submission.orpo_loss(two, masks[0], two, masks[1], 0.1)
        except ValueError:
            continue
        raise AssertionError(
            f"the second {name} answer has no token: expected ValueError, got {got.tolist()}"
        )
