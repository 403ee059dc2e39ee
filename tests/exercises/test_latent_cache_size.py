"""The exercise's solution and its published figures beside `handbook.model.count.kv_bytes`."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.book.load import open_book
from handbook.model.config import Latent, ModelConfig
from handbook.model.count import kv_bytes


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cache_size_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXERCISE = open_book().exercises["latent-cache-size"]
SOLUTION, HIDDEN = (load(EXERCISE.file(name)) for name in ("solution.py", "hidden.py"))


def model(config: dict[str, Any]) -> ModelConfig:
    """A ModelConfig whose attention is that of the exercise's keys; the rest is small."""
    heads, layers, window = (
        config.get(key) for key in ("num_attention_heads", "num_hidden_layers", "sliding_window")
    )
    assert heads
    kinds = config.get("layer_types") or ["sliding_attention" if window else "full_attention"] * (layers or 0)
    rank, turning = config.get("kv_lora_rank"), config.get("qk_rope_head_dim") or 2
    size = config.get("head_dim") or config["hidden_size"] // heads
    return ModelConfig(
        vocab_size=16,
        dim=config["hidden_size"],
        layers=layers or 0,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=size if rank is None else turning + 2,
        hidden_dim=8,
        context=1 << 20,
        rotary_dim=turning if rank is not None else None,
        windows=tuple((window or 0) * (kind == "sliding_attention") for kind in kinds),
        latent=None if rank is None else Latent(rank=rank, rope_dim=turning, value_dim=4),
    )


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    heads = draw(st.sampled_from([1, 2, 4, 8]))
    layers = draw(st.integers(1, 6))
    config: dict[str, Any] = {
        "num_hidden_layers": layers,
        "hidden_size": heads * 2 * draw(st.integers(1, 8)),
        "num_attention_heads": heads,
        "num_key_value_heads": draw(st.sampled_from([None, 1, heads])),
        "head_dim": draw(st.sampled_from([None, 2, 32])),
    }
    if draw(st.booleans()):
        config |= {
            "kv_lora_rank": draw(st.integers(1, 32)),
            "qk_rope_head_dim": draw(st.sampled_from([2, 8])),
        }
    if draw(st.booleans()):
        kinds = st.sampled_from(["sliding_attention", "full_attention"])
        config["sliding_window"] = draw(st.integers(1, 40))
        config["layer_types"] = draw(st.none() | st.lists(kinds, min_size=layers, max_size=layers))
    return config


@settings(max_examples=200, deadline=None)
@given(configs(), st.integers(0, 100), st.integers(1, 5), st.integers(1, 4))
def test_solution_counts_as_the_model_does(
    config: dict[str, Any], tokens: int, batch: int, bytes_per_value: int
) -> None:
    expected = kv_bytes(model(config), tokens, batch, bytes_per_value)
    assert SOLUTION.cache_bytes(config, tokens, batch, 8 * bytes_per_value) == expected


@pytest.mark.parametrize("name", ["DEEPSEEK_V2", "DEEPSEEK_67B", "GEMMA_7B", "MISTRAL"])
def test_published_models(name: str) -> None:
    config = getattr(HIDDEN, name)
    for tokens in (1, 4096, 4097, 131_072):
        assert SOLUTION.cache_bytes(config, tokens) == kv_bytes(model(config), tokens)


@settings(max_examples=200, deadline=None)
@given(configs(), st.integers(0, 1 << 40), st.integers(1, 5), st.integers(1, 16))
def test_longest_context_fits_and_one_more_does_not(
    config: dict[str, Any], memory: int, batch: int, bits: int
) -> None:
    tokens = SOLUTION.longest_context(config, memory, batch, bits)
    if tokens == float("inf"):
        assert SOLUTION.cache_bytes(config, 1 << 60, batch, bits) <= memory
        return
    assert SOLUTION.cache_bytes(config, tokens, batch, bits) <= memory
    assert SOLUTION.cache_bytes(config, tokens + 1, batch, bits) > memory
