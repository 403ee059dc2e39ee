"""Direct preference optimisation: two answers, and which one people chose, become a loss. Pure functions.

All kinds look at one number a pair, the margin: how much more the policy likes the chosen answer than the
rejected one, measured from the reference (Rafailov et al. 2023, arXiv:2305.18290). They differ in how they
push it.

Log-probabilities are of whole answers: sums over tokens, as the paper has them, or means, for the forms that
don't reward length. Whoever calls decides, and hands in the same for policy and reference.

Axes: B pairs.

Book: model-training/preference-alignment
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_loss(margin: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """-log sigmoid(beta * margin) [B]: equation 7 of arXiv:2305.18290.

    smoothing: share of the labels that are taken to be flipped; the loss is then the mean over both labels,
    which is least at a finite margin: conservative DPO (Mitchell 2023, "A note on DPO with noisy preferences
    & relationship to IPO").
    """
    right, flipped = F.logsigmoid(beta * margin), F.logsigmoid(-beta * margin)
    return -(1 - smoothing) * right - smoothing * flipped


def robust_loss(margin: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """The mean over flipped labels is, at a flip rate of `smoothing`, equation 7 on the true ones [B].

    Chowdhury et al. 2024 (arXiv:2403.00409): ((1 - s) * loss - s * loss of the flipped pair) / (1 - 2 s).
    """
    right, flipped = F.logsigmoid(beta * margin), F.logsigmoid(-beta * margin)
    return (-(1 - smoothing) * right + smoothing * flipped) / (1 - 2 * smoothing)


def ipo_loss(margin: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """(margin - 1 / (2 beta))^2 [B]: a margin to reach, and not to pass.

    Azar et al. 2023 (arXiv:2310.12036), equation 17, whose tau is beta. trl hands in means over tokens, which
    it says is what the paper's authors did; sums make the target depend on length. smoothing is not read.
    """
    return (margin - 1 / (2 * beta)) ** 2


def hinge_loss(margin: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """max(0, 1 - beta * margin) [B]: no push once a pair is far enough apart.

    Zhao et al. 2023 (arXiv:2305.10425), SLiC, on DPO's margin. smoothing is not read.
    """
    return torch.relu(1 - beta * margin)


KINDS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "sigmoid": sigmoid_loss,
    "robust": robust_loss,
    "ipo": ipo_loss,
    "hinge": hinge_loss,
}
SMOOTHED = {"sigmoid", "robust"}


def dpo_margin(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor | None = None,
    reference_rejected: Tensor | None = None,
) -> Tensor:
    """log (policy / reference) of the chosen answers less that of the rejected ones: [B] each -> [B].

    Times beta it is the difference of the implicit rewards (arXiv:2305.18290, equation 5). Without a
    reference, one that likes all answers alike.
    """
    margin = policy_chosen - policy_rejected
    if (reference_chosen is None) != (reference_rejected is None):
        raise ValueError("the reference's log-probabilities come for both answers, or for none")
    if reference_chosen is None or reference_rejected is None:
        return margin
    return margin - (reference_chosen - reference_rejected)


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor | None,
    reference_rejected: Tensor | None,
    beta: float,
    kind: str = "sigmoid",
    label_smoothing: float = 0.0,
    target: float = 0.0,
) -> Tensor:
    """The loss of each pair: log-probabilities [B] -> [B].

    Args:
        reference_chosen, reference_rejected: None for a loss without a reference.
        beta: how dear it is to move from the reference; ipo's tau.
        kind: one of KINDS.
        label_smoothing: share of flipped labels, below a half; of sigmoid and robust only.
        target: a margin, times beta, that counts as none. With means over tokens and no reference the sigmoid
            is SimPO (Meng et al. 2024, arXiv:2405.14734, equation 6), whose gamma this is.

    Raises ValueError that lists what is out of range.
    """
    check(beta, kind, label_smoothing)
    margin = dpo_margin(policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    return KINDS[kind](margin - target / beta, beta, label_smoothing)


def check(beta: float, kind: str, label_smoothing: float) -> None:
    """Raises ValueError that lists all that `dpo_loss` can't work with."""
    faults = [] if kind in KINDS else [f"kind should be one of {', '.join(KINDS)}, got {kind!r}"]
    if not beta > 0:
        faults.append(f"beta should be above 0, got {beta}")
    if not 0 <= label_smoothing < 0.5:
        faults.append(f"label_smoothing should be at least 0 and below 0.5, got {label_smoothing}")
    elif label_smoothing and kind in KINDS and kind not in SMOOTHED:
        faults.append(f"{kind} knows no label_smoothing, got {label_smoothing}")
    if faults:
        raise ValueError("; ".join(faults))
