"""Fused blocks compute what the plain ones do, forward and back; in fp32 to rounding, in bf16 near it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from handbook.errors import HandbookError
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.examples import Example
from handbook.train.forward import FAST, hidden
from handbook.train.fused import Fused, faults
from handbook.train.kernels import native
from handbook.train.kernels.twin import Twin
from handbook.train.logprobs import row_logprobs
from handbook.train.lora import LoRAConfig, add_lora, lora_layers, merge, without_adapters
from handbook.train.packing import Packed, pack
from handbook.train.precision import prepare

CONFIG = ModelConfig(
    vocab_size=80,
    dim=64,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=32,
    hidden_dim=96,
    context=64,
    tie_embeddings=True,
)


def model_of(targets: str | tuple[str, ...] = "all-linear", **switches: object) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(CONFIG).requires_grad_(False)
    add_lora(model, LoRAConfig(r=4, targets=targets, **switches), seed=1)
    random = torch.Generator().manual_seed(2)
    for layer in lora_layers(model).values():
        layer.b.data.add_(torch.randn(layer.b.shape, generator=random) * 0.05)
    return model


def row_of(*lengths: int, alike: int = 0) -> Packed:
    random = torch.Generator().manual_seed(sum(lengths))
    start = tuple(torch.randint(80, (alike,), generator=random).tolist())
    rows = [start + tuple(torch.randint(80, (n,), generator=random).tolist()) for n in lengths]
    return pack([Example(row, (False,) + (True,) * (len(row) - 1)) for row in rows])


def found(model: Transformer, packed: Packed, checkpointing: bool | None = None) -> list[Tensor]:
    """States, and the gradient of something of them for each factor."""
    model.zero_grad()
    states = hidden(model, packed, checkpointing).float()
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return [states.detach(), *(p.grad.clone() for p in model.parameters() if p.requires_grad)]


@pytest.mark.parametrize("alike", [0, 11])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "switches",
    [{}, {"targets": ("query", "value", "down")}, {"init": "pissa"}],
    ids=["all", "some", "pissa"],
)
def test_fused_is_plain(switches: dict[str, object], checkpointing: bool, alike: int) -> None:
    model, packed = model_of(**switches), row_of(5, 17, 17, 1, alike=alike)
    plain = found(model, packed)
    FAST[model] = Fused(model, torch.float32, Twin())
    fused = found(model, packed, checkpointing)
    assert len(plain) == 1 + 2 * len(lora_layers(model))
    for theirs, ours in zip(plain, fused, strict=True):
        assert (theirs - ours).abs().max() <= 1e-5 * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize("alike", [0, 11])
def test_bf16_is_near(alike: int) -> None:
    model, packed = model_of(), row_of(5, 17, 17, 1, alike=alike)
    plain = found(model, packed)
    said = prepare(model, "bf16")
    assert said.startswith("bf16, fused")
    assert ("compiled" in said) == isinstance(native.load(), native.Native)
    for theirs, ours in zip(plain, found(model, packed), strict=True):
        assert (theirs - ours).norm() <= 0.03 * theirs.norm()


def test_without_adapters_it_is_the_base() -> None:
    model, packed = model_of(), row_of(9, 8)
    with torch.no_grad(), without_adapters(model):
        base = hidden(model, packed)
    FAST[model] = Fused(model, torch.float32, Twin())
    with torch.no_grad(), without_adapters(model):
        assert torch.allclose(hidden(model, packed), base, atol=1e-5)
    assert not torch.allclose(hidden(model, packed), base, atol=1e-2)
    with without_adapters(model):
        assert not hidden(model, packed).requires_grad, "nothing trains there"


def test_weights_that_were_replaced_lead_back_to_the_plain_path() -> None:
    model, packed = model_of(), row_of(9, 8)
    fused = FAST[model] = Fused(model, torch.float32, Twin())
    before = hidden(model, packed).detach()
    model.double()
    assert not fused.fits(model)
    assert hidden(model, packed).dtype == torch.float64
    assert torch.allclose(hidden(model, packed).float(), before, atol=1e-5)


def test_rows_of_other_lengths_and_two_graphs_at_once() -> None:
    """Rooms are used again, and never while a graph still needs what is in them."""
    model, rows = model_of(), [row_of(9, 8), row_of(20, 30), row_of(9, 8), row_of(3)]
    plain = [found(model, row) for row in rows]
    FAST[model] = Fused(model, torch.float32, Twin())
    for _ in range(2):
        for row, wanted in zip(rows, plain, strict=True):
            for theirs, ours in zip(wanted, found(model, row), strict=True):
                assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-4)
    model.zero_grad()
    states = [hidden(model, row) for row in rows]
    for each in states:
        (each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    for place, ours in enumerate(gradients, 1):
        assert torch.allclose(ours, sum(each[place] for each in plain), rtol=1e-4, atol=1e-4)


def test_a_step_is_seen() -> None:
    model, packed = model_of(), row_of(9, 8)
    FAST[model] = Fused(model, torch.float32, Twin())
    before = hidden(model, packed).detach()
    for p in model.parameters():
        if p.requires_grad:
            p.data.mul_(1.5)
    plain = model_of()
    for p in plain.parameters():
        if p.requires_grad:
            p.data.mul_(1.5)
    after = hidden(model, packed)
    assert torch.allclose(after, hidden(plain, packed), atol=1e-5)
    assert not torch.allclose(after, before, atol=1e-3)


def test_a_merged_model_takes_the_plain_path() -> None:
    model, packed = model_of(), row_of(9, 8)
    fused = FAST[model] = Fused(model, torch.float32, Twin())
    changed = hidden(model, packed).detach()
    merge(model)
    assert not fused.fits(model)
    assert torch.allclose(hidden(model, packed), changed, atol=1e-5)


def test_log_probabilities_go_through_it() -> None:
    model, packed = model_of(), row_of(9, 8, alike=10)
    plain = row_logprobs(model, packed)
    FAST[model] = Fused(model, torch.float32, Twin())
    assert torch.allclose(row_logprobs(model, packed), plain, atol=1e-5)


def test_what_cannot_be_fused_is_named() -> None:
    assert faults(model_of()) == []
    assert faults(model_of(dora=True)) == ["DoRA"]
    assert faults(model_of(dropout=0.1)) == ["dropout"]
    windows = Transformer(replace(CONFIG, windows=(4, 0), head_norm=True))
    assert faults(windows) == [
        "norms other than RMSNorm",
        "windows",
        "weights that train beside LoRA's factors",
    ]
    with pytest.raises(ValueError, match="can't be fused: DoRA"):
        Fused(model_of(dora=True), torch.float32)
    model = model_of(dora=True)
    assert prepare(model, "bf16") == "bf16, plain (DoRA)"
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    with pytest.raises(HandbookError, match="fp16"):
        prepare(model, "fp16")
