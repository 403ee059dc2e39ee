"""Visible tests: the example, the first loss, who is pushed where, sums over the answer, bad numbers."""

import math

import torch

from handbook.practice.checks import inside

LOGITS = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [5.0, 5.0]]])
TOKENS = torch.tensor([[1, 0, 0, 1]])
MASK = torch.tensor([[False, False, True, True]])


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


def pair(*numbers):
    return [torch.tensor([float(number)]) for number in numbers]


def test_worked_loss(submission):
    check(submission.dpo_loss(*pair(-4, -3, -5, -2), 0.5), [0.3133], "loss of the example")
    check(submission.dpo_loss(*pair(-4, -3, -5, -2), 0.5, 0.1), [0.4133], "the example, s = 0.1")


def test_worked_logprobs(submission):
    check(submission.answer_logprobs(LOGITS, TOKENS, MASK), [-0.4402], "log-probability of the example")


def test_first_loss_is_log_two(submission):
    same = torch.tensor([-7.0, -80.0, -0.5])
    other = torch.tensor([-9.0, -3.0, -0.25])
    got = submission.dpo_loss(same, other, same, other, 0.1)
    check(got, [math.log(2)] * 3, "policy = reference, three pairs", 1e-6)


def slopes(submission, name, args, wants, pick=None):
    """A driver: what `name` gives, and the gradients of its sum by the arguments at the places `wants`.

    None where there is no gradient. pick: the place of the result that is summed, if there are several.
    """
    import torch

    leaves = [x.detach().clone().requires_grad_() if i in wants else x for i, x in enumerate(args)]
    got = getattr(submission, name)(*leaves)
    chosen = got if pick is None else got[pick]
    if not getattr(chosen, "requires_grad", False):
        return got, [None for _ in wants]
    by = [leaves[i] for i in wants]
    return got, list(torch.autograd.grad(chosen.sum(), by, allow_unused=True))


def test_chosen_is_pushed_up_and_rejected_down(submission):
    _, got = inside(submission, slopes, "dpo_loss", (*pair(-4, -3, -5, -2), 0.5), [0, 1])
    assert None not in got, f"slopes at both answers: expected numbers, got {got}"
    chosen, rejected = (float(tensor) for tensor in got)
    slope = -0.5 / (1 + math.e)  # -beta sigmoid(-beta m)
    assert abs(chosen - slope) < 1e-4, f"slope at the chosen answer: expected {slope:.4f}, got {chosen:.4f}"
    assert abs(rejected + slope) < 1e-4, (
        f"slope at the rejected one: expected {-slope:.4f}, got {rejected:.4f}"
    )


def test_prompt_does_not_count(submission):
    logits = torch.randn(1, 6, 9, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[3, 1, 4, 1, 5, 2]])
    logprobs = logits.log_softmax(-1)
    mask = torch.tensor([[False, False, False, True, True, True]])
    expected = sum(float(logprobs[0, t - 1, tokens[0, t]]) for t in (3, 4, 5))
    check(submission.answer_logprobs(logits, tokens, mask), [expected], "a prompt of 3 and an answer of 3")


def test_bad_numbers_are_refused(submission):
    for beta, smoothing in ((0.0, 0.0), (-0.1, 0.0), (0.1, 0.5), (0.1, -0.1)):
        try:
            got = submission.dpo_loss(*pair(-4, -3, -5, -2), beta, smoothing)
        except ValueError:
            continue
        raise AssertionError(
            f"beta = {beta}, label_smoothing = {smoothing}: expected ValueError, got {got.tolist()}"
        )
