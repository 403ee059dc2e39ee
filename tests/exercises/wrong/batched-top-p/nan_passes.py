# Fault: asks whether a p is outside, which NaN never is.
# Rejected by: test_bad_p_is_refused

import torch


def batched_top_p(logits, p):
    if bool(((p < 0) | (p > 1)).any()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    keep[:, 0] = True
    kept = ranked * keep
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, order, kept)
