"""Prompts with the answers that were drawn to them, in one row of tokens: what a policy is updated on.

The answers to a prompt share it. So the row holds each prompt once and behind it its answers side by side;
attention lets an answer see its prompt and itself. Eight short answers then cost little more than one, and
give the same numbers: `answer_logprobs_alone` reads a document for each and is the oracle.

The last token of an answer is drawn and not read again, so it is a target and no input. What predicts the
first token stands behind the prompt's last, for all answers of the group.

Axes: N tokens of a row, B answers, T tokens of the longest answer, C width, H, J, D as in attention.

Book: model-training/preference-alignment
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from handbook.model.attention import attend_fused
from handbook.model.latent import LatentAttention
from handbook.model.transformer import Transformer
from handbook.train import forward
from handbook.train.examples import Example
from handbook.train.logprobs import head_of, token_logprobs
from handbook.train.packing import pack

Group = tuple[Sequence[int], Sequence[Sequence[int]]]
"""A prompt's tokens, and those of each answer to it; all have some."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Groups in one row.

    tokens, positions [N]: of prompts and answers; positions go on from the prompt in each of its answers.
    members [N]: 0 in a prompt, n in its n-th answer. bounds: G + 1 numbers, where groups begin.
    rows [B, T]: where in the row an answer's token is predicted; targets [B, T]: the tokens themselves;
    mask [B, T]: where there are any. Answers are in order of their groups.
    """

    tokens: Tensor
    positions: Tensor
    members: Tensor
    bounds: tuple[int, ...]
    rows: Tensor
    targets: Tensor
    mask: Tensor


def lay_out(groups: Sequence[Group]) -> Shared:
    """Groups side by side in one row. Raises ValueError for none, or an empty prompt or answer."""
    if not groups or not all(prompt and answers and all(answers) for prompt, answers in groups):
        raise ValueError("every group needs a prompt and answers, and each of them a token")
    tokens: list[int] = []
    positions: list[int] = []
    members: list[int] = []
    bounds, rows, targets = [0], [], []
    for prompt, answers in groups:
        behind = len(tokens) + len(prompt) - 1
        tokens += prompt
        positions += range(len(prompt))
        members += [0] * len(prompt)
        for number, answer in enumerate(answers, 1):
            read = len(answer) - 1
            rows.append([behind, *range(len(tokens), len(tokens) + read)])
            targets.append(list(answer))
            tokens += answer[:-1]
            positions += range(len(prompt), len(prompt) + read)
            members += [number] * read
        bounds.append(len(tokens))
    lengths = torch.tensor([len(each) for each in targets])
    return Shared(
        tokens=torch.tensor(tokens),
        positions=torch.tensor(positions),
        members=torch.tensor(members),
        bounds=tuple(bounds),
        rows=_filled(rows),
        targets=_filled(targets),
        mask=torch.arange(int(lengths.max())) < lengths[:, None],
    )


def _filled(lists: Sequence[Sequence[int]]) -> Tensor:
    """[B, T], with zeros behind the shorter ones."""
    longest = max(map(len, lists))
    return torch.tensor([[*each, *[0] * (longest - len(each))] for each in lists])


class Groups:
    """Attention within groups, for packed rows (`handbook.model.cache.Attends`): an answer sees its prompt
    and itself up to each token, a prompt only itself."""

    def __init__(self, shared: Shared, windows: Sequence[int]) -> None:
        self.lengths = torch.tensor(shared.bounds).diff().tolist()
        self.windows = windows
        self.masks = {window: self._masks(shared, window) for window in set(windows)}

    def _masks(self, shared: Shared, window: int) -> list[Tensor]:
        parts = (torch.split(each, self.lengths) for each in (shared.members, shared.positions))
        found = []
        for member, position in zip(*parts, strict=True):
            seen = (member == 0) | (member[:, None] == member)
            distance = position[:, None] - position
            found.append(seen & (distance >= 0) & (distance < (window or len(position))))
        return found

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, softcap: float | None
    ) -> Tensor:
        """q [1, H, N, D]; k, v [1, J, N, D] -> [1, H, N, D]."""
        pieces = (torch.split(x, self.lengths, dim=2) for x in (q, k, v))
        each = zip(*pieces, self.masks[self.windows[layer]], strict=True)
        return torch.cat([attend_fused(a, b, c, mask, scale, softcap) for a, b, c, mask in each], dim=2)


def shareable(model: Transformer) -> bool:
    """Whether attention can be told who sees whom, and positions don't hang on how long a text becomes."""
    scaling = model.config.rope_scaling
    latent = any(isinstance(module, LatentAttention) for module in model.modules())
    return not latent and (scaling is None or scaling.kind not in ("dynamic", "longrope"))


def answer_states(model: Transformer, shared: Shared, checkpointing: bool | None = None) -> Tensor:
    """The normed state that each answer's token is predicted from: [B, T, C]; beyond an answer, anything.

    checkpointing: see `forward.hidden`. Raises ValueError where a text is longer than the model's context.
    """
    if int(shared.positions.max()) >= model.config.context:
        raise ValueError(f"texts have up to {model.config.context} tokens, got {int(shared.positions.max())}")
    fused = (fast := forward.FAST.get(model)) is not None and fast.fits(model)
    if fused or not shareable(model):  # fused blocks find what documents share by themselves
        return states_alone(model, shared, checkpointing)
    windows = [model.config.window(layer) for layer in range(model.config.layers)]
    views: dict[int, forward.View] = {
        window: (None, model.rotation(shared.positions, 0, window)) for window in set(windows)
    }
    states = forward.through(model, shared.tokens, views, Groups(shared, windows), checkpointing)
    return states.index_select(0, shared.rows.flatten()).view(*shared.rows.shape, -1)


def states_alone(model: Transformer, shared: Shared, checkpointing: bool | None = None) -> Tensor:
    """`answer_states`, with a document for each answer, its prompt before it."""
    documents, places, at = [], [], 0
    for prompt, answer in texts_of(shared):
        tokens = (*prompt, *answer[:-1])
        documents.append(Example(tokens, (False,) * len(tokens)))
        places.append(torch.arange(at + len(prompt) - 1, at + len(tokens)))
        at += len(tokens)
    states = forward.hidden(model, pack(documents), checkpointing)
    rows = [states.index_select(0, place) for place in places]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def texts_of(shared: Shared) -> list[tuple[list[int], list[int]]]:
    """Each answer with its prompt, as token ids."""
    found = []
    for row, target, mask in zip(shared.rows, shared.targets, shared.mask, strict=True):
        behind = int(row[0]) + 1
        start = max(bound for bound in shared.bounds if bound < behind)
        found.append((shared.tokens[start:behind].tolist(), target[mask].tolist()))
    return found


def logprobs_of(model: Transformer, states: Tensor, shared: Shared) -> Tensor:
    """log p of the answers' tokens, from the states that predict them: [B, T, C] -> fp32 [B, T], 0 beyond."""
    weight, bias = head_of(model)
    flat = states.flatten(0, 1).index_select(0, shared.mask.flatten().nonzero()[:, 0])
    found = token_logprobs(flat, weight, shared.targets[shared.mask], bias, model.config.logit_softcap)
    return found.new_zeros(shared.mask.shape).masked_scatter(shared.mask, found)


def answer_logprobs(model: Transformer, shared: Shared, checkpointing: bool | None = None) -> Tensor:
    """log p of each answer's tokens, given its prompt and what came before: fp32 [B, T], 0 beyond."""
    return logprobs_of(model, answer_states(model, shared, checkpointing), shared)


def answer_logprobs_alone(model: Transformer, shared: Shared) -> Tensor:
    """`answer_logprobs`, a document for each answer: the plain way."""
    return logprobs_of(model, states_alone(model, shared), shared)
