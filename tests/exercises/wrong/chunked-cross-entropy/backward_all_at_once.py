# Fault: keeps nothing, and in backward computes all logits once more in one piece.
# Rejected by: test_memory_at_any_moment

import torch
import torch.nn.functional as F


class Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, chunk):
        ctx.save_for_backward(hidden, weight, targets)
        loss = torch.zeros(())
        for start in range(0, len(hidden), chunk):
            logits = (hidden[start : start + chunk] @ weight.T).float()
            loss += F.cross_entropy(logits, targets[start : start + chunk], reduction="sum")
        return loss / (targets != -100).sum().clamp(min=1)

    @staticmethod
    def backward(ctx, grad):
        hidden, weight, targets = ctx.saved_tensors
        kept = targets != -100
        slope = (hidden @ weight.T).float().softmax(dim=1)
        slope[torch.arange(len(targets)), targets.where(kept, 0)] -= 1
        slope = (slope * (kept * grad / kept.sum().clamp(min=1))[:, None]).to(hidden.dtype)
        return slope @ weight, slope.T @ hidden, None, None


def chunked_cross_entropy(hidden, weight, targets, chunk=256):
    return Loss.apply(hidden, weight, targets, chunk)
