"""Top-p for every row of a batch at once."""

import torch


def batched_top_p(
    logits: torch.Tensor,  # [B, V]
    p: torch.Tensor,  # [B], in [0, 1]
) -> torch.Tensor:  # [B, V], float32, each row sums to 1
    raise NotImplementedError("softmax, sort, cut by a column of p, renormalise, scatter back")
