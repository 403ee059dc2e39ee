"""A layer's two names in adapters: ours, and what transformers calls it, for every family of decoders.

Where transformers keeps several of our layers in one (Phi-3's `qkv_proj`), one of its names stands for them
all, one below the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from handbook.errors import AdapterError
from handbook.model.config import ModelConfig
from handbook.model.families import FAMILIES


@dataclass(frozen=True, slots=True)
class Place:
    """What one of their layers is in our model. parts: our layers, from its first row to its last, with the
    rows of each; width: channels that it reads."""

    parts: tuple[tuple[str, int], ...]
    width: int

    @property
    def rows(self) -> int:
        return sum(count for _, count in self.parts)


def linears(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Path -> (out, in) of every linear layer, the head among them; what wraps one has its path."""
    found: dict[str, tuple[int, int]] = {}
    for path, module in model.named_modules():
        sizes = getattr(module, "out_features", None), getattr(module, "in_features", None)
        if not (isinstance(sizes[0], int) and isinstance(sizes[1], int)):
            continue
        if not any(path.startswith(f"{outer}.") for outer in found):
            found[path] = sizes[0], sizes[1]
    return found


def usual_family(config: ModelConfig) -> str:
    """A family whose names hold for such a decoder. What is kept in one tensor doesn't show in a
    configuration: Phi-3 has to be named."""
    if config.latent is not None:
        return "deepseek_v3"
    if config.layout == "parallel":
        return "phi"
    return "qwen2_moe" if config.mixture is not None and config.mixture.shared_hidden_dim else "llama"


def places(model: nn.Module, config: ModelConfig, family: str | None = None) -> dict[str, Place]:
    """Their names -> what each is in our model: those of `family`, or of the usual one and then all others.

    Raises AdapterError for a family that is unknown.
    """
    if family is not None and family not in FAMILIES:
        raise AdapterError(
            f"The names of family {family!r} are not known.", f"Choose one of {', '.join(FAMILIES)}."
        )
    chosen = [usual_family(config), *FAMILIES] if family is None else [family]
    sizes, found = linears(model), dict[str, Place]()
    for name in chosen:
        for place in _places(sizes, config, name).items():
            found.setdefault(*place)
    return found


def _places(sizes: Mapping[str, tuple[int, int]], config: ModelConfig, family: str) -> dict[str, Place]:
    table, found = FAMILIES[family].table, dict[str, Place]()
    for path, (rows, width) in sizes.items():
        theirs = table.theirs(f"{path}.weight")
        if theirs is not None:
            found[theirs.removesuffix(".weight")] = Place(((path, rows),), width)
    for split in FAMILIES[family].split:
        for first in [name for name in found if name.endswith(split.parts[0])]:
            stem = first.removesuffix(split.parts[0])
            names = [stem + part for part in split.parts]
            if all(name in found for name in names):
                parts = [found.pop(name) for name in names]
                found[stem + split.whole] = Place(tuple(p.parts[0] for p in parts), parts[0].width)
    return found
