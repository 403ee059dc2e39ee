"""LoRA by itself: what is chosen, what trains, what is left alone. Parity with peft: test_lora_parity."""

import copy

import pytest
import torch
from torch import nn

from handbook.errors import AdapterError
from handbook.model.adapters import Adapter, Factors
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.lora import (
    LoRAConfig,
    LoRALinear,
    adapter_of,
    add_lora,
    apply_adapter,
    lora_layers,
    merge,
    remove_lora,
    unmerge,
    without_adapters,
)

TOKENS = torch.randint(0, 32, (2, 7), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    numbers = {"vocab_size": 32, "dim": 16, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 4}
    more = {"hidden_dim": 24, "context": 32, "norm_eps": 1e-5, "rope_theta": 1e4, "tie_embeddings": False}
    return Transformer(ModelConfig(**numbers, **more)).eval()


def shaken(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(7)
    for layer in lora_layers(model).values():
        layer.b.data += 0.1 * torch.randn(layer.b.shape, generator=generator)
    return model


def test_by_hand() -> None:
    """W = [[1, 2], [3, 4]], A = [[1, 1]], B = [[1], [2]], s = 2: x = (1, 0) gives (1, 3) + 2 (1, 2)."""
    base = nn.Linear(2, 2, bias=False)
    base.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = LoRALinear(base, Factors(torch.ones(1, 2), torch.tensor([[1.0], [2.0]]), 2.0))
    assert layer(torch.tensor([1.0, 0.0])).tolist() == [3.0, 7.0]
    assert layer.weight.tolist() == [[3.0, 4.0], [7.0, 8.0]]
    layer.merge()
    assert layer(torch.tensor([1.0, 0.0])).tolist() == [3.0, 7.0]


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ("all-linear", {"query", "key", "value", "out", "gate", "up", "down"}),
        ("q_proj", {"query"}),
        (("query", "mlp"), {"query", "gate", "up", "down"}),
        (("blocks.*.attention.[kv]*",), {"key", "value"}),
        (("head",), {"head"}),
    ],
)
def test_targets(targets: str, names: set[str], model: Transformer) -> None:
    paths = add_lora(model, LoRAConfig(r=2, targets=targets))
    assert {path.rpartition(".")[2] for path in paths} == names
    assert list(lora_layers(model)) == paths
    assert {name.rpartition(".")[2] for name, p in model.named_parameters() if p.requires_grad} == {"a", "b"}
    shaken(model)(TOKENS).sum().backward()
    assert all(layer.a.grad.any() and layer.b.grad.any() for layer in lora_layers(model).values())


def test_faults_are_told_together(model: Transformer) -> None:
    with pytest.raises(AdapterError) as caught:
        LoRAConfig(r=0, alpha=-1, dropout=1.0, targets=(), init="svd", dtype="fp8")  # type: ignore[arg-type]
    assert len(caught.value.faults) == 6
    with pytest.raises(AdapterError, match=r"'qproj' \(nearest: q_proj\), 'zzz'"):
        add_lora(model, LoRAConfig(targets=("qproj", "zzz", "up")))
    with pytest.raises(AdapterError, match="PiSSA of rank 9 needs"):
        add_lora(model, LoRAConfig(r=9, init="pissa"))
    assert not lora_layers(model)
    add_lora(model, LoRAConfig(r=2))
    with pytest.raises(AdapterError, match="already"):
        add_lora(model, LoRAConfig(r=2))
    wrong = Adapter("x", {"blocks.7.mlp.up": Factors(torch.ones(1, 3), torch.ones(2, 1), 1.0)}, "theirs")
    with pytest.raises(AdapterError, match=r"blocks.7.mlp.up is 2 x 3 there, none here.*theirs"):
        apply_adapter(model, wrong)
    remove_lora(model)
    with pytest.raises(AdapterError, match="no adapter"):
        adapter_of(model)


def test_a_seed_gives_the_same_factors(model: Transformer) -> None:
    other, third = copy.deepcopy(model), copy.deepcopy(model)
    for one, seed in ((model, 3), (other, 3), (third, 4)):
        add_lora(one, LoRAConfig(r=2), seed)
    path = "blocks.1.mlp.up"
    a, b, c = (lora_layers(one)[path].a for one in (model, other, third))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("init", ["kaiming", "gaussian", "pissa"])
@pytest.mark.parametrize("dora", [False, True])
def test_a_fresh_one_changes_nothing(model: Transformer, init: str, dora: bool) -> None:
    plain = model(TOKENS)
    add_lora(model, LoRAConfig(r=2, init=init, dora=dora))  # type: ignore[arg-type]
    torch.testing.assert_close(model(TOKENS), plain, rtol=1e-5, atol=1e-5)


def test_dropout_is_of_what_the_factors_read(model: Transformer) -> None:
    add_lora(model, LoRAConfig(r=2, dropout=0.5))
    calm = shaken(model)(TOKENS)
    model.train()
    assert not torch.equal(model(TOKENS), calm)
    with without_adapters(model):
        assert torch.equal(model(TOKENS), model(TOKENS))
    layer = lora_layers(model)["blocks.0.mlp.up"]
    x = torch.ones(4000, 16)
    change = (layer(x) - layer.base(x)).mean(0)
    layer.eval()
    torch.testing.assert_close(change, (layer(x) - layer.base(x)).mean(0), rtol=0.2, atol=0.02)


def test_merged_without_adapters_is_the_base(model: Transformer) -> None:
    plain = model(TOKENS)
    add_lora(model, LoRAConfig(r=2, dora=True, init="gaussian"))
    changed = shaken(model)(TOKENS)
    merge(model)
    with without_adapters(model):
        assert torch.equal(model(TOKENS), plain)
    with pytest.raises(ValueError, match="reads 32 tokens"), without_adapters(model):
        model(TOKENS.repeat(1, 9))  # and it is switched on again
    torch.testing.assert_close(model(TOKENS), changed, rtol=1e-5, atol=1e-5)
    remove_lora(model)
    assert isinstance(model.blocks[0].mlp.up, nn.Linear)
    torch.testing.assert_close(model(TOKENS), changed, rtol=1e-5, atol=1e-5)


def test_merging_in_bf16_comes_back_bit_for_bit(model: Transformer) -> None:
    """There W + s B A - s B A is not W, so nothing is subtracted."""
    model.to(torch.bfloat16)
    base = {name: p.clone() for name, p in model.named_parameters()}
    add_lora(model, LoRAConfig(r=2))
    shaken(model)
    merge(model)
    up = lora_layers(model)["blocks.0.mlp.up"]
    f = up.factors
    changed = up.weight.float() - f.scale * (f.b @ f.a)
    assert not torch.equal(changed.to(torch.bfloat16), base["blocks.0.mlp.up.weight"])
    unmerge(model)
    remove_lora(model)
    assert all(torch.equal(p, base[name]) for name, p in model.named_parameters())


def test_a_merged_model_takes_its_base_along_to_another_type(model: Transformer) -> None:
    add_lora(model, LoRAConfig(r=2))
    merge(shaken(model))
    model.to(torch.bfloat16)
    unmerge(model)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_factors_in_fp32_serve_a_base_in_bf16(model: Transformer) -> None:
    model.to(torch.bfloat16)
    add_lora(model, LoRAConfig(r=2))
    logits = shaken(model)(TOKENS)
    logits.float().sum().backward()
    layer = lora_layers(model)["blocks.0.mlp.up"]
    assert (logits.dtype, layer.a.dtype, layer.a.grad.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert torch.equal(adapter_of(model).factors["blocks.0.mlp.up"].b, layer.b)


def test_the_head_and_whoever_reads_a_weight_see_the_change(model: Transformer) -> None:
    add_lora(model, LoRAConfig(r=2, targets=("head",)))
    x = torch.randn(1, 3, 16)
    plain = model.logits_of(x)
    shaken(model)
    assert (model.logits_of(x) - plain).abs().max() > 0.01
    torch.testing.assert_close(model.logits_of(x), model.head(model.norm(x)))
