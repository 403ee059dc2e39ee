"""What needs no language model: answers that can be counted on one hand, an advantage by hand, estimators.

The bandit has one prompt and four answers. There the objective of RLHF has a closed form (Rafailov et al.
2023, arXiv:2305.18290, equation 4), and so has the share in which people would prefer each of two answers, so
that DPO can be fitted to exactly that instead of to a sample.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from handbook.train.dpo import dpo_loss
from handbook.train.ppo import gae, kl_estimate, penalised

ANSWERS = ("A", "B", "C", "D")
REWARDS = (1.0, 0.5, 0.0, -1.0)
REFERENCE = (0.4, 0.3, 0.2, 0.1)
BETA = 0.5
LENGTHS = (1.0, 0.0, -1.0, 2.0)  # D is the longest, and the worst
Pairs = Sequence[tuple[int, int]]
EVERY = tuple(combinations(range(4), 2))
WITHOUT_D = tuple(combinations(range(3), 2))


def optimum(beta: float = BETA, rewards: Sequence[float] = REWARDS) -> Tensor:
    """What RLHF's objective is greatest at: reference * exp(reward / beta), made to sum to 1: [4]."""
    logits = torch.tensor(REFERENCE, dtype=torch.float64).log() + torch.tensor(rewards).double() / beta
    return logits.softmax(dim=0)


def table() -> Tensor:
    """Features of a policy that may give each answer any probability: [4, 4]."""
    return torch.eye(4, dtype=torch.float64)


def by_length(last: float = LENGTHS[-1]) -> Tensor:
    """One feature, which answers share: [4, 1]. last: that of D."""
    return torch.tensor([*LENGTHS[:-1], last], dtype=torch.float64)[:, None]


def fitted(features: Tensor, pairs: Pairs, beta: float = BETA, rewards: Sequence[float] = REWARDS) -> Tensor:
    """Where DPO's loss is least, [4]: of the policies softmax(log reference + features @ theta), on pairs
    whose labels are Bradley and Terry's in their exact proportions. Begins at the reference."""
    r, log_reference = torch.tensor(rewards).double(), torch.tensor(REFERENCE, dtype=torch.float64).log()
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    preferred = torch.sigmoid(r[first] - r[second])
    theta = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [theta], max_iter=500, tolerance_grad=1e-13, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        policy = (log_reference + features @ theta).log_softmax(dim=0)
        sides = policy[first], policy[second], log_reference[first], log_reference[second]
        flipped = sides[1], sides[0], sides[3], sides[2]
        found = (preferred * dpo_loss(*sides, beta) + (1 - preferred) * dpo_loss(*flipped, beta)).mean()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (log_reference + features @ theta.detach()).softmax(dim=0)


def variation(p: Tensor, q: Tensor) -> float:
    """Total variation: half the sum of the differences."""
    return 0.5 * (p - q).abs().sum().item()


def equivalence_gap(small: bool = True) -> float:
    return round(variation(fitted(table(), EVERY), optimum()), 6)


def off_support_mass(small: bool = True) -> float:
    return fitted(by_length(), WITHOUT_D)[3].item() - REFERENCE[3]


SAID, REFERENCES, VALUES = (-1.0, -0.5, -2.0), (-1.4, -0.7, -1.8), (0.5, 0.6, 0.8)


def advantages(lam: float, gamma: float = 1.0, beta: float = 0.1, score: float = 1.0) -> list[float]:
    """Of the chapter's answer of three tokens, whose log-probabilities under policy and reference and whose
    values are SAID, REFERENCES, VALUES."""
    said, reference, values = (torch.tensor([x], dtype=torch.float64) for x in (SAID, REFERENCES, VALUES))
    mask = torch.ones(1, 3, dtype=torch.bool)
    rewards = penalised(torch.tensor([score]), said, reference, mask, beta)
    found: list[float] = gae(rewards, values, mask, gamma, lam)[0][0].tolist()
    return found


def gae_example(small: bool = True) -> float:
    """The first token's advantage."""
    return advantages(lam=0.95)[0]


def estimator(kind: str, spread: float = 0.3, vocabulary: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and variance of an estimator of KL(policy || reference), summed over all tokens that the policy
    may draw. spread: of the difference between the logits of the two."""
    draw = torch.Generator().manual_seed(seed)
    logits, noise = (torch.randn(vocabulary, generator=draw).double() for _ in range(2))
    policy, reference = logits.log_softmax(dim=0), (logits + spread * noise).log_softmax(dim=0)
    each, weight = kl_estimate(policy, reference, kind), policy.exp()  # type: ignore[arg-type]
    mean = (weight * each).sum()
    return mean.item(), (weight * (each - mean).square()).sum().item()


def k1_k3_variance(small: bool = True) -> float:
    return estimator("k1")[1] / estimator("k3")[1]
