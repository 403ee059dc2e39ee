# Fault: loops over the k choices, so an expert runs up to k times on smaller pieces.
# Rejected by: test_each_expert_runs_once_on_all_its_tokens

import torch


def dispatch(x, experts, weights, run):
    out = torch.zeros_like(x)
    for j in range(experts.shape[1]):
        for e in sorted({e for e in experts[:, j].tolist() if e >= 0}):
            token = (experts[:, j] == e).nonzero().flatten()
            out = out.index_add(0, token, (run(e, x[token]) * weights[token, j, None]).to(out.dtype))
    return out
