"""A random model over bytes, with a context of 64."""

import pytest
import torch

from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws without a seed of its own is the same, whatever ran before it in this process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    torch.manual_seed(3)
    config = ModelConfig(
        vocab_size=256, dim=32, layers=2, heads=4, kv_heads=2, head_dim=8, hidden_dim=64, context=64
    )
    model = Transformer(config).eval().requires_grad_(False)
    return Loaded(model, Tokenizer(backend), None, config, "tiny")
