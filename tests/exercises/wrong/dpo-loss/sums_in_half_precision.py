# Fault: sums in the type of the logits.
# Rejected by: test_half_precision_is_computed_in_single

import torch.nn.functional as F


def wide(x):
    return x


def answer_logprobs(logits, tokens, mask):
    kept = mask[:, 1:]
    logits = wide(logits[:, :-1]).masked_fill(~kept[..., None], 0)
    tokens = tokens[:, 1:].masked_fill(~kept, 0)
    logprobs = logits.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
    return logprobs.masked_fill(~kept, 0).sum(dim=1)


def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta, label_smoothing=0.0):
    if not beta > 0 or not 0 <= label_smoothing < 0.5:
        raise ValueError(f"beta {beta}, label_smoothing {label_smoothing}")
    policy = wide(policy_chosen) - wide(policy_rejected)
    reference = wide(reference_chosen.detach()) - wide(reference_rejected.detach())
    margin = beta * (policy - reference)
    return -(1 - label_smoothing) * F.logsigmoid(margin) - label_smoothing * F.logsigmoid(-margin)
