"""Learning rates over a run: up in a line while warming up, then by one of four shapes.

Each shape is a function of `done`, the share of the steps after the warm-up that are over (0 to 1), and of
the highest and the lowest rate. Nothing here imports torch.

Book: model-training/fine-tuning-strategies
"""

import math
from collections.abc import Callable
from functools import partial

Shape = Callable[[float, float, float], float]


def constant(done: float, high: float, low: float) -> float:
    """The highest rate, all the time."""
    return high


def linear(done: float, high: float, low: float) -> float:
    """Down in a line."""
    return low + (high - low) * (1 - done)


def cosine(done: float, high: float, low: float) -> float:
    """Down in half a cosine. Loshchilov and Hutter 2016 (arXiv:1608.03983), equation 5, without restarts."""
    return low + (high - low) * (1 + math.cos(math.pi * done)) / 2


def wsd(done: float, high: float, low: float, cooldown: float = 0.2) -> float:
    """Warm-up, stable, decay: the highest rate, then down in a line over the last `cooldown` of the steps, so
    that a run can be prolonged from where it was stable. Hu et al. 2024 (arXiv:2404.06395), section 4; the
    line is that of Hägele et al. 2024 (arXiv:2405.18392), section 3."""
    if done <= 1 - cooldown:
        return high
    return linear(1 - (1 - done) / cooldown, high, low)


SHAPES: dict[str, Shape] = {"cosine": cosine, "linear": linear, "constant": constant, "wsd": wsd}


def rate(
    kind: str, step: int, steps: int, warmup: int, high: float, low: float, cooldown: float = 0.2
) -> float:
    """The learning rate of step 0, 1, ... of `steps`. The first `warmup` of them rise to `high` in a line;
    the last step's is `low`, but for `constant`.

    Raises ValueError for a shape that isn't in SHAPES.
    """
    if kind not in SHAPES:
        raise ValueError(f"schedules are {', '.join(SHAPES)}, got {kind!r}")
    if step < warmup:
        return high * (step + 1) / warmup
    shape = partial(wsd, cooldown=cooldown) if kind == "wsd" else SHAPES[kind]
    return shape((step - warmup) / max(steps - 1 - warmup, 1), high, low)
