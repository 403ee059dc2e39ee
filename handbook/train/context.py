"""What surrounds a step: random state, the precision of products, the order of sums.

Book: model-training/fine-tuning-strategies
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


def random_state() -> list[Tensor]:
    """State of torch's random generators: the processor's, then each GPU's where one is in use."""
    cuda: Any = torch.cuda
    return [torch.get_rng_state(), *(cuda.get_rng_state_all() if cuda.is_initialized() else [])]


def set_random_state(states: Sequence[Tensor]) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


def lowered(model: nn.Module, precision: str) -> Any:
    """A context in which matrix products are computed in `precision`; weights are cast where used."""
    if precision == "fp32":
        return nullcontext()
    device = next(model.parameters()).device.type
    return torch.autocast(device, torch.bfloat16)


@contextmanager
def repeatable() -> Iterator[None]:
    """Sums whose order threads would race for are taken in one order, so that two runs are equal bit for bit.

    With several threads torch adds up the gradient of an index in the order in which they come. Its switch
    also fills memory that nobody reads before writing it, which costs time and is turned off. On a GPU it
    asks for the fixed workspace that is named here.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    switch: Any = torch.utils.deterministic  # its attribute is made at run time
    filling = switch.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    switch.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        switch.fill_uninitialized_memory = filling
