# Fault: every expert runs on every token, and 0 times the weight is added where it was not chosen.
# Rejected by: test_dropped_weight_is_not_read

import torch


def dispatch(x, experts, weights, run):
    out = torch.zeros_like(x)
    for e in range(int(experts.max()) + 1):
        share = (weights * (experts == e)).sum(-1, keepdim=True)
        out = out + (run(e, x) * share).to(out.dtype)
    return out
