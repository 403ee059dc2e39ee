"""NF4: four bits a weight, for weights that are spread as a normal distribution is.

QLoRA (Dettmers et al. 2023, arXiv:2305.14314), section 3. A block of 64 weights is divided by its largest
magnitude, and each becomes the nearest of 16 values that lie so that a normal distribution uses all alike.
The magnitudes, 32 bits for 64 weights, are then themselves put into 8 bits, 256 at a time, less their mean
("double quantization"): 4 + 8/64 + 32/(64 * 256) = 4.127 bits a weight.

Axes: O channels out, I channels in, n = O I weights, K = n / 64 blocks.

Book: model-training/fine-tuning-strategies
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from handbook.quantize import dynamic

BLOCK = 64
DOUBLE = 256  # magnitudes in a block of their own
HALF = 65535 / 2  # steps from 0 to 1
TINY = 1e-38  # in place of a largest magnitude of zero, as the reference has it

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The 16 values, of the paper's appendix E: what `normal_code` computes, in the digits that all files use."""


def normal_code() -> Tensor:
    """The values from their definition: fp64 [16], ascending (the paper's equation 4 and the text below it).

    Quantiles of the standard normal distribution at 8 even steps on the negative side and 9 on the positive,
    zero in both and counted once, divided by the largest. The outermost is at the mean of 1 - 1/32 and
    1 - 1/30, since the quantile of 1 is infinite.
    """
    outer = 1 - (1 / 32 + 1 / 30) / 2
    above = torch.special.ndtri(torch.linspace(outer, 0.5, 9, dtype=torch.float64))[:-1]
    below = -torch.special.ndtri(torch.linspace(outer, 0.5, 8, dtype=torch.float64))[:-1]
    values = torch.cat([below, above.new_zeros(1), above]).sort().values
    return values / values.max()


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight in NF4. packed: uint8 [ceil(n / 2)], the first of two weights in the upper four bits. scales:
    fp32 [K], largest magnitude of each block; or with double quantization uint8 [K], of which `double` has
    the scales fp32 [ceil(K / 256)] and `offset` the mean, fp32 []."""

    packed: Tensor
    scales: Tensor
    shape: tuple[int, int]
    block: int = BLOCK
    double: Tensor | None = None
    offset: Tensor | None = None

    @property
    def nbytes(self) -> int:
        held = self.packed, self.scales, self.double, self.offset
        return sum(tensor.nbytes for tensor in held if tensor is not None)

    @property
    def magnitudes(self) -> Tensor:
        """Largest magnitude of each block: fp32 [K]."""
        if self.double is None or self.offset is None:
            return self.scales
        return dynamic.dequantize(dynamic.Blocks(self.scales, self.double, True, DOUBLE)) + self.offset


def quantize_nf4(weight: Tensor, block: int = BLOCK, double: bool = True) -> Quantized:
    """weight [O, I] of any floating type -> its codes; blocks run on from row to row, the last one shorter
    where O I is no multiple. Raises ValueError for a weight that is no matrix of finite numbers, or a block
    below 2."""
    if weight.ndim != 2 or not weight.numel() or block < 2 or not weight.isfinite().all():
        raise ValueError(
            f"NF4 takes a matrix of finite numbers and a block from 2 on, got {list(weight.shape)}, {block}"
        )
    flat = weight.detach().reshape(-1).float()
    rows = torch.nn.functional.pad(flat, (0, -flat.numel() % block)).view(-1, block)
    scales = rows.abs().amax(1)
    normed = rows * (1 / scales.clamp(min=TINY))[:, None]
    if flat.numel() % block:  # the reference divides there, which rounds otherwise
        normed[-1] = rows[-1] / scales[-1].clamp(min=TINY)
    values = torch.tensor(NF4, device=weight.device)
    codes = torch.bucketize(normed.view(-1).clamp(-1, 1), (values[1:] + values[:-1]) / 2).to(torch.uint8)
    codes = codes[: 2 * math.ceil(flat.numel() / 2)]
    packed, shape = codes[::2] << 4 | codes[1::2], (weight.shape[0], weight.shape[1])
    if not double:
        return Quantized(packed, scales, shape, block)
    offset = scales.mean()
    eight, again = _in_eight_bits(scales - offset)
    return Quantized(packed, eight, shape, block, again, offset)


def _in_eight_bits(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """numbers [K] -> codes uint8 [K], largest magnitudes fp32 [ceil(K / 256)].

    A number first goes to the nearest of 65,536 steps from -1 to 1, then to the nearest value: so does
    bitsandbytes on the processor. Its plain torch code leaves the steps out; one code in 650 differs.
    """
    rows = torch.nn.functional.pad(numbers, (0, -len(numbers) % DOUBLE)).view(-1, DOUBLE)
    largest = rows.abs().amax(1)
    normed = (rows * (1 / largest.clamp(min=TINY))[:, None]).view(-1)[: len(numbers)]
    steps = ((normed + 1) * HALF + 0.5).floor()
    return dynamic.nearest_plain(steps / HALF - 1, True), largest


def dequantize_plain(quantized: Quantized, dtype: torch.dtype = torch.float32) -> Tensor:
    """The weight that the codes stand for: [O, I]. Value times magnitude in fp32, then rounded to `dtype`."""
    values = torch.tensor(NF4, device=quantized.packed.device)
    codes = torch.stack((quantized.packed >> 4, quantized.packed & 15), dim=1).view(-1)
    return _scaled(values[codes.long()], quantized, dtype)


def dequantize(quantized: Quantized, dtype: torch.dtype = torch.float32) -> Tensor:
    """As `dequantize_plain`, two weights at a time: a byte is looked up in a table of both their values,
    which are read as one number of 64 bits."""
    both = _pairs(str(quantized.packed.device)).index_select(0, quantized.packed.int())
    return _scaled(both.view(torch.float32), quantized, dtype)


@cache
def _pairs(device: str) -> Tensor:
    values, byte = torch.tensor(NF4), torch.arange(256)
    return torch.stack((values[byte >> 4], values[byte & 15]), dim=1).view(torch.int64).view(-1).to(device)


def _scaled(values: Tensor, quantized: Quantized, dtype: torch.dtype) -> Tensor:
    """values fp32 [n, or one more], written to -> the weight [O, I]."""
    (O, I), block = quantized.shape, quantized.block  # noqa: E741
    values = torch.nn.functional.pad(values[: O * I], (0, -O * I % block)) if O * I % block else values
    weight = values.view(-1, block).mul_(quantized.magnitudes[:, None])
    return weight.view(-1)[: O * I].view(O, I).to(dtype)
