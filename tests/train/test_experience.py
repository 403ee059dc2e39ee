"""Answers that share their prompt in one row: the numbers of a document for each, and the gradients."""

import pytest
import torch
from torch import Tensor

from handbook.model.config import ModelConfig, RopeScaling
from handbook.model.transformer import Transformer
from handbook.train.experience import (
    Group,
    answer_logprobs,
    answer_logprobs_alone,
    lay_out,
    shareable,
    texts_of,
)

GROUPS: list[Group] = [
    ([1, 2, 3], [[4, 5], [6], [7, 8, 9, 10, 11]]),
    ([1], [[9, 9, 9]]),
    ([5, 6, 7, 8, 3, 2], [[4, 4], [2, 2, 2]]),
]


def random_model(**more: object) -> Transformer:
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "dim": 32, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 8}
    model = Transformer(ModelConfig(**sizes, hidden_dim=48, context=32, **more))  # type: ignore[arg-type]
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def gradients(logprobs: Tensor, model: Transformer) -> list[Tensor]:
    weights = torch.arange(logprobs.numel()).view_as(logprobs).float()  # each counts differently
    return list(torch.autograd.grad((logprobs * weights).sum(), list(model.parameters())))


@pytest.mark.parametrize(
    "more",
    [{}, {"tie_embeddings": True}, {"windows": (2, 0)}, {"logit_softcap": 5.0, "attention_softcap": 3.0}],
    ids=["plain", "tied", "windows", "capped"],
)
def test_numbers_and_gradients_are_those_of_documents(more: dict[str, object]) -> None:
    model, shared = random_model(**more), lay_out(GROUPS)
    ours, plain = answer_logprobs(model, shared), answer_logprobs_alone(model, shared)
    assert torch.allclose(ours, plain, atol=2e-6)
    assert not ours[~shared.mask].any()
    for a, b in zip(gradients(ours, model), gradients(plain, model), strict=True):
        assert torch.allclose(a, b, atol=1e-5 * max(1.0, b.abs().max().item()))


def test_log_probabilities_are_the_models_own() -> None:
    """Against the decoder as it is, one text after another."""
    model, shared = random_model(), lay_out(GROUPS)
    rows = answer_logprobs(model, shared)
    for (prompt, answer), row in zip(texts_of(shared), rows, strict=True):
        logits = model(torch.tensor([prompt + answer]))[0, len(prompt) - 1 : -1].log_softmax(dim=-1)
        wanted = logits.gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert torch.allclose(row[: len(answer)], wanted, atol=2e-6)


def test_a_prompt_is_read_once() -> None:
    shared = lay_out(GROUPS)
    assert len(shared.tokens) == sum(len(p) + sum(len(a) - 1 for a in answers) for p, answers in GROUPS)
    assert texts_of(shared) == [(list(p), list(a)) for p, answers in GROUPS for a in answers]


def test_positions_that_hang_on_a_texts_length_are_not_shared() -> None:
    """A dynamic extension turns positions by how long the text is, so it takes the plain way."""
    model = random_model(rope_scaling=RopeScaling(kind="dynamic", factor=4.0, original_context=8))
    assert not shareable(model)
    shared = lay_out(GROUPS)
    assert torch.equal(answer_logprobs(model, shared), answer_logprobs_alone(model, shared))


@pytest.mark.parametrize("groups", [[], [([], [[1]])], [([1], [])], [([1], [[2], []])]])
def test_empty_groups_are_refused(groups: list[Group]) -> None:
    with pytest.raises(ValueError, match="needs a prompt"):
        lay_out(groups)


def test_texts_longer_than_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        answer_logprobs(random_model(), lay_out([(list(range(30)), [[1, 2, 3, 4]])]))
