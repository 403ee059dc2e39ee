# Fault: f counts only each token's best expert, so the loss does not see who gets the second choices.
# Rejected by: test_equals_the_definition

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x.float() @ weight.float().T).softmax(-1)
    experts = (probs if bias is None else probs + bias).topk(k, -1).indices
    weights = probs.gather(1, experts)
    f = torch.bincount(experts[:, 0], minlength=E) / len(x)
    return experts, weights / weights.sum(-1, keepdim=True), E * (f * probs.mean(0)).sum()
