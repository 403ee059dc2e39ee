# Fault: returns the probabilities from large to small.
# Rejected by: test_order_of_the_vocabulary_is_kept

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked = probs.sort(dim=-1, descending=True, stable=True).values
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    keep[:, 0] = True
    kept = ranked * keep
    return kept / kept.sum(dim=-1, keepdim=True)
