"""The solution is the handbook's own dispatch; what was dropped is told by a mask there."""

from collections.abc import Callable

import torch

from handbook.model.moe import dispatch as grouped
from handbook.model.router import Routing


def dispatch(
    x: torch.Tensor,  # [N, C]
    experts: torch.Tensor,  # [N, k], integers; -1 where dropped
    weights: torch.Tensor,  # [N, k]
    run: Callable[[int, torch.Tensor], torch.Tensor],  # (expert, rows [n, C]) -> [n, C]
) -> torch.Tensor:  # [N, C]
    """Logits and scores of the routing are not looked at, only how many experts there are."""
    total = int(experts.max()) + 1 if experts.numel() else 0
    unused = x.new_zeros(len(x), max(total, 1))
    routing = Routing(unused, unused, experts.clamp(min=0), weights, kept=experts >= 0)
    return grouped(x, routing, run)
