"""Several processes, one model: each holds a share of every weight, and reads part of a batch.

Started by torch's own launcher, `torchrun --nproc-per-node 2 ...`; sharded by torch's own FSDP2,
`fully_shard` (Zhao et al. 2023, arXiv:2304.11277, section 3: what is gathered for a layer, and freed behind
it). Nothing here is needed in one process: `team()` has one member then, and the rest does nothing.

    with distributed.started():
        model = distributed.shard(model)
        for point in run(begin(model, config), config, batches, objective): ...

Batches stay a function of the step alone, so all processes know the whole batch, and take from it in turns.

Book: model-training/fine-tuning-strategies
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together, `size` of them; rank: which of them this one is, from 0."""

    rank: int = 0
    size: int = 1

    def gathered(self, value: T) -> list[T]:
        """What each process says, by rank. All have to ask."""
        if self.size == 1:
            return [value]
        said: list[Any] = [None] * self.size
        dist.all_gather_object(said, value)
        return said

    def summed(self, values: Mapping[str, float]) -> dict[str, float]:
        """The sum over all processes, by name. All have to ask, with the same names."""
        if self.size == 1:
            return dict(values)
        said = self.gathered(dict(values))
        return {name: sum(each[name] for each in said) for name in values}


def team() -> Team:
    """The processes that `started` joined; a team of one where there is none."""
    if not dist.is_initialized():
        return Team()
    return Team(dist.get_rank(), dist.get_world_size())


@contextmanager
def started() -> Iterator[Team]:
    """Join the processes that torchrun started, and leave them in the end; alone where it started none."""
    if "WORLD_SIZE" not in os.environ:
        yield Team()
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield team()
    finally:
        dist.destroy_process_group()


def shard(model: nn.Module) -> nn.Module:
    """Leave of every weight only this process's share, cut along the first axis. Each block is gathered by
    itself when it computes, the rest for as long as the whole does. Alone: the model as it is.

    All processes have to hold the same weights before. 8-bit moments are not for sharded weights.
    """
    if team().size == 1:
        return model
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    for blocks in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
        for block in blocks:
            fully_shard(block)
    fully_shard(model)
    root: Any = model
    root.computed = MethodType(lambda self, function: function(self), model)
    register_fsdp_forward_method(model, "computed")
    return model


def compute(model: nn.Module, function: Callable[[nn.Module], T]) -> T:
    """function(model), with the weights gathered that belong to no block: functions look into the model's
    parts (its head's weight), which plain sharding only allows within `forward`."""
    computed = getattr(model, "computed", None)
    result: T = function(model) if computed is None else computed(function)
    return result


def whole(value: Any) -> Any:
    """A sharded tensor in one piece, on the first process, and empty on the others; all have to ask. Anything
    else as it is."""
    if team().size == 1 or not isinstance(value, _sharded()):
        return value
    gathered = value.full_tensor().cpu()
    return gathered if team().rank == 0 else gathered.new_empty(0)


def number(value: Tensor) -> float:
    """A tensor of one number, sharded or not, as that number. All processes have to ask."""
    if team().size > 1 and isinstance(value, _sharded()):
        value = value.full_tensor()
    return value.item()


def like(value: Any, sample: Tensor) -> Any:
    """A tensor in one piece, cut as `sample` is where that is sharded and of its shape; else as it is."""
    if team().size == 1 or not isinstance(sample, _sharded()) or not isinstance(value, Tensor):
        return value
    if value.shape != sample.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(sample.device), sample.device_mesh, sample.placements)


def _sharded() -> Any:
    """The type of sharded tensors. Its import takes a while, and one process needs none."""
    from torch.distributed.tensor import DTensor

    return DTensor
