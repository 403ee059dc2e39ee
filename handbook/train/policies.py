"""A policy in training: what a micro-batch of drawn answers holds, and the objectives of PPO and GRPO on it.

RLHF has four models: policy, value, reference, reward. Here they are one set of weights with an adapter: the
reference is the model without it (`preference.as_reference`), the value a head on the policy's last state,
and the reward a function of the text (`tasks`).

Axes: B answers, T tokens of the longest, C width.

Book: model-training/preference-alignment
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from handbook.model.transformer import Transformer
from handbook.train.experience import Shared, answer_logprobs, answer_states, logprobs_of
from handbook.train.grpo import Normalise, grpo_loss
from handbook.train.loop import Losses
from handbook.train.ppo import ValueHead, kl_estimate, masked_mean, ppo_policy_loss, ppo_value_loss


class Policy(nn.Module):
    """A decoder and the head that guesses what its answers will earn. through: see `ValueHead`."""

    def __init__(self, model: Transformer, through: bool = False) -> None:
        super().__init__()
        self.model = model
        self.value = ValueHead(model.config.dim, through)


def decoder_of(policy: nn.Module) -> Transformer:
    """The decoder that answers, with a value head beside it or without one."""
    model = policy.model if isinstance(policy, Policy) else policy
    assert isinstance(model, Transformer)
    return model


@dataclass(frozen=True, slots=True, eq=False)
class Experience:
    """Drawn answers, and what was known of them when they were drawn.

    scores, right [B]: what the reward gave, and whether they were right, where somebody knows. old, reference
    [B, T]: log-probabilities when drawn and under the reference; old is None where only one step is taken,
    which sees the same numbers anyway. advantages: [B], or [B, T] with values. values, returns [B, T]: PPO's.
    weight: what the loss is a mean over, tokens or answers.
    """

    shared: Shared
    scores: Tensor
    right: Tensor | None
    advantages: Tensor
    weight: float
    old: Tensor | None = None
    reference: Tensor | None = None
    values: Tensor | None = None
    returns: Tensor | None = None

    @property
    def tokens(self) -> Tensor:
        """What is read: [N]."""
        return self.shared.tokens


@torch.no_grad()
def told(experience: Experience, logprobs: Tensor) -> Losses:
    """What to watch: mean score, share that is right, tokens of an answer, entropy a token as the drawn ones
    show it, and the KL from the reference in nats an answer where that is known."""
    mask = experience.shared.mask
    found = {
        "reward": experience.scores.mean(),
        "length": mask.sum(dim=1).float().mean(),
        "entropy": masked_mean(-logprobs, mask),
    }
    if experience.right is not None:
        found["right"] = experience.right.mean()
    if experience.reference is not None:
        found["kl"] = (kl_estimate(logprobs, experience.reference, "k1") * mask).sum(dim=1).mean()
    return found


@dataclass(frozen=True, slots=True)
class Grpo:
    """GRPO's objective: `grpo.grpo_loss`, whose arguments are there. longest: for normalise="constant"."""

    beta: float = 0.0
    low: float = 0.2
    high: float | None = None
    normalise: Normalise = "token"
    longest: int | None = None
    checkpointing: bool | None = False

    def __call__(self, policy: nn.Module, experience: Experience) -> Losses:
        e, shared = experience, experience.shared
        logprobs = answer_logprobs(decoder_of(policy), shared, self.checkpointing)
        found = grpo_loss(
            logprobs,
            logprobs.detach() if e.old is None else e.old,
            e.advantages,
            shared.mask,
            e.reference,
            self.beta,
            self.low,
            self.high,
            self.normalise,
            self.longest,
        )
        return {"total": found.loss, "clipped": found.clipped, **told(e, logprobs.detach())}


@dataclass(frozen=True, slots=True)
class Ppo:
    """PPO's objective: the clipped loss of the policy, and `value_weight` times that of the values. The
    penalty for leaving the reference is in the rewards already."""

    clip: float = 0.2
    value_clip: float | None = 0.2
    value_weight: float = 0.5
    checkpointing: bool | None = False

    def __call__(self, policy: nn.Module, experience: Experience) -> Losses:
        assert isinstance(policy, Policy)
        e, shared = experience, experience.shared
        assert e.values is not None
        assert e.returns is not None
        states = answer_states(policy.model, shared, self.checkpointing)
        logprobs = logprobs_of(policy.model, states, shared)
        old = logprobs.detach() if e.old is None else e.old
        moved = ppo_policy_loss(logprobs, old, e.advantages, shared.mask, self.clip)
        fitted = ppo_value_loss(policy.value(states), e.values, e.returns, shared.mask, self.value_clip)
        return {
            "total": moved.loss + self.value_weight * fitted.loss,
            "policy": moved.loss,
            "value": fitted.loss,
            "clipped": moved.clipped,
            **told(e, logprobs.detach()),
        }
