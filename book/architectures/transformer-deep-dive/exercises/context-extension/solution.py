"""The solution is the handbook's own scaling, with checks."""

import torch

from handbook.model.extension import ntk_theta, yarn_attention, yarn_frequencies
from handbook.model.rope import rope_frequencies


def _check(dim: int, factor: float) -> None:
    if dim < 4 or dim % 2 or factor < 1:
        raise ValueError(
            f"Expected an even dim of 4 or more and a factor of 1 or more, got {dim} and {factor}."
        )


def ntk_base(dim: int, theta: float, factor: float) -> float:
    """theta * factor^(D / (D - 2))."""
    _check(dim, factor)
    return ntk_theta(theta, factor, dim)


def yarn(
    dim: int,
    theta: float,
    factor: float,
    context: int,  # positions that the model was trained on
    slow: float = 1.0,  # turns within the context, below which a pair is squeezed
    fast: float = 32.0,  # and above which it is kept
) -> tuple[torch.Tensor, float]:  # frequencies [dim / 2], attention factor
    """The ramp runs over the index of the pair, as in the authors' code. Raises ValueError."""
    _check(dim, factor)
    trained = rope_frequencies(dim, theta)
    squeezed = yarn_frequencies(trained, factor, context, slow, fast, theta=theta)
    return squeezed, yarn_attention(factor)
