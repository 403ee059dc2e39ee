# Fault: the bias also enters the weights, so it changes what the layer computes and not only who computes it.
# Rejected by: test_bias_is_for_the_choice_only

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x.float() @ weight.float().T).softmax(-1)
    top, experts = (probs if bias is None else probs + bias).topk(k, -1)
    f = torch.bincount(experts.flatten(), minlength=E) / experts.numel()
    return experts, top / top.sum(-1, keepdim=True), E * (f * probs.mean(0)).sum()
