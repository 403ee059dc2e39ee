# Fault: mends four faults; measures in the mode in which the model is.
# Rejected by: test_accuracy_is_measured_in_evaluation_mode

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
    """The mean loss of each epoch, over its examples."""
    model.train()
    losses = []
    for _ in range(epochs):
        total, seen = 0.0, 0
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            total += loss.item() * len(y)
            seen += len(y)
        losses.append(total / seen)
    return losses


def accuracy(model: torch.nn.Module, batches: Batches) -> float:
    """The share of examples whose class has the largest logit, in evaluation mode."""
    was = model.training
    right = seen = 0
    with torch.no_grad():
        for x, y in batches:
            right += int((model(x).argmax(dim=-1) == y).sum())
            seen += len(y)
    model.train(was)
    return right / seen
