"""Who goes to which expert, and who finds no room: the bookkeeping of a mixture of experts.

Axes: N tokens, E experts, k experts per token.
"""

import math
from fractions import Fraction
from typing import Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

Gate = Literal["softmax", "softmax-after", "sigmoid"]


class Switches(TypedDict, total=False):
    """The keyword arguments of `Router`, for what passes them on."""

    gate: Gate
    normalise: bool
    scale: float
    selection_bias: bool
    groups: int
    kept_groups: int
    group_best: int
    capacity_factor: float | None


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


def router_faults(experts: int, k: int, **switches: Unpack[Switches]) -> list[str]:
    """Everything that keeps these numbers from being a `Router`, one sentence each."""
    gate, capacity_factor = switches.get("gate", "softmax"), switches.get("capacity_factor")
    groups, kept_groups = switches.get("groups", 1), switches.get("kept_groups", 1)
    group_best = switches.get("group_best", 1)
    faults = []
    if gate not in get_args(Gate):
        faults.append(f"gate must be one of {', '.join(get_args(Gate))}, got {gate!r}")
    if experts < 1 or not 1 <= k <= experts:
        faults.append(f"k must lie between 1 and the number of experts, got k = {k} of {experts}")
    if groups < 1 or experts % groups:
        faults.append(f"experts must divide into equal groups, got {experts} experts in {groups} groups")
    elif not 1 <= kept_groups <= groups:
        faults.append(f"kept_groups must lie between 1 and {groups}, got {kept_groups}")
    else:
        size = experts // groups
        if k > kept_groups * size:
            faults.append(f"{kept_groups} groups of {size} experts cannot hold k = {k}")
        if not 1 <= group_best <= size:
            faults.append(f"group_best must lie between 1 and the group's size {size}, got {group_best}")
    if capacity_factor is not None and not 0 < capacity_factor < math.inf:
        faults.append(f"capacity_factor must be positive and finite, or None, got {capacity_factor}")
    return faults
