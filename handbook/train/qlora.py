"""QLoRA: LoRA on a base of four bits (Dettmers et al. 2023, arXiv:2305.14314, section 3).

The base in NF4 with double quantization, what is left of it (embedding, norms, head) in bf16, factors in fp32
or bf16, the optimizer's state in fp32 or, with `optimizer="adamw8bit"`, in 8 bits (`handbook.train.adam8`).
The paper pages that state between a GPU's memory and the computer's; where training runs on the processor
there is but one memory, so there is nothing to page: 8 bits is what is offered.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from handbook.quantize.layers import NF4Linear, quantize_model
from handbook.train.lora import LoRAConfig, add_lora


def add_qlora(
    model: nn.Module,
    config: LoRAConfig,
    seed: int = 0,
    double: bool = True,
    rest: torch.dtype = torch.bfloat16,
) -> list[str]:
    """Put the model's linear layers into NF4, all else into `rest`, and add a LoRA; returns the paths of the
    layers that have one. With init="pissa" the singular vectors are those of the weight as it is quantized.

    Raises ValueError as `quantize_model`, AdapterError as `add_lora`.
    """
    quantize_model(model, double=double)
    model.to(rest)
    for layer in model.modules():
        if isinstance(layer, NF4Linear):
            layer.dtype = rest
    return add_lora(model, config, seed)


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that training holds from step to step; activations come on top. Tensors that are shared count
    once."""

    quantized: int  # codes and their statistics
    embedding: int  # and the head, where it has weights of its own
    rest: int  # base weights in no fewer bits: norms, biases, layers without quantization
    factors: int  # what trains
    gradients: int  # of what trains, one number each, while a step runs
    optimizer: int

    @property
    def weights_and_optimizer(self) -> int:
        return self.quantized + self.embedding + self.rest + self.factors + self.optimizer


def held(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Held:
    """What is held now: the optimizer's state is there after its first step."""
    seen: set[int] = set()
    sums = dict.fromkeys(("quantized", "embedding", "rest", "factors", "gradients", "optimizer"), 0)

    def count(kind: str, tensor: Tensor) -> None:
        if id(tensor) not in seen:
            seen.add(id(tensor))
            sums[kind] += tensor.nbytes

    for path, module in model.named_modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.requires_grad:
                sums["gradients"] += tensor.nbytes
                count("factors", tensor)
            elif isinstance(module, NF4Linear) and not tensor.is_floating_point():
                count("quantized", tensor)
            elif isinstance(module, nn.Embedding) or path.rpartition(".")[2] == "head":
                count("embedding", tensor)
            else:
                count("rest", tensor)
    for tensor in _tensors(None if optimizer is None else list(optimizer.state.values())):
        count("optimizer", tensor)
    return Held(**sums)


def _tensors(value: object) -> Iterator[Tensor]:
    """Every tensor within lists, tables and records."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors([getattr(value, name) for name in value.__dataclass_fields__])
