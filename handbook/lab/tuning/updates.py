"""An update whole and cut to a rank: a small decoder learns letters, then a new form of writing them, and the
difference of its weights is taken apart by singular values.

All is made here in seconds, of the lab's own passage. First the decoder is trained from nothing on that text
and on the same in capitals. Then the linear layers of its blocks are trained in full on words that begin with
a capital, and what that changed is cut to its best part of rank r, layer by layer (Eckart and Young 1936). It
is the best a LoRA of that rank could have copied of it, not what a LoRA would have found.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.lab import kit
from handbook.lab.transformer.subjects import PASSAGE
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.tiny import initialise

LENGTH, BATCH, FIRST, THEN = 48, 16, 160, 60
HELD_OUT = 0.2  # of the passage, at its end
LETTERS = sorted(set(PASSAGE + PASSAGE.upper() + PASSAGE.title()))
CONFIG = ModelConfig(
    vocab_size=len(LETTERS),
    dim=64,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=16,
    hidden_dim=128,
    context=LENGTH,
    tie_embeddings=True,
)


@dataclass(frozen=True)
class Update:
    """before, after: held-out loss in the new form, nats per letter. changes: what was added, [O, I] by path
    of the layer; spectra: their singular values, the largest first."""

    base: Transformer
    before: float
    after: float
    changes: dict[str, Tensor]

    @property
    def spectra(self) -> dict[str, list[float]]:
        return {path: torch.linalg.svdvals(change).tolist() for path, change in self.changes.items()}

    def kept(self, r: int) -> float:
        """Share of the squared numbers of all changes together that rank r keeps."""
        squares = [[value**2 for value in values] for values in self.spectra.values()]
        return sum(sum(values[:r]) for values in squares) / sum(map(sum, squares))


def encoded(text: str) -> Tensor:
    return torch.tensor([LETTERS.index(letter) for letter in text])


def parts() -> tuple[Tensor, Tensor, Tensor]:
    """What the base learns from, what the new form is learnt from, and what is held out of it."""
    end = round((1 - HELD_OUT) * len(PASSAGE))
    seen, rest = PASSAGE[:end], PASSAGE[end:]
    return encoded(seen + seen.upper()), encoded(seen.title()), encoded(rest.title())


@cache
def update() -> Update:
    """Trained once per process, on one thread, in some seconds."""
    first, then, held_out = parts()
    with kit.threads(1), torch.random.fork_rng(devices=[]):
        base = Transformer(CONFIG)
        initialise(base, seed=0)
        train(base, list(base.parameters()), first, FIRST, 5e-3)
        tuned = deepcopy(base)
        layers = layers_of(tuned)
        train(tuned, [layer.weight for layer in layers.values()], then, THEN, 1e-3)
        changes = {
            path: (layer.weight - layers_of(base)[path].weight).detach() for path, layer in layers.items()
        }
        return Update(base, loss_on(base, held_out), loss_on(tuned, held_out), changes)


def layers_of(model: Transformer) -> dict[str, nn.Linear]:
    return {path: layer for path, layer in model.named_modules() if isinstance(layer, nn.Linear)}


def train(model: Transformer, weights: list[Tensor], text: Tensor, steps: int, rate: float) -> None:
    """AdamW on random windows of the text, the rate falling in a line."""
    model.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    optimizer, draw = torch.optim.AdamW(weights, lr=rate, fused=True), torch.Generator().manual_seed(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        starts = torch.randint(len(text) - LENGTH, (BATCH, 1), generator=draw)
        windows = text[starts + torch.arange(LENGTH + 1)]
        loss = letters_loss(model, windows[:, :-1], windows[:, 1:])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    model.requires_grad_(False)


def letters_loss(model: Transformer, ids: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())


@torch.no_grad()
def loss_on(model: Transformer, text: Tensor) -> float:
    """Nats per letter of a text in windows side by side."""
    count = (len(text) - 1) // LENGTH
    ids, targets = (text[at : at + count * LENGTH].view(count, LENGTH) for at in (0, 1))
    return float(letters_loss(model, ids, targets))


def best_part(change: Tensor, r: int) -> Tensor:
    """The nearest matrix of rank r."""
    u, s, v = torch.linalg.svd(change, full_matrices=False)
    best: Tensor = (u[:, :r] * s[:r]) @ v[:r]
    return best


@cache
def loss_of_rank(r: int) -> float:
    """Held-out loss of the base with the best part of rank r of each layer's change."""
    found = update()
    with kit.threads(1), torch.no_grad():
        model = deepcopy(found.base)
        for path, layer in layers_of(model).items():
            layer.weight += best_part(found.changes[path], r)
        return loss_on(model, parts()[2])
