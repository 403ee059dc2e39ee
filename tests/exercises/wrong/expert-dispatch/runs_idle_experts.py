# Fault: every expert up to the largest runs, also on an empty tensor.
# Rejected by: test_each_expert_runs_once_on_all_its_tokens

import torch


def dispatch(x, experts, weights, run):
    out = torch.zeros_like(x)
    for e in range(int(experts.max()) + 1):
        token, slot = (experts == e).nonzero(as_tuple=True)
        out = out.index_add(0, token, (run(e, x[token]) * weights[token, slot, None]).to(out.dtype))
    return out
