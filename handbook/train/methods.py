"""What the loop is handed, by method: micro-batches, the objective, what is measured on held-out data.

Book: model-training/fine-tuning-strategies
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from handbook.model.transformer import Transformer
from handbook.train.assembly import Assembled
from handbook.train.loop import Batches, Objective, TrainConfig, lowered
from handbook.train.margins import held_out_pairs
from handbook.train.material import Material, examples_of, pairs_of
from handbook.train.packing import Packed, Rows, bins, pack
from handbook.train.preference import Dpo, ExamplePair, Orpo, Reward, pack_pairs, with_reference
from handbook.train.reward import RewardModel
from handbook.train.settings import (
    Common,
    DpoSettings,
    OrpoSettings,
    RewardSettings,
    Sampled,
    SftSettings,
    Supervised,
)
from handbook.train.sft import Sft


@dataclass
class Parts:
    """A run without its folder. held_out: micro-batches that are only measured; fingerprint: of the data;
    steps_per_epoch: None where there are no epochs; material: what was read, None where answers are drawn;
    longest: tokens of the longest row; more: what is measured beside the objective; look: what in its place;
    seen: what a step tells beside its losses;
    stride: steps between the places where a run can be gone on with."""

    model: nn.Module
    config: TrainConfig
    batches: Batches[Any]
    objective: Objective[Any]
    held_out: Sequence[Any] = ()
    fingerprint: str = ""
    steps_per_epoch: int | None = None
    material: Material[Any] | None = None
    longest: int = 0
    more: Callable[[nn.Module], dict[str, float]] | None = None
    look: Callable[[nn.Module], dict[str, float]] | None = None
    seen: Callable[[], dict[str, float]] | None = None
    stride: int = 1

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """What the objective says of held-out data, by name, and what `more` does; or what `look` does."""
        if self.look is not None:
            return self.look(model)
        found = measured(model, self.held_out, self.objective, self.config.precision)
        return found if self.more is None else found | self.more(model)


def measured(
    model: nn.Module, micros: Sequence[Any], objective: Objective[Any], precision: str
) -> dict[str, float]:
    """The means of what an objective tells over all micro-batches: held_out is what is minimised, the others
    held_out_NAME."""
    sums: defaultdict[str, float] = defaultdict(float)
    whole = sum(micro.weight for micro in micros)
    for micro in micros:
        with lowered(model, precision):
            losses = objective(model, micro)
        for name, value in losses.items():
            sums[name] += value.item() * micro.weight / whole
    if sums.get("text") == sums["total"]:
        del sums["text"]
    return {"held_out" if name == "total" else f"held_out_{name}": value for name, value in sums.items()}


def config_of(settings: Common, steps: int, precision: str) -> TrainConfig:
    """The loop's settings. Raises SettingsError."""
    return TrainConfig(
        steps=steps,
        rate=settings.peak,
        warmup=settings.warmup_of(steps),
        floor=settings.floor,
        decay=settings.decay,
        clip=settings.clip,
        schedule=settings.schedule,
        optimizer=settings.optimizer,
        precision=precision,
    )


def rows_of(items: Sequence[Any], packing: Callable[[Sequence[Any]], Any], budget: int) -> tuple[Any, ...]:
    """All items in packed rows, for measuring."""
    if not items:
        return ()
    order = bins([len(item) for item in items], budget, seed=0, epoch=0)
    return tuple(packing([items[index] for index in row]) for row in order)


def supervised(
    assembled: Assembled,
    settings: Supervised,
    material: Material[Any],
    packing: Callable[[Sequence[Any]], Packed],
    objective: Objective[Any],
) -> Parts:
    """Parts of a method that reads what it learns from."""
    rows = Rows(material.train, packing, settings.tokens, settings.rows, settings.seed)
    steps = settings.steps or max(1, round(settings.epochs * rows.steps_per_epoch))
    return Parts(
        model=assembled.trained,
        config=config_of(settings, steps, assembled.precision),
        batches=rows,
        objective=objective,
        held_out=rows_of(material.held_out, packing, settings.tokens),
        fingerprint=material.fingerprint,
        steps_per_epoch=rows.steps_per_epoch,
        material=material,
        longest=settings.tokens,
    )


def sft(assembled: Assembled, settings: Common) -> Parts:
    """Next tokens of the assistant's turns."""
    assert isinstance(settings, SftSettings)
    material = examples_of(assembled.loaded, settings)
    return supervised(assembled, settings, material, pack, Sft(settings.checkpointing))


def dpo(assembled: Assembled, settings: Common) -> Parts:
    """Pairs, with the log-probabilities of the model as it is now, before training, as the reference."""
    assert isinstance(settings, DpoSettings)
    material = pairs_of(assembled.loaded, settings)
    if not settings.reference_free:
        model = assembled.loaded.model

        def referred(pairs: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(with_reference(model, pairs, settings.tokens, assembled.precision)) if pairs else ()

        material = material.with_items(referred(material.train), referred(material.held_out))
    objective = Dpo(
        settings.beta,
        settings.kind,
        settings.label_smoothing,
        settings.length_normalised,
        settings.reference_free,
        settings.target,
        settings.checkpointing,
    )
    parts = supervised(assembled, settings, material, pack_pairs, objective)
    parts.more = from_the_base(assembled, settings, material)
    return parts


def from_the_base(
    assembled: Assembled, settings: DpoSettings, material: Material[ExamplePair]
) -> Callable[[nn.Module], dict[str, float]] | None:
    """How far the policy has moved on held-out pairs: its KL from the model without the adapter, in nats a
    token, and the share of pairs where it moved towards the chosen answer (a tie is half). None where there
    is no adapter to do without."""
    if settings.full or not material.held_out:
        return None

    def moved(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Transformer)
        found = held_out_pairs(model, material.held_out, None, settings.tokens, assembled.precision)
        return {"held_out_kl": found.kl, "held_out_accuracy": found.accuracy}

    return moved


def orpo(assembled: Assembled, settings: Common) -> Parts:
    """Pairs, without a reference."""
    assert isinstance(settings, OrpoSettings)
    objective = Orpo(settings.weight, checkpointing=settings.checkpointing)
    return supervised(assembled, settings, pairs_of(assembled.loaded, settings), pack_pairs, objective)


def reward(assembled: Assembled, settings: Common) -> Parts:
    """Pairs, ranked by a head."""
    assert isinstance(settings, RewardSettings)
    assembled.trained = RewardModel(assembled.loaded.model)
    material = pairs_of(assembled.loaded, settings)
    return supervised(assembled, settings, material, pack_pairs, Reward(settings.centring))


def drawn(assembled: Assembled, settings: Common) -> Parts:
    """Answers that the model draws itself."""
    from handbook.train.sampled import sampled

    assert isinstance(settings, Sampled)
    return sampled(assembled, settings, lambda steps: config_of(settings, steps, assembled.precision))


PARTS: Mapping[str, Callable[[Assembled, Common], Parts]] = {
    "sft": sft,
    "dpo": dpo,
    "orpo": orpo,
    "reward": reward,
    "ppo": drawn,
    "grpo": drawn,
}


def parts_of(assembled: Assembled) -> Parts:
    """Raises DataError, DataUnavailable, SettingsError."""
    return PARTS[assembled.settings.method](assembled, assembled.settings)
