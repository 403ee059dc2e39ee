"""Rounds: draw answers, reward them, hand out what was learnt of them as micro-batches, draw again.

`Rounds` is what the loop calls batches: step n -> micro-batches. In the first step of each round it draws,
with the weights of that moment; the steps that follow pass over the same answers. What it draws hangs on the
seed, the round and the weights, so a run resumes exactly from a checkpoint that stands between two rounds.

Axes: B answers, T tokens of the longest.

Book: model-training/preference-alignment
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor, nn

from handbook.errors import HandbookError
from handbook.model.load import Loaded
from handbook.train.conversations import Prompt
from handbook.train.examples import encode_prompt
from handbook.train.experience import Shared, answer_states, lay_out, logprobs_of
from handbook.train.grpo import grpo_advantages, telling
from handbook.train.loop import lowered
from handbook.train.lora import lora_layers
from handbook.train.policies import Experience, Policy, decoder_of
from handbook.train.ppo import gae, kl_estimate, next_beta, penalised, whiten
from handbook.train.preference import as_reference
from handbook.train.rollouts import Answer, Voice
from handbook.train.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A round in numbers.

    prompts: of a round; group: answers to each. most: tokens of an answer, None as the task has it. passes:
    steps on the same answers. precision: of the training forward, as the loop has it. budget: tokens of a
    micro-batch. weigh: what the objective's loss is a mean over. beta: weight of the distance from the
    reference, which PPO takes off the reward; target: KL in nats an answer that PPO's beta is steered to,
    None keeps it (a checkpoint doesn't hold where it was). watch: tell the KL even where nothing hangs on it,
    for one more forward.

    GRPO: scale as in `grpo_advantages`; drop: leave out groups that teach nothing. PPO: gamma, lam.
    """

    prompts: int = 8
    group: int = 8
    most: int | None = None
    passes: int = 1
    temperature: float = 1.0
    precision: str = "fp32"
    budget: int = 4096
    weigh: Literal["tokens", "answers"] = "tokens"
    beta: float = 0.0
    target: float | None = None
    watch: bool = False
    scale: bool = True
    drop: bool = True
    gamma: float = 1.0
    lam: float = 0.95


@dataclass
class Rounds:
    """Micro-batches of a task for a policy: with a `Policy`, which has values, PPO's; else GRPO's.

    Raises HandbookError for dropout: the policy that drew would not be the one that is trained.
    """

    loaded: Loaded
    policy: nn.Module
    task: Task
    plan: Plan
    seed: int = 0
    beta: float = field(init=False)
    voice: Voice = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)  # of the last round, by what took them
    seen: dict[str, float] = field(default_factory=dict)  # means over all that it drew, dropped groups too
    _kept: tuple[int, list[Experience]] | None = None

    def __post_init__(self) -> None:
        self.beta, self.voice = self.plan.beta, Voice(self.loaded)
        if decoder_of(self.policy) is not self.loaded.model:
            raise ValueError("the policy's decoder is not the loaded model")
        if any(layer.dropout for layer in lora_layers(self.policy).values()):
            raise HandbookError(
                "Answers are drawn without dropout, and the adapter has some.", "Set its dropout to 0."
            )

    def __call__(self, step: int) -> Sequence[Experience]:
        number = step // self.plan.passes
        if self._kept is None or self._kept[0] != number:
            self._kept = number, self.draw(number)
        return self._kept[1]

    def prompts_of(self, number: int) -> list[Prompt]:
        """Prompts of round 0, 1, ...: by seed and number, each at most once while there are enough."""
        random, known = Random(f"{self.seed} {number}"), self.task.train
        if self.plan.prompts <= len(known):
            return random.sample(known, self.plan.prompts)
        return random.choices(known, k=self.plan.prompts)

    def draw(self, number: int) -> list[Experience]:
        """Play a round. The policy is as it was afterwards."""
        began = perf_counter()
        p, prompts = self.plan, self.prompts_of(number)
        texts = [encode_prompt(self.loaded, prompt) for prompt in prompts]
        most = p.most or self.task.most
        seed = Random(f"{self.seed} {number} answers").getrandbits(48)
        drawn = self.voice.answers(texts, most, p.group, p.temperature, seed)
        said = perf_counter()
        scores, right = self.judged(prompts, drawn)
        lengths = [len(answer.tokens) for row in drawn for answer in row]
        self.seen = {
            "reward": scores.mean().item(),
            **({} if right is None else {"right": right.mean().item()}),
            "length": sum(lengths) / len(lengths),
        }
        groups = list(range(len(prompts)))
        valued = isinstance(self.policy, Policy)
        advantages = scores.new_zeros(0) if valued else grpo_advantages(scores, p.group, p.scale)
        if p.drop and not valued:
            rows = telling(scores, p.group)
            groups = [n for n in groups if rows[n * p.group]] or groups[:1]
        found, parts = [], self.cut(groups, texts, drawn)
        for part in parts:
            own = torch.tensor([n * p.group + k for n in part for k in range(p.group)])
            shared = lay_out([(texts[n], [answer.tokens for answer in drawn[n]]) for n in part])
            each = advantages[own] if len(advantages) else None
            known = None if right is None else right[own]
            found.append(self.looked_at(shared, scores[own], known, each))
        drawn_by = [answer for part in parts for n in part for answer in drawn[n]]
        if found[0].old is not None:
            self.seen["apart"] = apart(drawn_by, found)
        if valued:
            found = self.whitened(found)
        self.seconds = {"draw": said - began, "look": perf_counter() - said}
        return found

    def judged(
        self, prompts: Sequence[Prompt], drawn: Sequence[Sequence[Answer]]
    ) -> tuple[Tensor, Tensor | None]:
        """What the reward and the truth, where there is one, say of each answer: [B] each."""
        asked = [prompt for prompt, row in zip(prompts, drawn, strict=True) for _ in row]
        answers = [answer for row in drawn for answer in row]
        right = self.task.truths(asked, answers)
        return torch.tensor(self.task.rewards(asked, answers)), None if right is None else torch.tensor(right)

    def cut(
        self, groups: Sequence[int], texts: Sequence[Sequence[int]], drawn: Sequence[Sequence[Answer]]
    ) -> list[list[int]]:
        """Groups that are read at once: as many as the budget has tokens for, one at least."""
        parts: list[list[int]] = []
        room = 0
        for n in groups:
            size = len(texts[n]) + sum(len(answer.tokens) - 1 for answer in drawn[n])
            if not parts or size > room:
                parts.append([])
                room = self.plan.budget
            parts[-1].append(n)
            room -= size
        return parts

    @torch.no_grad()
    def looked_at(
        self, shared: Shared, scores: Tensor, right: Tensor | None, advantages: Tensor | None
    ) -> Experience:
        """Answers as the training forward sees them, before the first step. GRPO's advantages [B] are known
        already; PPO's need the values."""
        p, model = self.plan, decoder_of(self.policy)
        old, reference = None, None
        weight = float(shared.mask.sum() if p.weigh == "tokens" else len(scores))
        training = self.policy.training
        self.policy.eval()
        try:
            with lowered(model, p.precision):
                if advantages is None or p.passes > 1:
                    states = answer_states(model, shared)
                    old = logprobs_of(model, states, shared)
                if self.beta or p.target or p.watch:
                    with as_reference(model):
                        reference = logprobs_of(model, answer_states(model, shared), shared)
                values = self.policy.value(states) if isinstance(self.policy, Policy) else None
        finally:
            self.policy.train(training)
        if values is None or old is None:
            assert advantages is not None
            return Experience(shared, scores, right, advantages, weight, old, reference)
        rewards = penalised(scores, old, old if reference is None else reference, shared.mask, self.beta)
        values = values * shared.mask
        steps, returns = gae(rewards, values, shared.mask, p.gamma, p.lam)
        return Experience(shared, scores, right, steps, weight, old, reference, values, returns)

    def whitened(self, found: Sequence[Experience]) -> list[Experience]:
        """Advantages whitened over the whole round, and beta steered by its KL."""
        masks = [e.shared.mask for e in found]
        every = torch.cat([e.advantages[mask] for e, mask in zip(found, masks, strict=True)])
        flat = whiten(every[None], torch.ones(1, len(every), dtype=torch.bool))[0]
        parts = torch.split(flat, [int(mask.sum()) for mask in masks])
        white = [torch.zeros_like(e.advantages) for e in found]
        for each, mask, part in zip(white, masks, parts, strict=True):
            each[mask] = part
        if self.plan.target is not None:
            distances = [
                kl_estimate(e.old, e.reference, "k1").sum(dim=1)
                for e in found
                if e.old is not None and e.reference is not None
            ]
            self.beta = next_beta(self.beta, torch.cat(distances).mean().item(), self.plan.target)
        return [replace(e, advantages=each) for e, each in zip(found, white, strict=True)]


def apart(answers: Sequence[Answer], found: Sequence[Experience]) -> float:
    """KL in nats an answer of the engine that drew from the policy that is trained: the mean over answers of
    the engine's log-probability less the training forward's. Their precisions differ, and nothing else may.

    The token that ends an answer is left out: the engine doesn't tell its probability.
    """
    rows = [row for e in found if e.old is not None for row in e.old]
    differences: list[float] = [
        answer.logprob - row[: len(answer.tokens) - answer.whole].sum().item()
        for answer, row in zip(answers, rows, strict=True)
    ]
    return sum(differences) / len(differences)
