"""Chunked log-probabilities equal those by way of all logits, and so do their gradients."""

import pytest
import torch

from handbook.train.logprobs import per_document, token_logprobs, token_logprobs_plain
from handbook.train.packing import IGNORE

N, C, V = 13, 16, 50


def case(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    hidden = torch.randn(N, C, dtype=dtype, requires_grad=True)
    weight = torch.randn(V, C, requires_grad=True)
    bias = torch.randn(V, requires_grad=True)
    targets = torch.randint(V, (N,))
    targets[[0, 4, 12]] = IGNORE
    return hidden, weight, bias, targets


@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("with_bias", [False, True])
def test_equal_to_all_logits(chunk: int, softcap: float | None, with_bias: bool) -> None:
    upstream = torch.linspace(-1, 2, N)
    found = []
    for chunked in (False, True):
        hidden, weight, bias, targets = case()
        b = bias if with_bias else None
        if chunked:
            out = token_logprobs(hidden, weight, targets, b, softcap, chunk)
        else:
            out = token_logprobs_plain(hidden, weight, targets, b, softcap)
        (out * upstream).sum().backward()
        found.append((out, hidden.grad, weight.grad, *([bias.grad] if with_bias else [])))
    assert (found[1][0][[0, 4, 12]] == 0).all()
    for plain, ours in zip(*found, strict=True):
        assert torch.allclose(plain, ours, rtol=1e-5, atol=1e-5)


def test_by_hand() -> None:
    """Logits (0, ln 3): probabilities a quarter and three quarters."""
    weight = torch.tensor([[0.0], [1.0]])
    hidden = torch.tensor([[3.0]]).log().requires_grad_()
    found = token_logprobs(hidden, weight, torch.tensor([1]))
    found.sum().backward()
    assert found.item() == pytest.approx(-0.2876820, abs=1e-6)
    assert hidden.grad.item() == pytest.approx(0.25), "1 - p, times the weight's difference"


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, _, targets = case()
    token_logprobs(hidden, weight.detach(), targets).sum().backward()
    assert hidden.grad is not None
    hidden, weight, _, targets = case()
    token_logprobs(hidden.detach(), weight, targets).sum().backward()
    assert weight.grad is not None


def test_bf16_is_near() -> None:
    hidden, weight, _, targets = case()
    near = token_logprobs(hidden.to(torch.bfloat16), weight, targets)
    assert near.dtype == torch.float32
    assert torch.allclose(near, token_logprobs(hidden, weight, targets), atol=0.1)


def test_nothing_counts() -> None:
    hidden, weight, _, targets = case()
    found = token_logprobs(hidden, weight, torch.full_like(targets, IGNORE))
    assert (found == 0).all()
    found.sum().backward()
    assert (hidden.grad == 0).all()


def test_targets_outside_the_vocabulary_are_refused() -> None:
    hidden, weight, _, targets = case()
    with pytest.raises(ValueError, match=r"targets are 0 to 49 or -100, got .* to 50"):
        token_logprobs(hidden, weight, targets.index_fill(0, torch.tensor([2]), V))
    with pytest.raises(ValueError, match=r"expected hidden \[N, C\]"):
        token_logprobs(hidden, weight, targets[1:])


def test_sums_of_documents() -> None:
    assert per_document(torch.tensor([1.0, 2, 3, 4]), (0, 1, 4)).tolist() == [1, 9]
