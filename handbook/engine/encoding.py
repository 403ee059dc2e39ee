"""The sentence encoder on the engine's compiled kernels: its products, which are most of its time.

Attention, norms and GELU stay torch's. fp32 is the same numbers in another order of adding; bf16 rounds what
is multiplied; int8 rotates it first and rounds it to bytes (handbook/engine/kernels/pack.py).
bench/embeddings.py says what each is worth and how near its vectors stay.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.engine.kernels import build
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.pack import Precision, pack, pointer
from handbook.errors import HandbookError

ROWS, TRIES = 256, 5  # of the trial


class Product(nn.Module):
    """A linear layer's product and bias, packed: [..., K] -> [..., N]. fp32 in and out, no gradients.

    Raises ValueError for another K, and for what does not lie in the processor's memory: the kernel would
    read and write where nothing of it is.
    """

    def __init__(self, layer: nn.Linear, precision: Precision, kernels: Library) -> None:
        super().__init__()
        self._packed = pack(layer.weight.detach(), precision, layer.bias)
        self._call = pointer(self._packed.struct)
        self._kernels = kernels
        self._inputs, self._outputs = layer.in_features, layer.out_features

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self._inputs or x.device.type != "cpu":
            raise ValueError(f"expected [..., {self._inputs}] on the CPU, got {list(x.shape)} on {x.device}")
        x = x.float().contiguous()  # autocast hands on bf16
        y = x.new_empty(*x.shape[:-1], self._outputs)
        rows = x.numel() // x.shape[-1]
        self._kernels.linear(self._call, x.data_ptr(), y.data_ptr(), rows, torch.get_num_threads())
        return y


def compile_products(encoder: nn.Module, precision: Precision, kernels: Library) -> int:
    """Put a `Product` in the place of every linear layer that the kernels can read; how many there were.

    The layers' own weights are freed where nothing else holds them. Not for an encoder that is trained.
    """
    done = 0
    for name, part in list(encoder.named_children()):
        if isinstance(part, nn.Linear):
            if part.in_features % 16 == 0:
                setattr(encoder, name, Product(part, precision, kernels))
                done += 1
        else:
            done += compile_products(part, precision, kernels)
    return done


def on_kernels(encoder: nn.Module, precision: Precision) -> str:
    """The products on compiled kernels; what computes now, in words. Raises HandbookError without kernels."""
    kernels = build.load()
    if isinstance(kernels, str):
        raise HandbookError(
            f"{precision} embeddings need compiled kernels, and there are none: {kernels}.",
            "Set embed_precision to auto or fp32, or install a C++ compiler where that is what is missing.",
        )
    compile_products(encoder, precision, kernels)
    return f"compiled kernels, {precision}"


def quickened(encoder: nn.Module, build_them: bool = True) -> str:
    """fp32 products on compiled kernels where those are quicker than torch's; what computes now, in words.

    build_them: compile the kernels where that was not done yet, which takes ten seconds or more.
    """
    if not build_them and not build.built():
        return "torch, fp32"
    kernels = build.load()
    layer = next((m for m in encoder.modules() if isinstance(m, nn.Linear) and m.in_features % 16 == 0), None)
    if isinstance(kernels, str) or layer is None or not quicker(layer, kernels):
        return "torch, fp32"
    compile_products(encoder, "fp32", kernels)
    return "compiled kernels, fp32"


def quicker(layer: nn.Linear, kernels: Library) -> bool:
    """Whether the kernels compute a layer faster than torch does: the best of a few tries each, in turns."""
    x = torch.linspace(-1, 1, ROWS * layer.in_features).view(ROWS, -1)
    ours = Product(layer, "fp32", kernels)
    ways: tuple[Callable[[], Tensor], ...] = (lambda: ours(x), lambda: F.linear(x, layer.weight, layer.bias))
    seconds = [float("inf"), float("inf")]
    with torch.inference_mode():
        for _ in range(TRIES):
            for which, way in enumerate(ways):
                begin = time.perf_counter()
                way()
                seconds[which] = min(seconds[which], time.perf_counter() - begin)
    return seconds[0] < seconds[1]
