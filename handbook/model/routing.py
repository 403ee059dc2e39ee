"""Who goes to which expert, and who finds no room: the bookkeeping of a mixture of experts.

Axes: N tokens, E experts, k experts per token.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def route(logits: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """The k experts with the largest logits for each token, best first: [N, E] -> [N, k].

    Shazeer et al. 2017 (arXiv:1701.06538), section 2.1, without the noise.
    """
    return np.argsort(-logits, axis=1, kind="stable")[:, :k]


def expert_load(chosen: NDArray[np.int64], experts: int) -> NDArray[np.int64]:
    """Tokens assigned to each expert: [N, k] -> [E]."""
    return np.bincount(chosen.ravel(), minlength=experts)


def room(assignments: int, experts: int, factor: float) -> int:
    """Tokens that one expert may take: factor * mean load, rounded up. Switch Transformer (Fedus et al. 2021,
    arXiv:2101.03961), equation 3.

    The factor counts as the decimal that was written: 1.1 * 100 / 10 is 11, not 12 by a rounding error.
    """
    return math.ceil(Fraction(str(float(factor))) * assignments / experts)


def capacity(load: NDArray[np.int64], factor: float) -> int:
    """`room` where `load` says how many assignments there are."""
    return room(int(load.sum()), len(load), factor)


def dropped_share(load: NDArray[np.int64], factor: float) -> float:
    """Share of all assignments that exceed their expert's capacity."""
    return float(np.maximum(load - capacity(load, factor), 0).sum() / load.sum())
