"""Mixture of experts by numbers: the load that chance alone makes."""

import numpy as np
from numpy.typing import NDArray

from handbook.model import routing


def fair_loads(small: bool) -> list[NDArray[np.int64]]:
    """Loads [64] of the experts when 1,024 tokens choose 2 each, all experts equally likely, per seed."""
    draws = (np.random.default_rng(seed).standard_normal((1024, 64)) for seed in range(20 if small else 200))
    return [routing.expert_load(routing.route(logits, 2), 64) for logits in draws]


def moe_drop_at_capacity_one(small: bool = True) -> list[float]:
    return [routing.dropped_share(load, 1.0) for load in fair_loads(small)]


def moe_drop_at_capacity_125(small: bool = True) -> list[float]:
    return [routing.dropped_share(load, 1.25) for load in fair_loads(small)]


def moe_hottest_expert(small: bool = True) -> list[float]:
    return [float(load.max() / load.mean()) for load in fair_loads(small)]
