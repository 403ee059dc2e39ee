"""The router of a mixture of experts: a score for each expert, the k best for each token, their weights.

Routers differ in few places, and those are the arguments of `Router`. Known ones:

    Switch, GShard, Mixtral    gate="softmax" (with k = 1 Switch doesn't normalise)
    OLMoE, Qwen2-MoE           gate="softmax", normalise=False
    Shazeer et al. 2017        gate="softmax-after"; the same numbers as "softmax", normalised
    DeepSeek-V2                gate="softmax", normalise=False, scale, groups, kept_groups, group_best=1
    DeepSeek-V3                gate="sigmoid", selection_bias, scale, groups, kept_groups, group_best=2

Axes: N tokens (batch and sequence in one), C width, E experts, k experts for each token, G groups.

Book: architectures/transformer-deep-dive
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.balance import balance_loss, rebalanced, z_loss
from handbook.model.routing import Gate, room, router_faults


@dataclass(frozen=True)
class Routing:
    """Who goes where: what a router decided about N tokens, dropped assignments included.

    logits [N, E] in fp32; scores [N, E], softmax or sigmoid of them; experts [N, k], best first; weights
    [N, k], zero where dropped; kept bool [N, k].
    """

    logits: Tensor
    scores: Tensor
    experts: Tensor
    weights: Tensor
    kept: Tensor

    @cached_property
    def load(self) -> Tensor:
        """Assignments that each expert was chosen for, dropped ones included: [E]."""
        return self.experts.flatten().bincount(minlength=self.logits.shape[1])

    @cached_property
    def taken(self) -> Tensor:
        """Assignments that each expert has room for: [E]."""
        return self.experts[self.kept].bincount(minlength=self.logits.shape[1])

    @property
    def dropped(self) -> int:
        """Assignments that found no room."""
        return int((~self.kept).sum())

    @property
    def probabilities(self) -> Tensor:
        """Scores as shares of 1: [N, E]; of sigmoids as in DeepSeek-V3 (arXiv:2412.19437), equation 19."""
        return self.scores / (self.scores.sum(dim=-1, keepdim=True) + 1e-20)

    @property
    def balance_loss(self) -> Tensor:
        """`handbook.model.balance.balance_loss` of all tokens: k when nothing is to be gained."""
        return balance_loss(self.probabilities, self.experts)

    @property
    def z_loss(self) -> Tensor:
        return z_loss(self.logits)


def softmax_weights(logits: Tensor, experts: Tensor) -> Tensor:
    """Softmax over all experts, then the chosen ones: [N, E], [N, k] -> [N, k], sums below 1.

    Fedus et al. 2021 (arXiv:2101.03961), equation 1.
    """
    return logits.softmax(dim=-1).gather(1, experts)


def softmax_after_weights(logits: Tensor, experts: Tensor) -> Tensor:
    """Softmax over the chosen experts alone: [N, E], [N, k] -> [N, k], sums to 1.

    Shazeer et al. 2017 (arXiv:1701.06538), equations 3 and 5, without the noise.
    """
    return logits.gather(1, experts).softmax(dim=-1)


def sigmoid_weights(logits: Tensor, experts: Tensor) -> Tensor:
    """Each expert's own sigmoid: [N, E], [N, k] -> [N, k]. DeepSeek-V3 (arXiv:2412.19437), equation 15."""
    return logits.sigmoid().gather(1, experts)


GATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": softmax_weights,
    "softmax-after": softmax_after_weights,
    "sigmoid": sigmoid_weights,
}


def within_best_groups(scores: Tensor, groups: int, kept: int, best: int = 1) -> Tensor:
    """scores [N, E] with minus infinity outside the `kept` best of `groups` equal groups of neighbours.

    A group is worth the sum of its `best` largest scores: the largest alone in DeepSeek-V2 (arXiv:2405.04434,
    section 2.2.2), two in V3 (arXiv:2412.19437, section 2.1.2, node-limited routing). A group is what one
    machine holds, so a token travels to few machines.
    """
    grouped = scores.view(len(scores), groups, scores.shape[1] // groups)  # [N, G, E/G]
    worth = grouped.topk(best, dim=-1).values.sum(dim=-1)
    outside = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(kept, dim=-1).indices, False)
    return grouped.masked_fill(outside[..., None], -math.inf).view_as(scores)


def keep_within(experts: Tensor, capacity: int, total: int) -> Tensor:
    """Which assignments find room when each of `total` experts takes `capacity`: [N, k] -> bool [N, k].

    Every token's first choice comes before any second choice; among equals the earlier token comes first
    (GShard, Lepikhin et al. 2020, arXiv:2006.16668, algorithm 1).
    """
    queue = experts.T.flatten()  # [k * N], first choices first
    order = queue.argsort(stable=True)
    load = queue.bincount(minlength=total)
    begin = load.cumsum(0) - load
    place = torch.empty_like(queue)
    place[order] = torch.arange(len(queue), device=queue.device) - begin[queue[order]]
    return (place < capacity).view(experts.shape[1], -1).T


class Router(nn.Module):
    """Token-choice routing: x [N, C] -> `Routing`. Shazeer et al. 2017 (arXiv:1701.06538), section 2.1.

    Args:
        dim: width C.
        experts, k: how many there are, and how many each token gets.
        gate: where weights come from, a name of `GATES`.
        normalise: divide a token's k weights by their sum (norm_topk_prob in checkpoints).
        scale: factor on the weights (routed_scaling_factor).
        selection_bias: a bias for each expert, added to the scores for the choice and for nothing else: it
            steers load and leaves weights alone. `rebalance` moves it; gradients don't reach it. Keep it in
            fp32 while training: its steps are small.
        groups, kept_groups, group_best: see `within_best_groups`; one group is no limit.
        capacity_factor: None gives every assignment room. Otherwise an expert takes factor * N * k / E of
            them, rounded up; what a token is given then depends on the rest of its batch. Weights of dropped
            assignments are zero, the others stay as they are.

    Raises ValueError that names all numbers that cannot be. Logits are computed in fp32, whatever x is
    (Fedus et al. 2021, arXiv:2101.03961, section 2.4). Not covered: noise and jitter on the choice.
    """

    bias: Tensor | None

    def __init__(
        self,
        dim: int,
        experts: int,
        k: int,
        *,
        gate: Gate = "softmax",
        normalise: bool = True,
        scale: float = 1.0,
        selection_bias: bool = False,
        groups: int = 1,
        kept_groups: int = 1,
        group_best: int = 1,
        capacity_factor: float | None = None,
    ) -> None:
        super().__init__()
        faults = router_faults(
            experts,
            k,
            gate=gate,
            groups=groups,
            kept_groups=kept_groups,
            group_best=group_best,
            capacity_factor=capacity_factor,
        )
        if faults:
            raise ValueError("; ".join(faults))
        self.experts, self.k = experts, k
        self.gate, self.normalise, self.scale = gate, normalise, scale
        self.groups, self.kept_groups, self.group_best = groups, kept_groups, group_best
        self.capacity_factor = capacity_factor
        self.weight = nn.Parameter(torch.empty(experts, dim).uniform_(-(dim**-0.5), dim**-0.5))
        self.register_buffer("bias", torch.zeros(experts) if selection_bias else None)

    def forward(self, x: Tensor) -> Routing:
        logits = F.linear(x.float(), self.weight.float())
        scores = logits.sigmoid() if self.gate == "sigmoid" else logits.softmax(dim=-1)
        experts = self.choose(scores)
        weights = GATES[self.gate](logits, experts)
        if self.normalise:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)  # sigmoids may all be zero
        kept = torch.ones_like(experts, dtype=torch.bool)
        if self.capacity_factor is not None:
            kept = keep_within(
                experts, room(experts.numel(), self.experts, self.capacity_factor), self.experts
            )
        return Routing(logits, scores, experts, (self.scale * weights).masked_fill(~kept, 0.0), kept)

    @torch.no_grad()
    def choose(self, scores: Tensor) -> Tensor:
        """The k experts of each token, best first: [N, E] -> [N, k]. Wang et al. 2024 (arXiv:2408.15664),
        equation 3, where there is a bias."""
        scores = scores if self.bias is None else scores + self.bias
        if self.groups > 1:
            scores = within_best_groups(scores, self.groups, self.kept_groups, self.group_best)
        return scores.topk(self.k, dim=-1).indices

    @torch.no_grad()
    def rebalance(self, load: Tensor, step: float = 1e-3) -> None:
        """Move the selection bias by one step, after a batch whose load [E] it was: the training loop calls
        this once an optimizer step. Raises ValueError for a router without a bias."""
        if self.bias is None:
            raise ValueError("this router has no selection bias; make it with selection_bias=True")
        self.bias.copy_(rebalanced(self.bias, load, step))
