"""Adapters: a low-rank change of some layers of a model, kept apart from it.

LoRA (Hu et al. 2021, arXiv:2106.09685, section 4.1): a layer's weight W becomes W + s B A, where A [r, I]
and B [O, r] have few numbers. DoRA (Liu et al. 2024, arXiv:2402.09353, equation 5) then gives each row a
length of its own. On disk an adapter is the folder that peft writes: `adapter_config.json` and
`adapter_model.safetensors`, with transformers' names.

Axes: r rank, O channels out, I channels in.

Book: model-training/fine-tuning-strategies
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

from handbook.errors import AdapterError, ModelFileError
from handbook.model.adapter_names import Place, places
from handbook.model.adapter_settings import LoRASettings, read_settings
from handbook.model.config import ModelConfig
from handbook.model.weights.safetensors import SafetensorsWeights

WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"
SHOWN = 8  # faults in one message; the rest are counted, and all are in `faults`
_NAME = re.compile(r"base_model\.model\.(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.weight)?")


@dataclass(frozen=True, slots=True)
class Factors:
    """The change of one layer: a [r, I], b [O, r], scale s, and with DoRA the magnitude [O]."""

    a: Tensor
    b: Tensor
    scale: float
    magnitude: Tensor | None = None

    def weight(self, base: Tensor) -> Tensor:
        """base [O, I] -> the changed weight [O, I], calculated in fp32 and given in base's dtype."""
        changed = base.float() + self.scale * (self.b.float() @ self.a.float())
        if self.magnitude is not None:
            changed = changed * (self.magnitude.float() / changed.norm(dim=1))[:, None]
        return changed.to(base.dtype)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A named change of a model. factors: by path in our model, `blocks.3.attention.query`; base: what the
    model was called that it was made for; rslora: how its scales are written, alpha / sqrt(r)."""

    name: str
    factors: Mapping[str, Factors]
    base: str = ""
    rslora: bool = False
    dropout: float = 0.0

    @property
    def parameters(self) -> int:
        held = [t for f in self.factors.values() for t in (f.a, f.b, f.magnitude) if t is not None]
        return sum(tensor.numel() for tensor in held)

    def to(self, dtype: torch.dtype) -> "Adapter":
        """The same with all tensors in `dtype`."""

        def cast(f: Factors) -> Factors:
            long = None if f.magnitude is None else f.magnitude.to(dtype)
            return Factors(f.a.to(dtype), f.b.to(dtype), f.scale, long)

        return replace(self, factors={path: cast(f) for path, f in self.factors.items()})


def config_of(model: nn.Module) -> ModelConfig:
    config = getattr(model, "config", None)
    if not isinstance(config, ModelConfig):
        raise TypeError(f"an adapter belongs to a decoder of this package, got {type(model).__name__}")
    return config


def read_adapter(
    folder: Path | str, model: nn.Module, name: str | None = None, family: str | None = None
) -> Adapter:
    """An adapter in peft's format for `model`, checked against its layers before any tensor is read.

    Args:
        name: what it is called here; its folder's name if not given.
        family: one of `families.FAMILIES`, whose names its tensors have; found by itself for all but Phi-3.

    Raises AdapterError with all faults: settings that cannot be or are not computed here, layers that the
    model doesn't have, shapes that don't fit, values that are no numbers, a pickle in place of safetensors.
    """
    folder = Path(folder).expanduser()
    settings, weights = _opened(folder)
    known = places(model, config_of(model), family)
    found, faults = _by_layer(weights.shapes, known)
    for theirs, keys in found.items():
        faults += _misfits(theirs, {kind: weights.shapes[key] for kind, key in keys.items()}, known, settings)
    _raise(folder, faults, settings.base)
    needed = 8 * sum(math.prod(shape) for shape in weights.shapes.values())
    if needed > psutil.virtual_memory().available:
        _raise(folder, [f"it may need {needed / 1e9:.1f} GB of memory, and that is not free"])
    factors: dict[str, Factors] = {}
    for theirs, keys in found.items():
        tensors = {kind: weights.tensor(key) for kind, key in keys.items()}
        for kind, tensor in tensors.items():
            if not tensor.is_floating_point() or not tensor.isfinite().all():
                faults.append(f"{theirs}: {kind} holds values that are no finite numbers")
        factors |= _apart(tensors, known[theirs], settings.scale(theirs))
    _raise(folder, faults, settings.base)
    return Adapter(name or folder.resolve().name, factors, settings.base, settings.rslora)


def _opened(folder: Path) -> tuple[LoRASettings, SafetensorsWeights]:
    faults: list[str] = []
    if not folder.is_dir():
        _raise(folder, ["there is no such folder"])
    settings = read_settings(folder, faults)
    if not (folder / WEIGHTS).is_file():
        pickled = (
            f", and {PICKLE} is a pickle, which could run code and is not opened: save it as safetensors"
        )
        faults.append(f"{WEIGHTS} is missing" + (pickled if (folder / PICKLE).exists() else ""))
    _raise(folder, faults)
    assert settings is not None
    try:
        return settings, SafetensorsWeights(folder / WEIGHTS)
    except ModelFileError as error:
        raise AdapterError(error.what, "Save or fetch it again.", (error.what,)) from error


def _by_layer(
    shapes: Mapping[str, tuple[int, ...]], known: Mapping[str, Place]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Their layer -> kind of tensor -> key in the file; and what has no place here."""
    found: dict[str, dict[str, str]] = {}
    faults = [] if shapes else [f"{WEIGHTS} holds no tensor"]
    for key in shapes:
        match = _NAME.fullmatch(key)
        if match is None:
            faults.append(f"{_short(key)} is no tensor of a LoRA adapter of linear layers")
        elif match[1] not in known:
            faults.append(f"{_short(match[1])} is no layer of this model")
        else:
            found.setdefault(match[1], {})[match[2]] = key
    return found, faults


def _misfits(
    theirs: str, shapes: Mapping[str, tuple[int, ...]], known: Mapping[str, Place], settings: LoRASettings
) -> list[str]:
    place, r = known[theirs], settings.rank(theirs)
    wanted: dict[str, tuple[int, ...]] = {"lora_A": (r, place.width), "lora_B": (place.rows, r)}
    wanted |= {"lora_magnitude_vector": (place.rows,)} if settings.dora else {}
    faults = [f"{theirs} has a {kind}, and use_dora is false" for kind in shapes if kind not in wanted]
    for kind, shape in wanted.items():
        got = shapes.get(kind)
        if got is None:
            faults.append(f"{theirs} has no {kind}")
        elif got != shape:
            faults.append(f"{theirs}: {kind} should be {list(shape)} in this model, got {list(got)}")
    return faults


def _apart(tensors: Mapping[str, Tensor], place: Place, scale: float) -> Iterator[tuple[str, Factors]]:
    start = 0
    for path, rows in place.parts:
        part = slice(start, start + rows)
        long = tensors.get("lora_magnitude_vector")
        yield (
            path,
            Factors(tensors["lora_A"], tensors["lora_B"][part], scale, None if long is None else long[part]),
        )
        start += rows


def _raise(folder: Path, faults: list[str], made: str = "") -> None:
    if not faults:
        return
    more = f" (and {len(faults) - SHOWN} more)" if len(faults) > SHOWN else ""
    for_whom = f" It says that it was made for {made!r}." if made else ""
    raise AdapterError(
        f"The adapter {folder} can't be used: {'; '.join(faults[:SHOWN])}{more}.{for_whom}",
        "Choose an adapter of this model, or the model that it was made for.",
        tuple(faults),
    )


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
