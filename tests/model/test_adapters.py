"""Adapters from disk: what cannot be used is refused with all reasons, before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from handbook.errors import AdapterError
from handbook.model.adapter_names import linears, places
from handbook.model.adapter_settings import LoRASettings
from handbook.model.adapters import read_adapter
from handbook.model.config import Latent, ModelConfig
from handbook.model.families import FAMILIES
from handbook.model.transformer import Transformer

CONFIG = ModelConfig(
    vocab_size=32,
    dim=16,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=4,
    hidden_dim=24,
    context=32,
    norm_eps=1e-5,
    rope_theta=1e4,
    tie_embeddings=True,
)
STEM = "base_model.model.model.layers.1.self_attn.v_proj"
SETTINGS = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": "owner/other"}
TENSORS = {f"{STEM}.lora_A.weight": torch.ones(2, 16), f"{STEM}.lora_B.weight": torch.ones(8, 2)}


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(CONFIG)


def write(folder: Path, settings: Any = None, tensors: Any = None) -> Path:
    text = settings if isinstance(settings, str) else json.dumps(SETTINGS | (settings or {}))
    (folder / "adapter_config.json").write_text(text)
    save_file(TENSORS if tensors is None else tensors, folder / "adapter_model.safetensors")
    return folder


def faults(folder: Path, model: Transformer, **around: Any) -> tuple[str, ...]:
    with pytest.raises(AdapterError) as caught:
        read_adapter(folder, model, **around)
    assert str(folder) in caught.value.what
    assert caught.value.remedy
    return caught.value.faults


def test_an_adapter_is_read_with_our_names(model: Transformer, tmp_path: Path) -> None:
    adapter = read_adapter(write(tmp_path), model, "mine")
    assert (adapter.name, adapter.base, adapter.parameters) == ("mine", "owner/other", 48)
    (path,) = adapter.factors
    assert path == "blocks.1.attention.value"
    assert adapter.factors[path].scale == 3.0
    changed = adapter.factors[path].weight(torch.zeros(8, 16, dtype=torch.bfloat16))
    assert torch.equal(changed, torch.full((8, 16), 6.0, dtype=torch.bfloat16))
    assert {f.a.dtype for f in adapter.to(torch.bfloat16).factors.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"peft_type": "IA3"}, ["peft_type"]),
        ({"r": 0, "lora_alpha": "8", "use_dora": "yes"}, ["r as a number from 1", "lora_alpha", "use_dora"]),
        ({"r": 1 << 20}, ["rank should be from 1"]),
        ({"bias": "all", "modules_to_save": ["lm_head"]}, ["modules_to_save", "bias should be 'none'"]),
        ({"lora_bias": True, "fan_in_fan_out": True}, ["fan_in_fan_out", "lora_bias"]),
        ({"alora_invocation_tokens": [1], "layer_replication": [[0, 1]]}, ["layer_replication", "alora"]),
        ({"init_lora_weights": "pissa_niter_4"}, ["changed the base"]),
        ({"rank_pattern": {"(a+)+": 2}}, ["rank_pattern should be by names"]),
        ({"alpha_pattern": {"v_proj": "x"}}, ["v_proj as a number"]),
        ({"alpha_pattern": {f"l{n}": 1 for n in range(5000)}}, ["at most 4096 entries"]),
        ({"base_model_name_or_path": 3}, ["base_model_name_or_path"]),
        ("[1, 2]", ["should hold a JSON object"]),
        ("{", ["cannot be read"]),
        ("[" * 100_000, ["cannot be read"]),
        ('{"a": "' + "x" * (1 << 20) + '"}', ["larger than"]),
    ],
)
def test_settings_that_cannot_be(settings: Any, words: list[str], model: Transformer, tmp_path: Path) -> None:
    found = faults(write(tmp_path, settings), model)
    assert len(found) >= len(words)
    for word in words:
        assert any(word in fault for fault in found), found


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, ["holds no tensor"]),
        ({f"{STEM}.lora_A.weight": torch.ones(2, 16)}, ["no lora_B"]),
        (
            {k: v.T.contiguous() for k, v in TENSORS.items()},
            ["lora_A should be [2, 16]", "lora_B should be [8, 2]"],
        ),
        (TENSORS | {k.replace("layers.1", "layers.9"): v.clone() for k, v in TENSORS.items()}, ["layers.9"]),
        (TENSORS | {"base_model.model.lm_head.lora_A.weight": torch.ones(2, 16)}, ["lm_head is no layer"]),
        (TENSORS | {"x" * 5000: torch.ones(1)}, ["xxx..."]),
        (TENSORS | {f"{STEM}.lora_magnitude_vector": torch.ones(8)}, ["use_dora is false"]),
        (TENSORS | {f"{STEM}.lora_A.weight": torch.full((2, 16), torch.nan)}, ["no finite numbers"]),
        (TENSORS | {f"{STEM}.lora_A.weight": torch.ones(2, 16, dtype=torch.int32)}, ["no finite numbers"]),
    ],
)
def test_tensors_that_do_not_fit(tensors: Any, words: list[str], model: Transformer, tmp_path: Path) -> None:
    folder = write(tmp_path, {}, tensors)
    found = faults(folder, model)
    for word in words:
        assert any(word in fault for fault in found), found
    with pytest.raises(AdapterError, match="made for 'owner/other'"):
        read_adapter(folder, model)


def test_many_faults_are_counted_and_all_kept(model: Transformer, tmp_path: Path) -> None:
    tensors = {
        f"{STEM.replace('layers.1', f'layers.{n}')}.lora_A.weight": torch.ones(2, 16) for n in range(2, 22)
    }
    folder = write(tmp_path, {}, tensors)
    assert len(faults(folder, model)) == 20
    with pytest.raises(AdapterError, match=r"\(and 12 more\)"):
        read_adapter(folder, model)


def test_a_folder_that_is_not_whole(model: Transformer, tmp_path: Path) -> None:
    assert faults(tmp_path / "nowhere", model) == ("there is no such folder",)
    assert len(faults(tmp_path, model)) == 2
    write(tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    (tmp_path / "adapter_model.bin").write_bytes(weights.read_bytes())
    weights.unlink()
    (fault,) = faults(tmp_path, model)
    assert "pickle" in fault
    weights.write_bytes((tmp_path / "adapter_model.bin").read_bytes()[:-9])
    (fault,) = faults(tmp_path, model)
    assert "not a whole safetensors file" in fault


def test_a_family_has_to_be_known(model: Transformer, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="'gpt9' are not known"):
        read_adapter(write(tmp_path), model, family="gpt9")
    assert "no layer of this model" in faults(tmp_path, model, family="phi3")[0]  # it has qkv_proj


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_has_a_name_in_its_family(family: str) -> None:
    """Of the layers that such a model has, each once, with all its rows."""
    latent = Latent(rank=8, rope_dim=2, value_dim=4, query_rank=6) if family.startswith("deepseek") else None
    kinds = {"layout": "parallel", "norm": "layer", "network": "gelu"} if family == "phi" else {}
    fields = {name: getattr(CONFIG, name) for name in CONFIG.__slots__} | {"latent": latent} | kinds
    fields |= {"kv_heads": 4} if latent else {}
    model = Transformer(ModelConfig(**fields))
    found = places(model, model.config, family)
    parts = [part for place in found.values() for part in place.parts]
    assert sorted(parts) == sorted((path, rows) for path, (rows, _) in linears(model).items())


def test_a_scale_is_alpha_over_the_rank_of_the_layer() -> None:
    settings = LoRASettings(4, 8.0, ranks={"q_proj": 2}, alphas={"layers.1.mlp.up_proj": 3.0})
    assert settings.scale("model.layers.0.self_attn.q_proj") == 4.0
    assert settings.scale("model.layers.1.mlp.up_proj") == 0.75
    assert settings.scale("model.layers.11.mlp.up_proj") == 2.0
    assert LoRASettings(4, 8.0, rslora=True).scale("x") == 4.0
