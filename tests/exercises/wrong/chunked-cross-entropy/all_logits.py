# Fault: the plain loss: all logits at once.
# Rejected by: test_nothing_of_all_logits_is_kept_for_backward

import torch.nn.functional as F


def chunked_cross_entropy(hidden, weight, targets, chunk=256):
    loss = F.cross_entropy((hidden @ weight.T).float(), targets, reduction="sum")
    return loss / (targets != -100).sum().clamp(min=1)
