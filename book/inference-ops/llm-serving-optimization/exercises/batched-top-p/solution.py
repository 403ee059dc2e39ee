"""One row at a time the handbook does this in `handbook.engine.sampler.top_p_filter`; a test compares the
two.

What differs from row to row, the place of the cut, is a mask instead of a slice: a batch has no common length
to slice to. So p is a column, and all rows are sorted to the end, also those that keep one token.
"""

import torch


def batched_top_p(
    logits: torch.Tensor,  # [B, V]
    p: torch.Tensor,  # [B], in [0, 1]
) -> torch.Tensor:  # [B, V], float32, each row sums to 1
    """Raises ValueError when a p is not in [0, 1]."""
    if not bool(((p >= 0) & (p <= 1)).all()):  # put this way NaN fails it
        raise ValueError(f"Expected 0 <= p <= 1 in every row, got {p.tolist()}.")
    probs = logits.float().softmax(dim=-1)
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)  # stable: ties by index
    sums = ranked.cumsum(dim=-1)
    before = torch.cat((torch.zeros_like(sums[:, :1]), sums[:, :-1]), dim=-1)  # what larger tokens sum to
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    keep[:, 0] = True
    kept = ranked * keep
    return torch.zeros_like(probs).scatter(-1, order, kept / kept.sum(dim=-1, keepdim=True))
