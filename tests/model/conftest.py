"""Tiny models for parity tests: random weights, every switch of the family, made by transformers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from handbook.model.config import ModelConfig
from handbook.model.load import build
from handbook.model.transformer import Transformer
from handbook.model.weights import names
from handbook.model.weights.safetensors import SafetensorsWeights

TINY = {
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}


@dataclass(frozen=True)
class Pair:
    """The same random weights twice: theirs in transformers, ours through its saved safetensors."""

    theirs: Any
    ours: Transformer
    folder: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """tiny(kind, **switches) -> Pair."""
    from transformers import AutoConfig, AutoModelForCausalLM

    def make(kind: str = "llama", **switches: Any) -> Pair:
        config = AutoConfig.for_model(kind, **TINY | switches)
        torch.manual_seed(11)
        theirs = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for name, value in theirs.named_parameters():
                # transformers' own start (norms 1, biases 0) would hide a norm or a bias that is left out
                value.normal_(mean=1.0 if "norm" in name else 0.0, std=0.15)
        folder = tmp_path_factory.mktemp(kind)
        theirs.save_pretrained(folder)
        ours_config = ModelConfig.from_hf(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        weights = SafetensorsWeights(folder)
        ours = build(ours_config, names.HF, weights.shapes, weights.tensor)
        return Pair(theirs, ours, folder)

    return make
