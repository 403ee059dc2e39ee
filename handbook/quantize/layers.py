"""A linear layer whose weight stays in four bits, and is made whole only while it is multiplied with.

QLoRA (Dettmers et al. 2023, arXiv:2305.14314), equation 5: the product runs in the type of x, and no gradient
goes to the weight, only through it. Backward makes the weight anew, so that none is kept for it.

Axes: O channels out, I channels in.

Book: model-training/fine-tuning-strategies
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.quantize.nf4 import BLOCK, Quantized, dequantize, quantize_nf4


class NF4Linear(nn.Module):
    """x W^T + bias with W in NF4: [..., I] -> [..., O], in the type of x, or of autocast.

    Its fp32 statistics are kept as the whole numbers of their bits, so that `.to(torch.bfloat16)` of a model
    leaves them as they are. dtype: of `weight`, for whoever asks for it.
    """

    packed: Tensor
    scales: Tensor
    again: Tensor | None  # `Quantized.double`, a name that a module has taken
    offset: Tensor | None

    def __init__(
        self,
        quantized: Quantized,
        bias: nn.Parameter | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = quantized.shape
        self.block, self.dtype = quantized.block, dtype
        q = quantized
        tensors = {"packed": q.packed, "scales": q.scales, "again": q.double, "offset": q.offset}
        for name, tensor in tensors.items():
            as_bits = tensor is not None and tensor.is_floating_point()
            self.register_buffer(name, tensor.view(torch.int32) if as_bits and tensor is not None else tensor)
        self.register_parameter("bias", bias)
        if bias is not None:
            bias.requires_grad_(False)

    @classmethod
    def of(cls, linear: nn.Linear, block: int = BLOCK, double: bool = True) -> "NF4Linear":
        """Raises ValueError for weights that are no finite numbers."""
        weight = linear.weight.detach()
        return cls(quantize_nf4(weight, block, double), linear.bias, weight.dtype)

    @property
    def quantized(self) -> Quantized:
        def numbers(tensor: Tensor | None) -> Tensor | None:
            return tensor if tensor is None or tensor.dtype != torch.int32 else tensor.view(torch.float32)

        scales = numbers(self.scales)
        assert scales is not None
        shape = self.out_features, self.in_features
        return Quantized(self.packed, scales, shape, self.block, numbers(self.again), numbers(self.offset))

    @property
    def weight(self) -> Tensor:
        """The weight [O, I], made anew at each call."""
        return dequantize(self.quantized, self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        if torch.is_autocast_enabled(kind):
            x = x.to(torch.get_autocast_dtype(kind))
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return Product.apply(x, self.quantized, bias)  # type: ignore[no-any-return,no-untyped-call]


class Product(torch.autograd.Function):
    """x [..., I], a quantized weight, a bias [O] -> [..., O]. Only x has a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quantized: Quantized, bias: Tensor | None) -> Tensor:
        ctx.quantized = quantized
        return F.linear(x, dequantize(quantized, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        return grad @ dequantize(ctx.quantized, grad.dtype), None, None


def quantize_model(model: nn.Module, block: int = BLOCK, double: bool = True) -> list[str]:
    """Every linear layer but the head into NF4, one after the other; returns their paths. Embedding, norms
    and head stay as they are.

    Raises ValueError for weights that are no finite numbers, with the layer's path.
    """
    paths = []
    for path, module in list(model.named_modules()):
        name = path.rpartition(".")[2]
        if not isinstance(module, nn.Linear) or name == "head":
            continue
        try:
            layer = NF4Linear.of(module, block, double)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        setattr(model.get_submodule(path.rpartition(".")[0]), name, layer.train(module.training))
        paths.append(path)
    return paths
