"""QLoRA: four bits below a LoRA. What trains, what is held, and that fused and plain ways agree."""

import pytest
import torch
from torch import nn

from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.quantize.layers import NF4Linear
from handbook.train.adam8 import AdamW8
from handbook.train.examples import Example
from handbook.train.forward import FAST, hidden
from handbook.train.fused import Fused, faults
from handbook.train.kernels.twin import Twin
from handbook.train.lora import (
    LoRAConfig,
    add_lora,
    lora_layers,
    merge,
    remove_lora,
    unmerge,
    without_adapters,
)
from handbook.train.packing import pack
from handbook.train.qlora import add_qlora, held
from handbook.train.sft import Sft

CONFIG = ModelConfig(
    vocab_size=80,
    dim=64,
    layers=3,
    heads=2,
    kv_heads=1,
    head_dim=32,
    hidden_dim=128,
    context=64,
    tie_embeddings=True,
)
ROW = pack([Example(tuple(range(3, 3 + n)), (True,) * n) for n in (9, 17, 5)])


def model_of() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).eval()


def shaken(model: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(2)
    for layer in lora_layers(model).values():
        layer.b.data.add_(torch.randn(layer.b.shape, generator=random) * 0.05)
    return model


def test_only_factors_train_and_the_loss_falls() -> None:
    model = model_of()
    paths = add_qlora(model, LoRAConfig(r=4))
    assert len(paths) == 7 * CONFIG.layers
    assert all(isinstance(layer.base, NF4Linear) for layer in lora_layers(model).values())
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[2] for name in trained} == {"a", "b"}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = AdamW8(trained.values(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = Sft()(model, ROW)["total"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(trained)


@pytest.mark.parametrize("targets", ["all-linear", ("query", "value", "down")])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_fused_is_plain(targets: str, checkpointing: bool) -> None:
    """Three blocks share one place for their weights, in turns, there and back. fp32: rounding."""
    model = model_of()
    add_qlora(model, LoRAConfig(r=4, targets=targets), rest=torch.float32)
    shaken(model)
    found = []
    for fused in (False, True):
        if fused:
            assert faults(model) == []
            FAST[model] = Fused(model, torch.float32, Twin())
        for _ in range(2):
            model.zero_grad()
            states = hidden(model, ROW, checkpointing)
            (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
        found.append([states.detach(), *(p.grad for p in model.parameters() if p.requires_grad)])
    for theirs, ours in zip(*found, strict=True):
        assert (theirs - ours).abs().max() <= 1e-5 * max(1.0, theirs.abs().max().item())
    with torch.no_grad(), without_adapters(model):
        base = hidden(model, ROW)
        FAST.pop(model)
        assert torch.allclose(hidden(model, ROW), base, atol=1e-5)


def test_merging_leaves_four_bits_and_comes_back() -> None:
    model = model_of()
    add_qlora(model, LoRAConfig(r=4), rest=torch.float32)
    codes = {name: value.clone() for name, value in model.state_dict().items()}
    shaken(model)
    tokens = ROW.tokens[None, :9]
    logits = model(tokens)
    merge(model)
    torch.testing.assert_close(model(tokens), logits, rtol=1e-4, atol=1e-4)
    assert held(model).quantized == 0  # a merged weight is whole: rounding it again would lose the change
    unmerge(model)
    assert torch.equal(model(tokens), logits)
    assert all(torch.equal(v, codes[n]) for n, v in model.state_dict().items() if not n.endswith(".b"))
    merge(model)
    remove_lora(model)
    assert isinstance(model.blocks[0].mlp.up, nn.Linear)


def test_what_is_held() -> None:
    lora, qlora = model_of().to(torch.bfloat16), model_of()
    add_lora(lora, LoRAConfig(r=2))
    add_qlora(qlora, LoRAConfig(r=2))
    linear = sum(f.out_features * f.in_features for f in lora_layers(lora).values())
    whole, quarter = held(lora), held(qlora)
    assert whole.rest - quarter.rest == 2 * linear
    assert whole.embedding == quarter.embedding == 2 * 80 * 64
    assert quarter.quantized == pytest.approx(linear * (4 + 8 / 64) / 8, rel=0.02)  # and 8 bytes a layer more
    assert whole.factors == quarter.factors == quarter.gradients
    optimizer = torch.optim.AdamW([p for p in lora.parameters() if p.requires_grad])
    Sft()(lora, ROW)["total"].backward()
    optimizer.step()
    assert held(lora, optimizer).optimizer == pytest.approx(2 * whole.factors, rel=0.02)  # and its steps
