"""What is measured: the sizes of known models, a passage that no model has seen, random heads."""

from functools import cache, partial

import torch
from torch import Tensor

from handbook.lab import kit
from handbook.model.config import ModelConfig
from handbook.model.zoo.entries import entries

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


@cache
def published(name: str) -> ModelConfig:
    """A model of the zoo, by its name there."""
    return ModelConfig.from_hf(entries()[name].config)


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
