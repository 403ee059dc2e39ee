"""A random model whose tokens are pieces of JSON and of calls, with a stop token and a few ids to spare."""

import dataclasses
import json
import random
from functools import cache

import torch

from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer

SPARE = 7  # ids that the model has and the tokenizer has not


@cache
def tokenizer() -> Tokenizer:
    """448 tokens: bytes, pieces of JSON, one that ends a text."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, trainers

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    draw = random.Random(1)
    words = ["name", "arguments", "city", "Paris", "Ärger", "true", "null", "weather", "x", "count"]
    lines = [
        json.dumps({draw.choice(words): draw.choice([draw.choice(words), draw.randint(0, 99), [1.5, True]])})
        for _ in range(300)
    ] + ['<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'] * 9
    trainer = trainers.BpeTrainer(
        vocab_size=448,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(lines, trainer)
    return Tokenizer(backend, eos=0)


@cache
def wordy(stops: bool = True) -> Loaded:
    """stops=False: no token ends a text."""
    torch.manual_seed(11)
    pieces = tokenizer()
    config = ModelConfig(
        vocab_size=pieces.vocab_size + SPARE, dim=32, layers=2, heads=4, kv_heads=2, head_dim=8,
        hidden_dim=64, context=1024,
    )  # fmt: skip
    model = Transformer(config).eval().requires_grad_(False)
    loaded = Loaded(model, pieces, None, config, "wordy")
    return loaded if stops else dataclasses.replace(loaded, tokenizer=Tokenizer(pieces.backend))
