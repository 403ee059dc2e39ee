# Fault: a loop over chunks, of each of which autograd keeps the softmax.
# Rejected by: test_nothing_of_all_logits_is_kept_for_backward

import torch.nn.functional as F


def chunked_cross_entropy(hidden, weight, targets, chunk=256):
    loss = 0.0
    for start in range(0, len(hidden), chunk):
        logits = (hidden[start : start + chunk] @ weight.T).float()
        loss = loss + F.cross_entropy(logits, targets[start : start + chunk], reduction="sum")
    return loss / (targets != -100).sum().clamp(min=1)
