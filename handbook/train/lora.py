"""LoRA: the model stays as it is, and some of its layers get a change of low rank that is trained alone.

W x becomes W x + s B A x (Hu et al. 2021, arXiv:2106.09685, section 4.1, equation 3). A model holds one
adapter at a time; as records (`handbook.model.adapters`) any number of them share a base, and `apply_adapter`
changes from one to another. The base is never written to.

Axes: N tokens, r rank, O channels out, I channels in.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.errors import AdapterError
from handbook.model.adapter_names import linears, places
from handbook.model.adapters import Adapter, Factors
from handbook.model.config import ModelConfig
from handbook.train.lora_config import STARTS, chosen
from handbook.train.lora_config import LoRAConfig as LoRAConfig


class LoRALinear(nn.Module):
    """A linear layer and its change: [..., I] -> [..., O].

    Args:
        base: the layer, `nn.Linear` or `NF4Linear`; frozen here.
        factors: what the change begins as. Its tensors become parameters a, b and (DoRA) magnitude.
        dropout: of what the factors read, in training.
        off: a, b of the same shapes that count negative and are not trained: with PiSSA what the factors
            begin as, so that W - s B0 A0 need not be stored, and W stays whole.

    Where x is bf16, factors in fp32 are cast on use.
    """

    off_a: Tensor | None
    off_b: Tensor | None

    def __init__(
        self,
        base: nn.Module,
        factors: Factors,
        dropout: float = 0.0,
        off: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.out_features, self.in_features = len(factors.b), factors.a.shape[1]
        self.a, self.b = nn.Parameter(factors.a), nn.Parameter(factors.b)
        self.magnitude = None if factors.magnitude is None else nn.Parameter(factors.magnitude)
        self.scale, self.dropout, self.on = factors.scale, dropout, True
        self.register_buffer("off_a", None if off is None else off[0])
        self.register_buffer("off_b", None if off is None else off[1])
        self.kept: tuple[nn.Module, ...] = ()  # the base, while `base` is the merged layer

    @property
    def factors(self) -> Factors:
        """The whole change, with PiSSA of twice the rank: s (B A - B0 A0) is s [B, -B0] [A; A0]."""
        if self.off_a is None or self.off_b is None:
            return Factors(self.a, self.b, self.scale, self.magnitude)
        a = torch.cat((self.a, self.off_a.to(self.a.dtype)))
        b = torch.cat((self.b, -self.off_b.to(self.b.dtype)), dim=1)
        return Factors(a, b, self.scale, self.magnitude)

    @property
    def weight(self) -> Tensor:
        """The layer's weight [O, I] as it now counts, change included (without dropout)."""
        base: Any = self.kept[0] if self.kept and not self.on else self.base
        weight: Tensor = base.weight
        return weight if self.kept or not self.on else self.factors.weight(weight)

    @property
    def bias(self) -> Tensor | None:
        bias: Tensor | None = getattr(self.base, "bias", None)
        return bias

    def forward(self, x: Tensor) -> Tensor:
        if self.kept or not self.on:
            return (self.kept[0] if self.kept and not self.on else self.base)(x)  # type: ignore[no-any-return]
        y: Tensor = self.base(x)
        f = self.factors
        dropped = F.dropout(x, self.dropout, self.training) if self.dropout else x
        change = F.linear(F.linear(dropped, f.a.to(x.dtype)), f.b.to(x.dtype)) * f.scale
        if f.magnitude is None:
            return y + change
        return y + self._lengthened(y, dropped, x is dropped, change, f)

    def _lengthened(self, y: Tensor, dropped: Tensor, whole: bool, change: Tensor, f: Factors) -> Tensor:
        """What DoRA adds to y: with g = m / |W + s B A| by row, g (W x + s B A x) - W x. The length below is
        taken for a constant in the gradient, as the paper's section 4.3 has it."""
        base: Any = self.base
        with torch.no_grad():
            length = torch.linalg.vector_norm(
                base.weight.float() + f.scale * (f.b.float() @ f.a.float()), dim=1
            )
        gain = (f.magnitude / length).to(y.dtype)
        plain = F.linear(dropped, base.weight) if not whole else y if self.bias is None else y - self.bias
        return (gain - 1) * plain + gain * change  # type: ignore[no-any-return]

    def merge(self) -> None:
        """Put the change into the weight. The base is kept, so merged layers take their weights' memory
        twice."""
        if self.kept:
            return
        merged = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        with torch.no_grad():
            merged.weight = nn.Parameter(self.factors.weight(self._plain().weight), requires_grad=False)
        merged.register_parameter("bias", getattr(self.base, "bias", None))
        self.kept, self.base = (self.base,), merged

    def unmerge(self) -> None:
        """The base comes back bit for bit: it is the very tensor, and nothing is subtracted."""
        if self.kept:
            (self.base,), self.kept = self.kept, ()

    def _plain(self) -> Any:
        return self.kept[0] if self.kept else self.base

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "LoRALinear":
        for module in self.kept:  # a change of dtype or device is for the base as well
            module._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-any-return,no-untyped-call]


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """Path -> layer, of all that have a change."""
    return {path: module for path, module in model.named_modules() if isinstance(module, LoRALinear)}


def add_lora(model: nn.Module, config: LoRAConfig, seed: int = 0) -> list[str]:
    """Wrap the layers that `config.targets` means, freeze all else, and return their paths.

    Raises AdapterError where the model has a LoRA already, where no layer is meant, and for PiSSA of a rank
    that a layer doesn't have.
    """
    if lora_layers(model):
        raise AdapterError("The model has an adapter already.", "Merge or remove it before adding another.")
    sizes = linears(model)
    paths = chosen(config.targets, {path: (path, *theirs) for path, theirs in _names(model).items()})
    small = [path for path in paths if min(sizes[path]) < config.r]
    if config.init == "pissa" and small:
        raise AdapterError(
            f"PiSSA of rank {config.r} needs layers of that rank; {small[0]} has {min(sizes[small[0]])}.",
            "Take a smaller r, or other targets.",
        )
    model.requires_grad_(False)
    random = torch.Generator().manual_seed(seed)
    for path in paths:
        base: Any = model.get_submodule(path)
        weight: Tensor = base.weight.detach().float()
        kind = weight.device, config.torch_dtype
        a, b = (t.to(*kind) for t in STARTS[config.init](config.r, weight, config.scale, random))
        long = weight.norm(dim=1).to(*kind) if config.dora else None
        off = (a.clone(), b.clone()) if b.any() else None
        put(model, path, LoRALinear(base, Factors(a, b, config.scale, long), config.dropout, off))
    return paths


def _names(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Path -> transformers' names of the layer, none where the model is no decoder of ours."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(linears(model), ())
    config = getattr(model, "config", None)
    if isinstance(config, ModelConfig):
        for theirs, place in places(model, config).items():
            for path, _ in place.parts:
                found[path] = (*found[path], theirs)
    return found


def put(model: nn.Module, path: str, layer: nn.Module) -> None:
    """`layer` in place of the one at `path`, in its mode of training or inference."""
    parent, _, name = path.rpartition(".")
    layer.train(model.get_submodule(path).training)
    setattr(model.get_submodule(parent), name, layer)


def merge(model: nn.Module) -> None:
    """Every change into its weight: the model computes as fast as its base. It costs the memory of the merged
    weights, because the base is kept for `unmerge`; `remove_lora` afterwards lets go of it."""
    for layer in lora_layers(model).values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """The base bit for bit, with the changes beside it again."""
    for layer in lora_layers(model).values():
        layer.unmerge()


def remove_lora(model: nn.Module) -> None:
    """Plain layers again: the merged ones where the model is merged, else the base."""
    for path, layer in lora_layers(model).items():
        put(model, path, layer.base)


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, the model computes what its base does, bit for bit: DPO's reference without a second model."""
    layers = lora_layers(model).values()
    before = [(layer, layer.on) for layer in layers]
    try:
        for layer in layers:
            layer.on = False
        yield model
    finally:
        for layer, on in before:
            layer.on = on


def adapter_of(model: nn.Module, name: str = "adapter", base: str = "", rslora: bool = False) -> Adapter:
    """The model's changes as a record of its own tensors, on the CPU. base: what the model is called.

    Raises AdapterError for a model without any.
    """
    layers = lora_layers(model)
    if not layers:
        raise AdapterError("The model has no adapter.", "Add one with add_lora.")

    def copied(f: Factors) -> Factors:
        a, b, long = (None if t is None else t.detach().cpu().clone() for t in (f.a, f.b, f.magnitude))
        assert a is not None
        assert b is not None
        return Factors(a, b, f.scale, long)

    factors = {path: copied(layer.factors) for path, layer in layers.items()}
    return Adapter(name, factors, base, rslora, next(iter(layers.values())).dropout)


def apply_adapter(model: nn.Module, adapter: Adapter) -> list[str]:
    """Make `adapter` the model's one, in place of what it has; its factors are then what trains. Returns
    the paths. Raises AdapterError with all layers that the model lacks or has in another shape."""
    sizes, faults = linears(model), []
    for path, f in adapter.factors.items():
        wanted, got = sizes.get(path), (f.b.shape[0], f.a.shape[1])
        if wanted != got:
            faults.append(
                f"{path} is {got[0]} x {got[1]} there" + (f", {wanted} here" if wanted else ", none here")
            )
    if faults:
        what = f"The adapter {adapter.name} doesn't fit the model: {'; '.join(faults[:8])}."
        raise AdapterError(
            what, f"Take the model that it was made for{adapter.base and f', {adapter.base}'}.", tuple(faults)
        )
    unmerge(model)
    remove_lora(model)
    model.requires_grad_(False)
    for path, f in adapter.factors.items():
        base: Any = model.get_submodule(path)
        own = [None if t is None else t.to(base.weight.device, copy=True) for t in (f.a, f.b, f.magnitude)]
        assert own[0] is not None
        assert own[1] is not None
        put(model, path, LoRALinear(base, Factors(own[0], own[1], f.scale, own[2]), adapter.dropout))
    return list(adapter.factors)
