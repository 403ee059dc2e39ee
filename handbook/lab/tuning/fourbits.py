"""Four bits by numbers: what NF4 takes, how far it is from the weights, what that does to perplexity."""

import torch
from torch import Tensor, nn

from handbook.lab import kit
from handbook.lab.serving import rounding
from handbook.lab.transformer.subjects import SMOLLM2
from handbook.lab.tuning.memory import sizes
from handbook.lab.tuning.sides import twin
from handbook.quantize.layers import quantize_model
from handbook.quantize.nf4 import BLOCK, NF4, Quantized, dequantize, quantize_nf4

EVEN = 7  # steps to either side of zero


def nf4_bits(small: bool = True) -> float:
    """Bits a weight of NF4 with double quantization, counted on the tensors of one block's matrices in
    SmolLM2-135M's shape."""
    shapes = [shape for path, shape in sizes(SMOLLM2).items() if path.startswith("blocks.0.")]
    draw = torch.Generator().manual_seed(0)
    held = sum(quantize_nf4(torch.randn(shape, generator=draw)).nbytes for shape in shapes)
    return 8 * held / sum(out * width for out, width in shapes)


def even_steps(weight: Tensor, block: int = BLOCK) -> Tensor:
    """A weight [O, I] as 15 even steps from minus to plus each block's largest magnitude have it."""
    rows = torch.nn.functional.pad(weight.reshape(-1), (0, -weight.numel() % block)).view(-1, block)
    step = (rows.abs().amax(1, keepdim=True) / EVEN).clamp(min=torch.finfo(torch.float32).tiny)
    return ((rows / step).round() * step).view(-1)[: weight.numel()].view_as(weight)


def nf4_error(small: bool = True) -> list[float]:
    """Root mean square error of NF4 over that of even steps, blocks of 64 and their magnitudes in fp32 for
    both: of all linear layers of SmolLM2-135M together, block by block. Small: two of its 30. Raises
    ModelUnavailable."""
    blocks = list(kit.chat_model().model.blocks)
    with kit.quiet():
        return [_block_error(block) for block in (blocks[:: len(blocks) - 1] if small else blocks)]


def _block_error(block: nn.Module) -> float:
    nf4 = even = 0.0
    for module in block.modules():
        if isinstance(module, nn.Linear):
            weight = module.weight.detach()
            nf4 += float((dequantize(quantize_nf4(weight, double=False)) - weight).square().sum())
            even += float((even_steps(weight) - weight).square().sum())
    return float((nf4 / even) ** 0.5)


def nf4_perplexity(small: bool = True) -> float:
    """Perplexity of SmolLM2-135M on held-out Tiny Shakespeare with its linear layers in NF4, over that in
    fp32. Full: four windows of 512 tokens, small: one of 256, and every second block alone is rounded. Raises
    ModelUnavailable, TextUnavailable."""
    rounding.windows(small)  # what is not there is said before anything is computed
    model = twin(kit.chat_model().model)
    with kit.threads(1):
        for block in model.blocks[:: 2 if small else 1]:
            quantize_model(block)
    return rounding.compare(model, small).perplexity


def usage(block: int, blocks: int = 4096, seed: int = 0) -> list[float]:
    """How often each of the 16 values is taken, of normal numbers in blocks of that size."""
    draw = torch.randn(blocks, block, generator=torch.Generator().manual_seed(seed))
    packed = quantize_nf4(draw, block, double=False).packed
    codes = torch.stack((packed >> 4, packed & 15), dim=1).view(-1)
    return (torch.bincount(codes.long(), minlength=16) / codes.numel()).tolist()


def bytes_of(weights: list[float]) -> list[int]:
    """One block's codes, two a byte; behind an odd number of weights stands that of zero."""
    return _one_block(weights).packed.tolist()


def _one_block(weights: list[float]) -> Quantized:
    return quantize_nf4(torch.tensor([weights]), _even(len(weights)), double=False)


def _even(number: int) -> int:
    return number + number % 2  # codes come in pairs


def by_hand(weights: list[float]) -> list[dict[str, float]]:
    """One block, weight by weight: divided by the largest, the code, what comes back, and with even steps."""
    q = _one_block(weights)
    largest = float(q.scales[0])
    codes = torch.stack((q.packed >> 4, q.packed & 15), dim=1).view(-1)[: len(weights)].tolist()
    back, even = (
        dequantize(q)[0].tolist(),
        even_steps(torch.tensor([weights]), _even(len(weights)))[0].tolist(),
    )
    return [
        {
            "weight": weight,
            "divided": weight / largest if largest else 0.0,
            "code": code,
            "NF4 value": NF4[code],
            "comes back": again,
            "even steps": other,
        }
        for weight, code, again, other in zip(weights, codes, back, even, strict=True)
    ]
