# Fault: leaves the whole batch alone as soon as one row has p = 1.
# Rejected by: test_row_does_not_depend_on_the_batch

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p >= 1).any()
    keep[:, 0] = True
    kept = ranked * keep
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, order, kept)
