# Fault: the probabilities are detached, so the loss is right and cannot teach the router anything.
# Rejected by: test_loss_gradient_flows_through_the_probabilities

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x.float() @ weight.float().T).softmax(-1)
    experts = (probs if bias is None else probs + bias).topk(k, -1).indices
    weights = probs.gather(1, experts)
    f = torch.bincount(experts.flatten(), minlength=E) / experts.numel()
    return experts, weights / weights.sum(-1, keepdim=True), E * (f * probs.detach().mean(0)).sum()
