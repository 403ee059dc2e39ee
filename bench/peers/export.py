"""Our weights as other programs read them: a folder as on the hub, in bfloat16, and llama.cpp's own forms."""

import json
import subprocess
from pathlib import Path
from typing import Any

FORMS = ("BF16", "Q8_0", "Q4_0")  # of llama.cpp, made from the packaged Q4_1


def hub_folder(model: Any, folder: Path) -> Path:
    """config.json and model.safetensors of a Llama. model: ours, in any precision."""
    import torch
    from safetensors.torch import save_file

    from handbook.model.weights.names import HF

    if (folder / "config.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    c = model.config
    tensors = {HF.theirs(name): value for name, value in model.state_dict().items()}
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in tensors.items() if name}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "hidden_size": c.dim,
        "intermediate_size": c.hidden_dim,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "tie_word_embeddings": c.tie_embeddings,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def gguf_forms(source: Path, quantize: Path, folder: Path) -> dict[str, Path]:
    """The model in llama.cpp's forms, by name: the file itself, and what its own quantizer makes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {"Q4_1": source}
    for form in FORMS:
        path = folder / f"{form}.gguf"
        if not path.is_file():
            part = path.with_suffix(".part")
            subprocess.run(
                [quantize, "--allow-requantize", source, part, form], check=True, capture_output=True
            )
            part.rename(path)
        found[form] = path
    return found
