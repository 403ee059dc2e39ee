"""Counting by numbers: parameters and FLOPs of known models."""

from handbook.lab.transformer.subjects import SMOLLM2
from handbook.model import counting


def embedding_parameter_share(small: bool = True) -> float:
    model = counting.shape_only(SMOLLM2)
    return model.embed.weight.numel() / counting.parameters(model)


def flops_per_token_over_2n(small: bool = True) -> float:
    return counting.step_flops(SMOLLM2, 128) / (2 * counting.parameters(counting.shape_only(SMOLLM2)))


def attention_flops_share_2k(small: bool = True) -> float:
    return 1 - counting.step_flops(SMOLLM2, 0) / counting.step_flops(SMOLLM2, 2048)
