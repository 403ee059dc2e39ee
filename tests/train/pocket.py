"""An instruct model as the hub has them, small enough to fine-tune in a second, and data to do it on."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

WIDTH, LAYERS = 32, 2
LAYER = {
    "input_layernorm": (32,), "post_attention_layernorm": (32,), "self_attn.q_proj": (32, 32),
    "self_attn.k_proj": (16, 32), "self_attn.v_proj": (16, 32), "self_attn.o_proj": (32, 32),
    "mlp.gate_proj": (64, 32), "mlp.up_proj": (64, 32), "mlp.down_proj": (32, 64),
}  # fmt: skip
SPECIAL = ("<|im_start|>", "<|im_end|>")
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 258, "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "tie_word_embeddings": True,
}  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_pocket(path: Path) -> Path:
    """A random Llama over bytes with a chat template, in a folder."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    path.mkdir(parents=True)
    random = torch.Generator().manual_seed(1)
    shapes = {
        f"model.layers.{n}.{name}.weight": shape for n in range(LAYERS) for name, shape in LAYER.items()
    }
    shapes |= {"model.embed_tokens.weight": (258, WIDTH), "model.norm.weight": (WIDTH,)}
    tensors = {name: torch.randn(shape, generator=random) * 0.2 for name, shape in shapes.items()}
    save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    backend.save(str(path / "tokenizer.json"))
    named = {"eos_token": SPECIAL[1], "chat_template": TEMPLATE}
    (path / "tokenizer_config.json").write_text(json.dumps(named))
    return path


def write_conversations(path: Path, count: int = 24) -> Path:
    """Questions whose answer is always alike, and so is soon learnt."""
    rows = [{"instruction": f"Say {n}.", "input": "", "output": f"Yes: {n}."} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_pairs(path: Path, count: int = 24) -> Path:
    """Pairs of which the polite answer is chosen."""
    rows = [
        {"prompt": f"Say {n}.", "chosen": f"Yes: {n}.", "rejected": f"No, never {n}!"} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
