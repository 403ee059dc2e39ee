"""What a LoRA is made of: rank, scale, which layers, and what its factors begin as.

Axes: r rank, O channels out, I channels in.

Book: model-training/fine-tuning-strategies
"""

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

import torch
from torch import Tensor

from handbook.errors import AdapterError
from handbook.model.adapter_settings import MOST_RANK

Init = Literal["kaiming", "gaussian", "pissa"]
Precision = Literal["fp32", "bf16"]
ALL = "all-linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRAConfig:
    """A LoRA in numbers and switches (Hu et al. 2021, arXiv:2106.09685, section 4.1).

    r: rank. alpha: the change counts alpha / r times, or with rslora alpha / sqrt(r) times (Kalajdzievski
    2023, arXiv:2312.03732, section 3). dropout: of what the factors read. targets: "all-linear", every
    linear layer but the head; or patterns of our paths or transformers' names, whole or between dots:
    "query", "attention", "q_proj", "blocks.[0-3].mlp.*". dora: rows have lengths of their own, trained apart
    (Liu et al. 2024, arXiv:2402.09353, equation 5). init: see `STARTS`. dtype: of the factors; bf16 halves
    them and their gradients, and loses steps smaller than 1/256 of a value.

    Raises AdapterError that names all faults.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str | tuple[str, ...] = ALL
    rslora: bool = False
    dora: bool = False
    init: Init = "kaiming"
    dtype: Precision = "fp32"

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.r <= MOST_RANK:
            faults.append(f"r should be from 1 to {MOST_RANK}, got {self.r}")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            faults.append(f"alpha should be positive, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            faults.append(f"dropout should be from 0 to below 1, got {self.dropout}")
        if not self.targets or not all(self.targets):
            faults.append("targets should be all-linear or patterns of layers' names, got none")
        for field, known in (("init", Init), ("dtype", Precision)):
            if (got := getattr(self, field)) not in get_args(known):
                faults.append(f"{field} should be one of {', '.join(get_args(known))}, got {got!r}")
        if faults:
            raise AdapterError(f"The LoRA cannot be: {'; '.join(faults)}.", "Correct it.", tuple(faults))

    @property
    def scale(self) -> float:
        return self.alpha / (self.r**0.5 if self.rslora else self.r)

    @property
    def torch_dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.dtype == "bf16" else torch.float32


def chosen(targets: str | tuple[str, ...], names: dict[str, tuple[str, ...]]) -> list[str]:
    """The paths among `names` (path -> all that the layer is called) that the patterns mean, in their order.

    Raises AdapterError that names every pattern without a layer, and what comes nearest.
    """
    if targets == ALL:
        return [path for path in names if path.rpartition(".")[2] != "head"]
    patterns = (targets,) if isinstance(targets, str) else targets
    found = {
        pattern: [path for path, all_of in names.items() if _any(all_of, pattern)] for pattern in patterns
    }
    lost = [f"{pattern!r}{_near(pattern, names.values())}" for pattern, paths in found.items() if not paths]
    if lost:
        raise AdapterError(f"No linear layer is called {', '.join(lost)}.", "Correct targets.", tuple(lost))
    return [path for path in names if any(path in paths for paths in found.values())]


def _any(names: tuple[str, ...], pattern: str) -> bool:
    forms = pattern, f"*.{pattern}", f"{pattern}.*", f"*.{pattern}.*"
    return any(fnmatchcase(name, form) for name in names for form in forms)


def _near(pattern: str, names: Iterable[tuple[str, ...]]) -> str:
    last = {part for all_of in names for name in all_of for part in name.split(".") if not part.isdigit()}
    close = difflib.get_close_matches(pattern.rpartition(".")[2], sorted(last), 1, 0.5)
    return f" (nearest: {close[0]})" if close else ""


Start = Callable[[int, Tensor, float, torch.Generator], tuple[Tensor, Tensor]]


def kaiming(r: int, weight: Tensor, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A uniform within 1 / sqrt(I), as torch begins a linear layer and peft a LoRA; B zero."""
    bound = weight.shape[1] ** -0.5
    a = torch.empty(r, weight.shape[1]).uniform_(-bound, bound, generator=random)
    return a, torch.zeros(weight.shape[0], r)


def gaussian(r: int, weight: Tensor, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A normal with deviation 1 / r; B zero. The paper's own (section 4.1); the deviation is peft's."""
    return torch.randn(r, weight.shape[1], generator=random) / r, torch.zeros(weight.shape[0], r)


def pissa(r: int, weight: Tensor, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The r largest singular values and vectors of W, half in each: s B A is W's best part of rank r, which
    is then taken off W (Meng et al. 2024, arXiv:2404.02948, equations 2 to 4)."""
    u, s, v = torch.linalg.svd(weight.float(), full_matrices=False)
    root = (s[:r] / scale).sqrt()
    return root[:, None] * v[:r], u[:, :r] * root


STARTS: dict[Init, Start] = {"kaiming": kaiming, "gaussian": gaussian, "pissa": pissa}
"""(r, W [O, I], scale, generator) -> A [r, I], B [O, r]."""
