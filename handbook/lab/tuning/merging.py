"""What merging an adapter costs in digits: in fp32 by the order of sums, in bf16 by rounding. The adapter is
that of the run with rank 16 on all linear layers (`handbook.lab.tuning.learning`).
"""

from copy import deepcopy

import torch
from torch import Tensor

from handbook.lab import kit
from handbook.lab.tuning.learning import pieces, trained
from handbook.model.adapters import Adapter, Factors
from handbook.model.load import Loaded
from handbook.train.lora import apply_adapter, merge


def merge_difference(small: bool = True) -> float:
    """The largest difference of a logit, over pieces of Tiny Shakespeare (4 of 512 tokens, small: 64)."""
    loaded = kit.chat_model()
    texts = [piece.tokens[: 64 if small else None] for piece in pieces(loaded, 1 if small else 4)]
    return difference(loaded, trained(small, rank=16)[0], texts)


def difference(loaded: Loaded, adapter: Adapter, texts: list[tuple[int, ...]]) -> float:
    """Between the logits of the adapter beside fp32 weights and those of it merged into them."""
    model = deepcopy(loaded.model).float()
    apply_adapter(model, adapter)
    model.eval()
    rows = [torch.tensor([text]) for text in texts]
    with kit.quiet():
        beside = [model(row) for row in rows]
        merge(model)
        return max(float((model(row) - one).abs().max()) for row, one in zip(rows, beside, strict=True))


def merge_bf16_loss(small: bool = True) -> list[float]:
    """Of each layer: the error that rounding the merged weight to bf16 makes, over the update, both in their
    Frobenius norms. The base is in bf16 already, as it trained and as it is served."""
    model = kit.chat_model().model
    with kit.quiet():
        found = trained(small, rank=16)[0].factors.items()
        return [rounded_away(model.get_parameter(f"{path}.weight"), factors) for path, factors in found]


def rounded_away(weight: Tensor, factors: Factors) -> float:
    """weight [O, I] and its change -> |round(W + dW) - (W + dW)| / |dW|."""
    base = weight.detach().bfloat16().float()
    merged = factors.weight(base)
    return float((merged.bfloat16().float() - merged).norm() / (merged - base).norm())
