"""Tiny models for parity tests: random weights, every switch of the family, made by transformers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from handbook.model.load import from_hf
from handbook.model.transformer import Transformer
from handbook.model.weights import names

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


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws without a seed of its own is the same, whatever ran before it in this process."""
    torch.manual_seed(0)


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
            for name, value in theirs.named_buffers():
                if name.endswith("e_score_correction_bias"):
                    value.normal_(std=0.15)
        folder = tmp_path_factory.mktemp(kind)
        theirs.save_pretrained(folder)
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Pair(theirs, from_hf(raw, folder), folder)

    return make


def llama_cpp_order(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key weight as llama.cpp's converter writes them."""
    return (
        weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        .swapaxes(1, 2)
        .reshape(weight.shape)
    )


@pytest.fixture(scope="session")
def write_gguf() -> Callable[..., Path]:
    """write_gguf(path, pair, kinds={}, **metadata) -> path: a tiny model as a GGUF file, made by the gguf
    package.

    kinds: tensor type by GGUF name; F32 for the others. metadata overrides; a value of None leaves the key
    out.
    """
    import gguf
    from gguf.constants import GGMLQuantizationType

    def write(path: Path, pair: Pair, kinds: dict[str, str] | None = None, **metadata: Any) -> Path:
        config = pair.ours.config
        arch = metadata.pop("arch", "llama")
        writer = gguf.GGUFWriter(path, arch)
        values = {
            f"{arch}.block_count": config.layers,
            f"{arch}.context_length": config.context,
            f"{arch}.embedding_length": config.dim,
            f"{arch}.feed_forward_length": config.hidden_dim,
            f"{arch}.attention.head_count": config.heads,
            f"{arch}.attention.head_count_kv": config.kv_heads,
            f"{arch}.attention.layer_norm_rms_epsilon": config.norm_eps,
            f"{arch}.rope.freq_base": config.rope_theta,
            f"{arch}.rope.dimension_count": config.head_dim,
            f"{arch}.attention.key_length": config.head_dim,
            f"{arch}.attention.value_length": config.head_dim,
            f"{arch}.vocab_size": config.vocab_size,
        } | metadata
        for key, value in values.items():
            if isinstance(value, bool):
                writer.add_bool(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            elif isinstance(value, float):
                writer.add_float32(key, value)
            elif isinstance(value, str):
                writer.add_string(key, value)
            elif value is not None:
                writer.add_array(key, value)
        for theirs, value in pair.theirs.state_dict().items():
            ours = names.HF.ours(theirs)
            assert ours is not None
            name, array = names.GGUF.theirs(ours), value.numpy()
            if ours == "head.weight" and config.tie_embeddings:
                continue
            heads = {"query": config.heads, "key": config.kv_heads}.get(ours.split(".")[-2])
            if heads and arch == "llama":
                array = llama_cpp_order(array, heads)
            kind = GGMLQuantizationType[(kinds or {}).get(name, "F32")]
            writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def bytes_to_unicode() -> list[str]:
    """GPT-2's 256 printable characters for bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


@pytest.fixture(scope="session")
def byte_vocabulary() -> dict[str, Any]:
    """GGUF metadata of a small byte-level tokenizer: two special tokens, the bytes, a few merges; 270
    tokens."""
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "1 2", "ð Ł", "Ġ Ġ"]
    tokens = ["<|end|>", "<|start|>", *bytes_to_unicode(), *(merge.replace(" ", "") for merge in merges)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3, *[1] * (len(tokens) - 2)],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>"
        "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}",
    }


NASTY: list[str] = json.loads(Path(__file__).with_name("nasty.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=range(len(NASTY)), ids=lambda i: repr(NASTY[i][:12]))
def nasty(request: pytest.FixtureRequest) -> str:
    """One text of the nasty corpus after another."""
    return NASTY[request.param]


@pytest.fixture(scope="session")
def nasty_corpus() -> tuple[str, ...]:
    return NASTY
