"""Several LoRA adapters beside one model, in one batch: each sequence has its own, or none.

Hu et al. 2021 (arXiv:2106.09685), section 4.1: an adapted product is W x + s B A x, with B A of low rank. The
weights are read once for all rows; what an adapter adds is computed for its own rows only (Chen et al. 2023,
Punica, arXiv:2310.18547, section 3, and Sheng et al. 2023, S-LoRA, arXiv:2311.03285, section 5, do so on
GPUs). Rows of an adapter stand together: works are put in that order before, and logits back into theirs
after.

Here is what all executors share, and how torch computes it: `Beside` is the same model over the same weights,
whose linear layers add what the rows' adapters say. The model itself is never touched, so a batch without
adapters runs as if there were none.

Axes: N rows of a batch, K inputs, O outputs, r rank, M rows whose logits are wanted.

Book: model-training/fine-tuning-strategies
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.engine.work import Batch, Work, rows_wanted
from handbook.errors import AdapterError
from handbook.model.adapters import Adapter
from handbook.model.attention import Attention
from handbook.model.layers import GeluMLP, SwiGLU
from handbook.model.transformer import Transformer


class Low(NamedTuple):
    """What is added to a product: B (A x), the scale within B."""

    a: Tensor  # [r, K]
    b: Tensor  # [O, r]

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> "Low":
        return Low(self.a.to(device, dtype).contiguous(), self.b.to(device, dtype).contiguous())

    @property
    def nbytes(self) -> int:
        return self.a.nbytes + self.b.nbytes


Lows = Mapping[str, Low]
"""An adapter, by the path of the linear layer that it adds to."""


@runtime_checkable
class Adapting(Protocol):
    """An executor that computes with adapters, under numbers that `Work.adapter` names."""

    def adapt(self, number: int, lows: Lows) -> None:
        """Keep an adapter, which came through `lows_of`."""
        ...

    def drop(self, number: int) -> None:
        """Let it go; no work names it any more."""
        ...


def places(model: Transformer) -> dict[str, nn.Linear]:
    """The linear layers that rows of a batch pass in order, by path: those of attention and of a network that
    is no mixture of experts."""
    found = {}
    for number, block in enumerate(model.blocks):
        for part in ("attention", "mlp"):
            module = getattr(block, part)
            if isinstance(module, Attention | SwiGLU | GeluMLP):
                for name, child in module.named_children():
                    if isinstance(child, nn.Linear):
                        found[f"blocks.{number}.{part}.{name}"] = child
    return found


def lows_of(model: Transformer, adapter: Adapter) -> dict[str, Low]:
    """An adapter's parts as they are added to this model's products, fp32.

    Raises AdapterError with everything that keeps it from being served beside others: layers that the model
    lacks, or that see rows in another order; other widths; a magnitude (DoRA scales the whole product, and so
    the model's own part); numbers that are not finite, which would be in every answer.
    """
    there, lows, faults = places(model), {}, []
    for path, factors in adapter.factors.items():
        linear = there.get(path)
        if linear is None:
            faults.append(f"{path} is no linear layer of attention or of a dense network here")
            continue
        low = Low(factors.a.detach().float(), factors.b.detach().float() * factors.scale)
        if (low.b.shape[0], low.a.shape[1]) != linear.weight.shape or low.b.shape[1] != low.a.shape[0]:
            faults.append(
                f"{path} is {list(low.b.shape)} by {list(low.a.shape)}, and {list(linear.weight.shape)} here"
            )
        if factors.magnitude is not None:
            faults.append(f"{path} has a magnitude (DoRA)")
        if not all(bool(torch.isfinite(each).all()) for each in low):
            faults.append(f"{path} has numbers that are not finite")
        lows[path] = low
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise AdapterError(
            f"The adapter {adapter.name} can't be served beside others: {'; '.join(faults[:5])}{more}.",
            "Merge it into the model it was trained on, and serve that; or choose an adapter of this model.",
            tuple(faults),
        )
    return lows


class Group(NamedTuple):
    """Rows `begin` to `end` have this adapter."""

    begin: int
    end: int
    number: int


def groups_of(works: Iterable[Work]) -> list[Group]:
    """The rows of works that stand one after another; those without an adapter are in no group."""
    groups: list[Group] = []
    end = 0
    for work in works:
        begin, end = end, end + len(work.tokens)
        if groups and groups[-1].number == work.adapter and groups[-1].end == begin:
            begin = groups.pop().begin
        if work.adapter:
            groups.append(Group(begin, end, work.adapter))
    return groups


def adapted(batch: Batch) -> bool:
    """Whether any of its works has an adapter."""
    return any(work.adapter for work in batch.work)


class Sorted(NamedTuple):
    """A batch whose works stand by adapter. order: their places before, None where nothing had to move."""

    batch: Batch
    order: list[int] | None

    @classmethod
    def of(cls, batch: Batch) -> "Sorted":
        order = sorted(range(len(batch.work)), key=lambda n: batch.work[n].adapter)
        if order == list(range(len(order))):
            return cls(batch, None)
        return cls(replace(batch, work=tuple(batch.work[n] for n in order)), order)

    def wanted(self) -> list[int]:
        """The rows of the batch whose logits are wanted, as the works stood before: [M]."""
        rows, end = [], 0
        for work in self.batch.work:
            end += len(work.tokens)
            rows.append(range(end - rows_wanted(work), end))
        if self.order is not None:
            rows = [found for _, found in sorted(zip(self.order, rows, strict=True))]
        return list(chain.from_iterable(rows))


class Resident:
    """Who has which rows in the step that runs."""

    groups: Sequence[Group] = ()


class BesideLinear(nn.Module):
    """A linear layer, and what the rows' adapters add: [..., N, K] -> [..., N, O], N counted through."""

    def __init__(self, base: nn.Linear, resident: Resident) -> None:
        super().__init__()
        self.base, self.resident = base, resident
        self.lows: dict[int, Low] = {}

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base(x)
        rows, out = x.reshape(-1, x.shape[-1]), y.view(-1, y.shape[-1])
        for begin, end, number in self.resident.groups:
            if (low := self.lows.get(number)) is not None:
                out[begin:end] += F.linear(F.linear(rows[begin:end], low.a), low.b)
        return y


class Beside:
    """A model over the same weights as another, with adapters."""

    def __init__(self, model: Transformer) -> None:
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self.model: Transformer = copy.deepcopy(model, shared)
        self.resident = Resident()
        self.linears: dict[str, BesideLinear] = {}
        for path, linear in places(self.model).items():
            parent, _, name = path.rpartition(".")
            self.linears[path] = BesideLinear(linear, self.resident)
            setattr(self.model.get_submodule(parent), name, self.linears[path])

    def adapt(self, number: int, lows: Lows) -> None:
        """See `Adapting`."""
        for path, low in lows.items():
            self.linears[path].lows[number] = low.to(self.model.dtype, self.model.device)

    def drop(self, number: int) -> None:
        """See `Adapting`."""
        for linear in self.linears.values():
            linear.lows.pop(number, None)

    def choose(self, works: Iterable[Work]) -> None:
        """These works' rows are what passes next."""
        self.resident.groups = groups_of(works)


def paths_of(layer: int) -> Iterator[tuple[str, ...]]:
    """Of the four products of a block of Llama's form, the linear layers side by side in each."""
    attention, mlp = f"blocks.{layer}.attention", f"blocks.{layer}.mlp"
    yield f"{attention}.query", f"{attention}.key", f"{attention}.value"
    yield (f"{attention}.out",)
    yield f"{mlp}.gate", f"{mlp}.up"
    yield (f"{mlp}.down",)
