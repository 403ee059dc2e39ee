"""What a model is computed in, before it trains: weights that stay as they are need no more than bf16.

Mixed precision (Micikevicius et al. 2017, arXiv:1710.03740, section 3.1) keeps weights in fp32 because steps
are smaller than what bf16 can hold beside them. That is true of weights that train; frozen ones take no
steps, so they are rounded once and need no cast in each step.

Book: model-training/fine-tuning-strategies
"""

import torch
from torch import nn

from handbook.errors import HandbookError
from handbook.model.transformer import Transformer
from handbook.train.forward import FAST
from handbook.train.fused import Fused, faults
from handbook.train.kernels import native
from handbook.train.kernels.twin import Twin

PRECISIONS = ("fp32", "bf16")


def prepare(model: Transformer, precision: str) -> str:
    """Make the model ready to train in `precision`, and say in a line how it will be computed. Adapters come
    before: `add_lora` first.

    bf16: frozen matrices are rounded to it in place, what trains stays fp32 and is cast where it is used (the
    loop's autocast). Over a frozen base the blocks are fused where they can be; merging or removing the
    adapters leads back to the plain path. Raises HandbookError for another precision.
    """
    if precision not in PRECISIONS:
        raise HandbookError(f"The precision {precision!r} is unknown.", f"Choose {' or '.join(PRECISIONS)}.")
    FAST.pop(model, None)
    if precision == "fp32":
        return "fp32, plain"
    found = faults(model)
    if found:
        lower(model, (nn.Linear,))
        return f"bf16, plain ({', '.join(found)})"
    lower(model, (nn.Linear, nn.Embedding))
    fused = Fused(model, torch.bfloat16)
    FAST[model] = fused
    if not isinstance(fused.parts, Twin):
        return "bf16, fused, compiled kernels"
    why = native.load()
    return f"bf16, fused, in torch ({why if isinstance(why, str) else 'no kernels for heads of this size'})"


def lower(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    """Round the frozen parameters of layers of these kinds to bf16, in place."""
    for module in model.modules():
        if isinstance(module, kinds):
            for parameter in module.parameters(recurse=False):
                if not parameter.requires_grad and parameter.is_floating_point():
                    parameter.data = parameter.data.to(torch.bfloat16)
