# Fault: cuts by a threshold on the probability, so all tokens that tie at the edge stay.
# Rejected by: test_tie_at_the_edge_goes_to_the_smaller_index

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    probs = logits.float().softmax(dim=-1)
    ranked = probs.sort(dim=-1, descending=True, stable=True).values
    before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:, :-1], (1, 0))
    keep = (before < p[:, None]) | (p[:, None] >= 1)
    keep[:, 0] = True
    least = ranked.masked_fill(~keep, 2.0).amin(dim=-1, keepdim=True)
    kept = probs * (probs >= least)
    return kept / kept.sum(dim=-1, keepdim=True)
