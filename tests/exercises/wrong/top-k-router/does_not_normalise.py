# Fault: the chosen probabilities are used as they are; they sum to less than 1.
# Rejected by: test_worked_example

import torch


def route(x, weight, k, bias=None):
    E = len(weight)
    if not 1 <= k <= E:
        raise ValueError("k must be in 1 .. E")
    probs = (x.float() @ weight.float().T).softmax(-1)
    experts = (probs if bias is None else probs + bias).topk(k, -1).indices
    f = torch.bincount(experts.flatten(), minlength=E) / experts.numel()
    return experts, probs.gather(1, experts), E * (f * probs.mean(0)).sum()
