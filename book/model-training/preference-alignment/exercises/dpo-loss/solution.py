"""The loss is the handbook's own. Log-probabilities are written out from whole logits, as one reads them in
papers; training takes `handbook.train.logprobs.token_logprobs`, which never holds them.
"""

import torch

from handbook.train.dpo import dpo_loss as loss_of_pairs


def answer_logprobs(
    logits: torch.Tensor,  # [B, T, V]
    tokens: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool: the answer's tokens
) -> torch.Tensor:  # [B]
    """Cleaned before anything is computed: NaN that is masked at the end is still NaN in the gradient."""
    kept = mask[:, 1:]
    logits = _wide(logits[:, :-1]).masked_fill(~kept[..., None], 0)
    tokens = tokens[:, 1:].masked_fill(~kept, 0)
    logprobs = logits.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
    return logprobs.masked_fill(~kept, 0).sum(dim=1)


def dpo_loss(
    policy_chosen: torch.Tensor,  # [B]
    policy_rejected: torch.Tensor,  # [B]
    reference_chosen: torch.Tensor,  # [B]
    reference_rejected: torch.Tensor,  # [B]
    beta: float,
    label_smoothing: float = 0.0,
) -> torch.Tensor:  # [B]
    """Raises ValueError for a beta or a label_smoothing out of range."""
    policy = _wide(policy_chosen), _wide(policy_rejected)
    reference = _wide(reference_chosen.detach()), _wide(reference_rejected.detach())
    return loss_of_pairs(*policy, *reference, beta, label_smoothing=label_smoothing)


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.float64 else x.float()
