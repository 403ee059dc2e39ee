"""Direct preference optimisation: answers' log-probabilities, and the loss of a pair."""

import torch


def answer_logprobs(
    logits: torch.Tensor,  # [B, T, V]
    tokens: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool: the answer's tokens
) -> torch.Tensor:  # [B]
    raise NotImplementedError("the sum of log p over the answer's tokens")


def dpo_loss(
    policy_chosen: torch.Tensor,  # [B]
    policy_rejected: torch.Tensor,  # [B]
    reference_chosen: torch.Tensor,  # [B]
    reference_rejected: torch.Tensor,  # [B]
    beta: float,
    label_smoothing: float = 0.0,
) -> torch.Tensor:  # [B]
    raise NotImplementedError("minus the log-sigmoid of beta times the margin")
