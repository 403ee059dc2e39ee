# Fault: rows are sorted by expert and weights are left in the order of the tokens.
# Rejected by: test_worked_example

import torch


def dispatch(x, experts, weights, run):
    k, flat = experts.shape[1], experts.flatten()
    order = flat.argsort(stable=True)[(flat < 0).sum() :]
    out = torch.zeros_like(x)
    if len(order) == 0:
        return out
    ids, counts = flat[order].unique(return_counts=True)
    pieces = x[order // k].split(counts.tolist())
    y = torch.cat([run(e, rows) for e, rows in zip(ids.tolist(), pieces, strict=True)])
    return out.index_add(0, order // k, (y * weights.flatten()[: len(order), None]).to(out.dtype))
