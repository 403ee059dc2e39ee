# Fault: -1 is used as an index, and Python takes it for the last expert.
# Rejected by: test_token_without_any_expert_gets_zeros

import torch


def dispatch(x, experts, weights, run):
    E = max(int(experts.max()) + 1, 1)
    out = torch.zeros_like(x)
    chosen = torch.arange(E)[experts]  # -1 is E - 1
    for e in range(E):
        token, slot = (chosen == e).nonzero(as_tuple=True)
        if len(token):
            out = out.index_add(0, token, (run(e, x[token]) * weights[token, slot, None]).to(out.dtype))
    return out
