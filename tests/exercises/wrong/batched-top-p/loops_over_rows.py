# Fault: a Python loop over the rows: its cost grows with every request in the batch.
# Rejected by: test_operations_do_not_grow_with_the_batch

import torch


def batched_top_p(logits, p):
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p must be in [0, 1]")
    out = torch.zeros(logits.shape, dtype=torch.float32)
    for row, logit in enumerate(logits):
        probs = logit.float().softmax(dim=-1)
        ranked, order = probs.sort(descending=True, stable=True)
        before = torch.nn.functional.pad(ranked.cumsum(dim=-1)[:-1], (1, 0))
        keep = (before < p[row]) | (p[row] >= 1)
        keep[0] = True
        out[row, order[keep]] = ranked[keep] / ranked[keep].sum()
    return out
