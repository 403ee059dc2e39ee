"""The next token of a sentence as the sampler's filters leave it, step by step: for the lab's plot."""

import torch

from handbook.engine.sampler import min_p_filter, top_k_filter, top_p_filter
from handbook.lab import charts, kit


def next_logits(text: str) -> torch.Tensor:
    """SmolLM2-135M's logits [V] after a text, its first 128 tokens. Raises ModelUnavailable without it."""
    loaded = kit.chat_model()
    ids = loaded.tokenizer.encode(text, special=False)[:128]
    with kit.quiet():
        logits: torch.Tensor = loaded.model(torch.tensor([ids]), last_only=True)[0, 0]
    return logits


def shares(logits: torch.Tensor, temperature: float, k: int, p: float, least: float) -> list[torch.Tensor]:
    """Probabilities [V]: by temperature alone, and after top-k, top-p and min-p."""
    warm = logits / temperature
    kept = min_p_filter(top_p_filter(top_k_filter(warm, k), p), least)
    return [warm.softmax(dim=-1), kept.softmax(dim=-1)]


def rows(logits: torch.Tensor, found: list[torch.Tensor], most: int = 12) -> list[dict[str, object]]:
    """A row of a table for each of the likeliest tokens."""
    tokenizer, (before, after) = kit.chat_model().tokenizer, found
    return [
        {
            "token": charts.visible(tokenizer.token_text(token)),
            "at this temperature": ("", float(before[token])),
            "drawn with": ("", float(after[token])),
        }
        for token in logits.topk(most).indices.tolist()
    ]
