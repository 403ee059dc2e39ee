"""A packed row computes what each of its documents computes alone, for every family of decoder."""

from dataclasses import replace

import pytest
import torch

from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.examples import Example
from handbook.train.forward import hidden, hidden_alone
from handbook.train.packing import Packed, pack

CONFIG = ModelConfig(
    vocab_size=64,
    dim=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=8,
    hidden_dim=48,
    context=32,
    tie_embeddings=True,
)


def model_of(config: ModelConfig = CONFIG, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(config)


def row_of(*lengths: int, vocab: int = 64) -> Packed:
    random = torch.Generator().manual_seed(sum(lengths))
    return pack(
        [
            Example(
                tuple(torch.randint(vocab, (n,), generator=random).tolist()), (False,) + (True,) * (n - 1)
            )
            for n in lengths
        ]
    )


@pytest.mark.parametrize("lengths", [(5, 9, 1, 7), (6, 6, 6), (12,)])
@pytest.mark.parametrize(
    "config",
    [CONFIG, replace(CONFIG, windows=(3, 0)), replace(CONFIG, attention_softcap=5.0, layout="sandwich")],
    ids=["plain", "windows", "softcap"],
)
def test_a_packed_row_is_its_documents(config: ModelConfig, lengths: tuple[int, ...]) -> None:
    model, packed = model_of(config), row_of(*lengths)
    states = hidden(model, packed)
    assert torch.allclose(states, hidden_alone(model, packed), atol=1e-5)
    start, end = packed.bounds[-2:]
    logits = model(packed.tokens[None, start:end])[0]
    assert torch.allclose(states[start:] @ model.embed.weight.T, logits, atol=1e-5)


def test_documents_do_not_see_each_other() -> None:
    model, packed = model_of(), row_of(5, 6)
    other = replace(packed, tokens=torch.cat((packed.tokens[:5].flip(0), packed.tokens[5:])))
    before, after = hidden(model, packed), hidden(model, other)
    assert torch.equal(before[5:], after[5:])
    assert not torch.allclose(before[:5], after[:5])


@pytest.mark.parametrize("lengths", [(5, 9), (6, 6)])
def test_checkpointing_changes_no_gradient(lengths: tuple[int, ...]) -> None:
    model, packed = model_of(), row_of(*lengths)
    found = []
    for checkpointing in (False, True):
        model.zero_grad()
        hidden(model, packed, checkpointing).square().sum().backward()
        found.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(*found, strict=True))


def test_too_long_a_document_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 32 tokens, got 3 to 33"):
        hidden(model_of(), row_of(3, 33))
