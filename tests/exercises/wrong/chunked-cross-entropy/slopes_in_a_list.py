# Fault: keeps the gradient of every chunk of logits for backward, outside of what autograd is told.
# Rejected by: test_memory_at_any_moment

import torch


class Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, chunk):
        kept, loss, ctx.slopes = targets != -100, torch.zeros(()), []
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            logits, wanted = (hidden[part] @ weight.T).float(), targets[part].where(kept[part], 0)[:, None]
            total, share = logits.logsumexp(1, keepdim=True), (kept[part] / kept.sum().clamp(min=1))[:, None]
            loss += ((total - logits.gather(1, wanted)) * share).sum()
            slope = (logits - total).exp().scatter_add(1, wanted, torch.full_like(total, -1.0)) * share
            ctx.slopes.append(slope.to(hidden.dtype))
        ctx.save_for_backward(hidden, weight)
        return loss

    @staticmethod
    def backward(ctx, grad):
        hidden, weight = ctx.saved_tensors
        slope = torch.cat(ctx.slopes) * grad.to(hidden.dtype)
        return slope @ weight, slope.T @ hidden, None, None


def chunked_cross_entropy(hidden, weight, targets, chunk=256):
    return Loss.apply(hidden, weight, targets, chunk)
