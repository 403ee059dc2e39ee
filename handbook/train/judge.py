"""A trained reward model as what pays: the fourth model of RLHF, beside policy, reference and value.

It reads prompt and answer as it read them when it was trained (`reward.RewardModel`): up to the token that
ends the answer, whose state becomes a number. Only differences of its numbers mean something, and nothing
keeps them honest far from the answers that it was trained on. The policy will go there: Gao et al. 2022
(arXiv:2210.10760) measure how soon. So watch the KL, and judge the result by something else.

Book: model-training/preference-alignment
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from handbook.errors import CheckpointError
from handbook.model.load import Loaded
from handbook.train.conversations import Prompt
from handbook.train.examples import Example, encode_prompt
from handbook.train.loop import lowered
from handbook.train.lora import merge, remove_lora
from handbook.train.packing import pack
from handbook.train.precision import prepare
from handbook.train.reward import SETTINGS, RewardModel, load_reward
from handbook.train.rollouts import ending
from handbook.train.tasks import Said


class Judge:
    """Rewards of answers by a reward model that is not trained any more.

    loaded: its decoder, with tokenizer and template. precision: as the loop has it. budget: tokens that are
    read at once. unfinished: taken off where an answer did not end by itself; no training pair showed the
    model such a text.
    """

    def __init__(
        self,
        loaded: Loaded,
        model: RewardModel,
        precision: str = "fp32",
        budget: int = 4096,
        unfinished: float = 1.0,
    ) -> None:
        self.loaded, self.precision, self.budget, self.unfinished = loaded, precision, budget, unfinished
        self.end = ending(loaded.tokenizer)
        self.model = model.eval().requires_grad_(False)

    def document(self, prompt: Prompt, answer: Said) -> Example:
        """Prompt and answer as tokens. Markers that the answer spells are text."""
        tokens = [
            *encode_prompt(self.loaded, prompt),
            *self.loaded.tokenizer.encode(answer.text, special=False),
        ]
        tokens = [*tokens, self.end] if answer.whole else tokens
        tokens = tokens[: self.loaded.config.context]
        return Example(tuple(tokens), (False,) * len(tokens))

    @torch.no_grad()
    def __call__(self, prompts: Sequence[Prompt], answers: Sequence[Said]) -> list[float]:
        """The reward of each answer to the prompt in its place."""
        documents = [self.document(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        found: list[float] = []
        row: list[Example] = []
        for document in documents:
            if row and sum(map(len, row)) + len(document) > self.budget:
                found += self._read(row)
                row = []
            row.append(document)
        found += self._read(row) if row else []
        return [
            reward - (0.0 if answer.whole else self.unfinished)
            for reward, answer in zip(found, answers, strict=True)
        ]

    def _read(self, documents: Sequence[Example]) -> list[float]:
        with lowered(self.model.backbone, self.precision):
            return [float(reward) for reward in self.model(pack(documents), False)]


def open_judge(
    folder: Path,
    load: Callable[[str], Loaded],
    precision: str = "fp32",
    budget: int = 4096,
    unfinished: float = 1.0,
) -> Judge:
    """What `handbook train reward` saved. load: loads the model that it was made of, by its name.

    Raises CheckpointError where the folder holds no reward model, and what load raises.
    """
    given, folder = folder, folder if (folder / SETTINGS).exists() else folder / "reward"
    remedy = "Name the folder that `handbook train reward` wrote."
    try:
        base = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{given} holds no reward model: {error}.", remedy) from error
    if not isinstance(base, str) or not base:
        raise CheckpointError(f"{folder / SETTINGS} does not say which model it was made of.", remedy)
    loaded = load(base)
    model = load_reward(folder, loaded.model).requires_grad_(False)
    merge(loaded.model)
    remove_lora(loaded.model)
    prepare(loaded.model, precision)
    return Judge(loaded, model, precision, budget, unfinished)
