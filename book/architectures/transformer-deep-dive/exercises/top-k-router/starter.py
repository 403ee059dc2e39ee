"""Top-k router of a mixture of experts, with its balancing loss."""

import torch


def route(
    x: torch.Tensor,  # [N, C]
    weight: torch.Tensor,  # [E, C]
    k: int,
    bias: torch.Tensor | None = None,  # [E], for the choice only
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # experts [N, k], weights [N, k], loss []
    raise NotImplementedError("probabilities, choice, weights, loss")
