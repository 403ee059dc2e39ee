"""How to train, in numbers: one frozen record, checked when it is made.

Book: model-training/fine-tuning-strategies
"""

from dataclasses import dataclass

from handbook.errors import SettingsError
from handbook.train import optimizers, schedules

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train, in numbers.

    rate: peak learning rate, reached after `warmup` steps; schedule: how it goes on (train.schedules); floor:
    share of the rate that is left at the last step; cooldown: share of the steps in which `wsd` falls; decay:
    of weights, per unit of rate; clip: largest norm of all gradients together; precision: what the products
    are computed in, the trained weights are kept as they are.

    Raises SettingsError that names all that is wrong.
    """

    steps: int
    rate: float
    warmup: int
    floor: float = 0.1
    decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    schedule: str = "cosine"
    cooldown: float = 0.2
    optimizer: str = "adamw"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        known = {"schedule": schedules.SHAPES, "optimizer": optimizers.NAMES, "precision": PRECISIONS}
        faults = [
            f"{name}: expected {', '.join(names)}, got {getattr(self, name)!r}"
            for name, names in known.items()
            if getattr(self, name) not in names
        ]
        for name in ("steps", "warmup", "decay"):
            if not getattr(self, name) >= 0:
                faults.append(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                faults.append(f"{name}: expected more than 0, got {getattr(self, name)}")
        for name in ("floor", "cooldown"):
            if not 0 <= getattr(self, name) <= 1:
                faults.append(f"{name}: expected a share from 0 to 1, got {getattr(self, name)}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            faults.append(f"betas: expected two numbers from 0 to less than 1, got {self.betas}")
        if faults:
            raise SettingsError(
                f"Training can't be set up so: {'; '.join(faults)}.", "Change these settings."
            )
