# Fault: indexed += keeps one contribution where a token occurs several times in the index.
# Rejected by: test_every_contribution_is_added

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
    out[order // k] += (y * weights.flatten()[order, None]).to(out.dtype)
    return out
