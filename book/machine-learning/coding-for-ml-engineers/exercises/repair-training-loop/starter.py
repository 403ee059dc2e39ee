"""Training and measuring a classifier. It runs, and five things in it are wrong."""

import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

Batches = list[tuple[torch.Tensor, torch.Tensor]]  # x [B, D] and y [B]


def train(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    epochs: int,
    clip: float = 1.0,
) -> list[float]:
    """The mean loss of each epoch."""
    model.train()
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        total = 0.0
        for x, y in batches:
            probabilities = model(x).softmax(dim=-1)
            loss = F.cross_entropy(probabilities, y)
            clip_grad_norm_(model.parameters(), clip)
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(batches))
    return losses


def accuracy(model: torch.nn.Module, batches: Batches) -> float:
    """The share of examples whose class has the largest logit."""
    right = seen = 0
    with torch.no_grad():
        for x, y in batches:
            right += int((model(x).argmax(dim=-1) == y).sum())
            seen += len(y)
    return right / seen
