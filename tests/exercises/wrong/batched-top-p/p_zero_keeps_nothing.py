# Fault: at p = 0 the nucleus is empty, and 0 / 0 is NaN.
# Rejected by: test_p_zero_is_greedy

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    kept = ranked * keep
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, order, kept)
