# Fault: sorts upwards and turns the order round, and with it that of equal tokens.
# Rejected by: test_tie_at_the_edge_goes_to_the_smaller_index

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked, order = (x.flip(-1) for x in probs.sort(dim=-1, stable=True))
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    keep[:, 0] = True
    kept = ranked * keep
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probs).scatter(-1, order, kept)
