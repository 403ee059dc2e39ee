# Fault: the softmax runs over the tokens instead of over the experts.
# Rejected by: test_worked_example

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x.float() @ weight.float().T).softmax(0)
    experts = (probs if bias is None else probs + bias).topk(k, -1).indices
    weights = probs.gather(1, experts)
    f = torch.bincount(experts.flatten(), minlength=E) / experts.numel()
    return experts, weights / weights.sum(-1, keepdim=True), E * (f * probs.mean(0)).sum()
