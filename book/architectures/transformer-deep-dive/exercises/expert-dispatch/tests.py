"""Visible tests: the worked example, who is called with what, dropped assignments."""

import torch

X = torch.tensor([[1.0], [2.0], [3.0]])
EXPERTS = torch.tensor([[0, 2], [2, 0], [2, -1]])
WEIGHTS = torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])


def powers(calls=None):
    """Expert e multiplies by 10^e and notes what it was given."""

    def run(expert, rows):
        if calls is not None:
            calls.append((int(expert), rows.detach().flatten().tolist()))
        return rows * 10.0**expert

    return run


def check(got, expected, what):
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got, expected, atol=1e-4), (
        f"{what}: expected {expected.flatten().tolist()}, got {got.flatten().tolist()}"
    )


def test_worked_example(submission):
    got = submission.dispatch(X, EXPERTS, WEIGHTS, powers())
    check(got, torch.tensor([[50.5], [150.5], [300.0]]), "the example")


def test_each_expert_runs_once_on_all_its_tokens(submission):
    calls = []
    submission.dispatch(X, EXPERTS, WEIGHTS, powers(calls))
    expected = [(0, [1.0, 2.0]), (2, [1.0, 2.0, 3.0])]
    assert calls == expected, f"calls of run: expected {expected}, got {calls}"


def test_token_without_any_expert_gets_zeros(submission):
    experts = torch.tensor([[1, 0], [-1, -1], [0, -1]])
    got = submission.dispatch(X, experts, torch.ones(3, 2), powers())
    check(got, torch.tensor([[11.0], [0.0], [3.0]]), "token 1 dropped by both experts")


def test_nothing_left_to_run(submission):
    calls = []
    got = submission.dispatch(X, torch.full((3, 2), -1), torch.ones(3, 2), powers(calls))
    check(got, torch.zeros(3, 1), "all assignments dropped")
    assert calls == [], f"all assignments dropped: expected no call of run, got {calls}"
