"""Visible tests: the worked example, the bias, an even and a collapsed load, a k that cannot be."""

import torch

LOGITS = torch.tensor([[5.0, 3.0, 2.0], [3.0, 6.0, 1.0]]).log()


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def check(got, expected, what, atol=1e-4):
    got, expected = torch.as_tensor(got), torch.as_tensor(expected)
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.float(), expected.float(), atol=atol), (
        f"{what}: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_worked_example(submission):
    experts, weights, loss = submission.route(LOGITS, torch.eye(3), 2)
    check(experts, [[0, 1], [1, 0]], "experts of the example")
    check(weights, [[0.625, 0.375], [2 / 3, 1 / 3]], "weights of the example")
    check(loss, 1.275, "loss of the example")


def test_bias_is_for_the_choice_only(submission):
    bias = torch.tensor([0.0, 0.0, 1.0])
    experts, weights, loss = submission.route(LOGITS, torch.eye(3), 2, bias)
    check(experts, [[2, 0], [2, 1]], "experts with bias [0, 0, 1]")
    check(weights, [[2 / 7, 5 / 7], [1 / 7, 6 / 7]], "weights with bias [0, 0, 1]")
    check(loss, 0.8625, "loss with bias [0, 0, 1]")


def test_even_load_costs_one(submission):
    x = torch.eye(4).repeat(3, 1)  # every expert is the best one of three tokens
    _, _, loss = submission.route(x, 5 * torch.eye(4), 1)
    check(loss, 1.0, "12 tokens evenly over 4 experts, loss")


def test_collapse_costs_as_many_as_there_are_experts(submission):
    x = torch.tensor([[50.0, 0.0, 0.0, 0.0]]).repeat(6, 1)
    _, _, loss = submission.route(x, torch.eye(4), 1)
    check(loss, 4.0, "all tokens to one of 4 experts, loss")


def test_k_that_cannot_be_is_refused(submission):
    for k in (0, 4):
        try:
            submission.route(LOGITS, torch.eye(3), k)
        except ValueError:
            continue
        raise AssertionError(f"k = {k} of 3 experts: expected ValueError, got a result")
