"""What a run leaves behind: a whole model as the hub has them, which `load_model` reads back.

Adapters are written by `adapter_files`. A whole model is `config.json`, `model.safetensors` with
transformers' names, and the tokenizer's files. What came from a GGUF file gets the `config.json` of the
family that its numbers are of.
"""

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handbook.errors import DiskFull, HandbookError
from handbook.model.config import ModelConfig
from handbook.model.families import family_of
from handbook.model.load import Loaded
from handbook.model.tokenizer import read_json
from handbook.model.weights.names import NameTable
from handbook.train.whole import written_whole

WEIGHTS, CONFIG = "model.safetensors", "config.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")


def source_folder(path: Path) -> Path | None:
    """The folder whose `config.json` describes the model at `path`; None for a GGUF file alone."""
    folder = path if path.is_dir() else path.parent
    return folder if path.suffix != ".gguf" and (folder / CONFIG).is_file() else None


def check_writable(config: ModelConfig, source: Path | None) -> None:
    """Raises HandbookError for a model whose whole weights can't be written: better before training."""
    folder = None if source is None else source_folder(source)
    if folder is not None:
        raw = read_json(folder / CONFIG)
        if not family_of(raw).split and config.mixture is None:
            return
        what = f"Models of {raw.get('model_type')!r} keep several of these weights in one"
    else:
        if _config(config) is not None:
            return
        what = "This model has no config.json, and is of no family that one can be made for"
    raise HandbookError(
        f"{what}; whole weights of that form are not written here.", "Train an adapter: --lora."
    )


def write_model(folder: Path, loaded: Loaded, source: Path | None) -> None:
    """Write the model with its tokenizer, weights in fp32, each file whole or not at all.

    source: where it was loaded from. Raises HandbookError as `check_writable`, DiskFull.
    """
    check_writable(loaded.config, source)
    origin = None if source is None else source_folder(source)
    raw = read_json(origin / CONFIG) if origin is not None else _config(loaded.config)
    assert raw is not None
    table = family_of(raw).table
    raw = {key: value for key, value in raw.items() if key not in ("quantization_config", "torch_dtype")}
    tensors = {str(table.theirs(ours)): _owned(tensor) for ours, tensor in loaded.model.state_dict().items()}
    _write_tensors(folder / WEIGHTS, tensors)
    _write_json(folder / CONFIG, raw | {"dtype": "float32"})
    if origin is not None:
        for name in TOKENIZER:
            if (origin / name).is_file():
                with written_whole(folder / name) as file, (origin / name).open("rb") as read:
                    shutil.copyfileobj(read, file)
        return
    _write_tokenizer(folder, loaded)


def _owned(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Straight into the file, so that weights don't take their memory a second time."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(tensors), scratch, {"format": "pt"})
        scratch.chmod(0o644)
        scratch.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise DiskFull(
            f"{path} cannot be written: {error}.",
            "Make room, then give the same command again: it ends there.",
        ) from error


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with written_whole(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2).encode())


def _write_tokenizer(folder: Path, loaded: Loaded) -> None:
    tokenizer = loaded.tokenizer
    with written_whole(folder / "tokenizer.json") as file:
        file.write(str(tokenizer.backend.to_str()).encode())
    ids = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos, "pad_token": tokenizer.pad}
    named = {key: tokenizer.token_text(token) for key, token in ids.items() if token is not None}
    _write_json(folder / "tokenizer_config.json", named)
    _write_json(folder / "generation_config.json", {"eos_token_id": sorted(tokenizer.stops)})
    if loaded.template is not None:
        with written_whole(folder / "chat_template.jinja") as file:
            file.write(loaded.template.source.encode())


def _config(config: ModelConfig) -> dict[str, Any] | None:
    """A `config.json` that is read back as the same ModelConfig; None where no family's is."""
    c = config
    scaling = (
        None if c.rope_scaling is None else {"type": c.rope_scaling.kind, "factor": c.rope_scaling.factor}
    )
    values = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.dim,
        "intermediate_size": c.hidden_dim,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "rope_scaling": scaling,
        "tie_word_embeddings": c.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": c.out_bias,
        "mlp_bias": c.mlp_bias,
    }
    for kind, architecture in ARCHITECTURES.items():
        raw = {"model_type": kind, "architectures": [architecture], **values}
        with contextlib.suppress(HandbookError):
            if ModelConfig.from_hf(raw) == config and _covers(family_of(raw).table, config):
                return raw
    return None


ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def _covers(table: NameTable, config: ModelConfig) -> bool:
    from handbook.model.transformer import Transformer

    with torch.device("meta"):
        ours = Transformer(config).state_dict()
    return all(table.theirs(name) is not None for name in ours)
