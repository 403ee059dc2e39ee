# Fault: the product is taken in the dtype of x, and only the softmax in float32.
# Rejected by: test_half_precision_routes_in_float32

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x @ weight.T).float().softmax(-1)
    experts = (probs if bias is None else probs + bias).topk(k, -1).indices
    weights = probs.gather(1, experts)
    f = torch.bincount(experts.flatten(), minlength=E) / experts.numel()
    return experts, weights / weights.sum(-1, keepdim=True), E * (f * probs.mean(0)).sum()
