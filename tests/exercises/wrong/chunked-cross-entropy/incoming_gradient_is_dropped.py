# Fault: hands back the gradient of the loss itself, however it is used.
# Rejected by: test_gradient_is_that_of_the_loss_as_it_is_used

from typing import Any

import torch

IGNORE = -100


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, chunk: int
    ) -> torch.Tensor:
        kept = targets != IGNORE
        count = kept.sum().clamp(min=1)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        to_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            rows, wanted, share = (
                hidden[part],
                targets[part].where(kept[part], 0)[:, None],
                kept[part] / count,
            )
            logits = (rows @ weight.T).float()
            total = logits.logsumexp(dim=1, keepdim=True)
            loss += ((total - logits.gather(1, wanted))[:, 0] * share).sum()
            slope = logits.sub_(total).exp_()
            slope.scatter_add_(1, wanted, torch.full_like(total, -1.0))
            slope = slope.mul_(share[:, None]).to(rows.dtype)
            if to_hidden is not None:
                to_hidden[part] = slope @ weight
            if to_weight is not None:
                to_weight += slope.T @ rows
        ctx.save_for_backward(to_hidden, None if to_weight is None else to_weight.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (
            *(None if saved is None else saved for saved in ctx.saved_tensors),
            None,
            None,
        )


def chunked_cross_entropy(
    hidden: torch.Tensor,  # [N, C]
    weight: torch.Tensor,  # [V, C]
    targets: torch.Tensor,  # [N], int64, -100 where none counts
    chunk: int = 256,
) -> torch.Tensor:  # [], float32
    return _Loss.apply(hidden, weight, targets, chunk)  # type: ignore[no-any-return,no-untyped-call]
