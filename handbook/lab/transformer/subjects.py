"""What is measured: the sizes of known models, a passage that no model has seen, random heads."""

from functools import partial

import torch
from torch import Tensor

from handbook.lab import kit
from handbook.model.config import Latent, Mixture, ModelConfig

SMOLLM2 = ModelConfig(  # a test holds it to the real weights
    vocab_size=49152,
    dim=576,
    layers=30,
    heads=9,
    kv_heads=3,
    head_dim=64,
    hidden_dim=1536,
    context=8192,
    rope_theta=100_000.0,
    tie_embeddings=True,
)
MISTRAL_7B = ModelConfig(  # Jiang et al. 2023 (arXiv:2310.06825), table 1
    vocab_size=32000,
    dim=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    hidden_dim=14336,
    context=32768,
    windows=(4096,) * 32,
)
MIXTRAL_8X7B = ModelConfig(  # Jiang et al. 2024 (arXiv:2401.04088), table 1
    vocab_size=32000,
    dim=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    hidden_dim=14336,
    context=32768,
    rope_theta=1_000_000.0,
    mixture=Mixture(experts=8, k=2, hidden_dim=14336),
)
DEEPSEEK_V2 = ModelConfig(  # DeepSeek-AI 2024 (arXiv:2405.04434), section 3.1.2
    vocab_size=102400,
    dim=5120,
    layers=60,
    heads=128,
    kv_heads=128,
    head_dim=192,
    rotary_dim=64,
    hidden_dim=12288,
    context=163840,
    latent=Latent(rank=512, rope_dim=64, value_dim=128, query_rank=1536),
    mixture=Mixture(
        experts=160, k=6, hidden_dim=1536, shared_hidden_dim=3072, dense=(0,), normalise=False, scale=16.0
    ),
)
LLAMA_8B = (32, 32, 8, 128)  # layers, heads, KV heads, head dimension
LLAMA_70B = (80, 64, 8, 128)
PASSAGE = (
    "The lighthouse keeper wrote down the weather every evening, and nobody ever asked to read it. When "
    "the station was closed, the forty volumes went to the library of the small town below, where they "
    "stood in the cellar behind the old newspapers. A student found them there by accident. She had "
    "been looking for a map of the harbour, and the first volume that she opened told her that on the "
    "third of March the wind had turned from west to north within a single hour, and that the fishing "
    "boats had come home with ice on their ropes. She read until the library closed. The next morning "
    "she came back with a camera and began to copy the pages, one after the other, all forty volumes. "
    "It took the whole summer. In the autumn she had a table with one row for every day of sixty years: "
    "temperature, pressure, wind, rain, and the words that the keeper had chosen. The numbers were "
    "useful to the people who study the climate, since no other station on that coast had measured for "
    "so long. But she kept returning to the words. He had never written that he was lonely. He had "
    "written that the fog was patient, that the gulls were late this year, and once, in the winter in "
    "which his wife had died, only that the lamp had burned well. Years later, when somebody asked her "
    "what the most important thing was that she had learned from her work, she said that a measurement "
    "is a kind of attention, and that attention is a kind of love."
)


def passage_tokens(small: bool) -> list[int]:
    """The passage in SmolLM2's tokens, 304, or its first 128. Our own text: no published model has trained on
    it. Raises ModelUnavailable without the model.
    """
    return kit.chat_model().tokenizer.encode(PASSAGE)[: 128 if small else None]


def random_heads(
    T: int, kv_heads: int = SMOLLM2.kv_heads, seed: int = 0, D: int = SMOLLM2.head_dim
) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian q [1, 9, T, D] and k, v [1, kv_heads, T, D]."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    return draw(1, SMOLLM2.heads, T, D), draw(1, kv_heads, T, D), draw(1, kv_heads, T, D)
