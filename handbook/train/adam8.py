"""AdamW whose two moments are kept in 8 bits: 2.03 bytes a weight instead of 8.

Dettmers et al. 2021 (arXiv:2110.02861), section 2: before a step the moments are read from their codes, after
it they are written back; the step itself is computed in fp32 from the moments before rounding. The first
moment has signed codes, the second unsigned ones, and each block of 256 its own scale.

Not covered: the paper's stable embedding layer (section 2.3), and sharded weights.

Book: model-training/fine-tuning-strategies
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from handbook.quantize.dynamic import BLOCK, Blocks, dequantize, quantize

SMALL = 4096  # weights of fewer numbers than this keep fp32 moments: they weigh nothing, and may be delicate
MOMENTS = ("first", "second")
PIECE = 1 << 17  # numbers that are stepped at once: only their moments are ever in fp32, and fit the cache


class AdamW8(torch.optim.Optimizer):
    """As torch.optim.AdamW, state apart. Weights may be in fp32 or bf16; sums are in fp32.

    Raises ValueError for weights that are sharded over processes: blocks would not be those of one process.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step on all weights that have a gradient. A closure is not taken."""
        if closure is not None:
            raise ValueError("AdamW8 takes no closure: compute loss and gradients before the step")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group)

    def _step(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state.update(_fresh(weight))
        state["step"] += 1
        flat, gradient = weight.reshape(-1), weight.grad.reshape(-1)  # type: ignore[union-attr]
        for start in range(0, flat.numel(), PIECE):
            piece = slice(start, min(start + PIECE, flat.numel()))
            first, second = (_read(state, name, piece) for name in MOMENTS)
            update(flat[piece], gradient[piece].float(), first, second, state["step"], group)
            _write(state, "first", piece, first)
            _write(state, "second", piece, second)
        if not weight.is_contiguous():  # then flat is a copy
            weight.copy_(flat.view(weight.shape))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, which would turn all state into the weights' type: codes stay codes."""
        super().load_state_dict(state_dict)
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for place, stored in state_dict["state"].items():
            weight = weights[place]
            self.state[weight] = {
                name: value.to(weight.device, copy=True) if isinstance(value, Tensor) else value
                for name, value in stored.items()
            }


def update(
    weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, group: dict[str, Any]
) -> None:
    """One step, in place: weight, gradient [N] and the two moments fp32 [N] of step 1, 2, ... Loshchilov and
    Hutter 2017 (arXiv:1711.05101), algorithm 2."""
    beta1, beta2 = group["betas"]
    first.mul_(beta1).add_(gradient, alpha=1 - beta1)
    second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    size = second.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
    new = weight.float().mul_(1 - group["lr"] * group["weight_decay"])  # in fp32 this is the weight itself
    new.addcdiv_(first, size, value=-group["lr"] / (1 - beta1**step))
    if weight.dtype != torch.float32:
        weight.copy_(new)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What an optimizer keeps between steps, in bytes."""
    states = optimizer.state.values()
    return sum(v.nbytes for state in states for v in state.values() if isinstance(v, Tensor))


def _fresh(weight: Tensor) -> dict[str, Any]:
    if hasattr(weight, "placements"):
        raise ValueError("8-bit moments are not sharded: use adamw for weights that processes share")
    size, coded = weight.numel(), weight.numel() >= SMALL
    kind = torch.uint8 if coded else torch.float32
    state: dict[str, Any] = {"step": 0}
    for name in MOMENTS:
        state[name] = torch.zeros(size, dtype=kind, device=weight.device)
        if coded:
            state[f"{name}_scales"] = torch.zeros(-(-size // BLOCK), device=weight.device)
    return state


def _read(state: dict[str, Any], name: str, piece: slice) -> Tensor:
    """A moment of a piece, fp32: the state's own where it isn't coded."""
    if state[name].dtype != torch.uint8:
        return state[name][piece]  # type: ignore[no-any-return]
    return dequantize(Blocks(state[name][piece], state[f"{name}_scales"][_blocks(piece)], name == "first"))


def _write(state: dict[str, Any], name: str, piece: slice, moment: Tensor) -> None:
    """Put a moment back into its codes. A second moment that is not zero never rounds to zero: while no
    gradient comes, the first one would be divided by eps alone, and the weight would leap."""
    if state[name].dtype != torch.uint8:
        return
    coded = quantize(moment, name == "first")
    if name == "second":
        coded.codes.add_((coded.codes == 0) & (moment > 0))
    state[name][piece] = coded.codes
    state[f"{name}_scales"][_blocks(piece)] = coded.scales


def _blocks(piece: slice) -> slice:
    return slice(piece.start // BLOCK, -(-piece.stop // BLOCK))
