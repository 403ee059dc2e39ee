"""What a run is told: one frozen dataclass a method, filled from a TOML file, from flags, or from both.

A field is said once, here: its kind, its bounds, its words in `--help`. Flags win over the file, the file
over the defaults. What is not known raises, with the nearest name that is; all faults come at once. No torch
is loaded for any of it.

Book: model-training/fine-tuning-strategies
"""

import tomllib
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from handbook.errors import SettingsError
from handbook.train.values import Fault, lora_of, nearest, value_of

Method = Literal["sft", "dpo", "orpo", "ppo", "grpo", "reward"]
SEEDS = 2**32 - 1


def option(default: Any, words: str, low: float | None = None, high: float | None = None) -> Any:
    """A field with the words of its flag and, for numbers, its bounds, which are allowed themselves."""
    return field(default=default, metadata={"words": words, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """An adapter, as `handbook.train.lora.LoRAConfig` takes it. targets: all-linear, or parts of module names
    (query+value)."""

    r: int = option(16, "Rank.", 1, 4096)
    alpha: float | None = option(None, "Scale: updates count alpha / r; default: twice the rank.", 0)
    dropout: float = option(0.0, "Share of inputs dropped while training.", 0, 0.99)
    targets: str = option("all-linear", "all-linear, or names joined by +: query+value.")
    rslora: bool = option(False, "Scale by alpha / sqrt(r).")
    dora: bool = option(False, "Magnitude apart from direction.")
    init: Literal["kaiming", "gaussian", "pissa"] = option("kaiming", "How A begins.")

    @property
    def text(self) -> str:
        """As it is told: r=16,dora=true."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return ",".join(f"{name}={str(value).lower()}" for name, value in told.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every method is told. Sizes are in tokens, shares between 0 and 1; None is worked out."""

    model: str = option("smollm2-135m-instruct", "Name, path or hub id of the model to train.")
    data: str = option("", "File: JSONL, a JSON array or Parquet.")
    out: str = option("", "Folder of the run; default: train/METHOD in the data folder.")
    seed: int = option(0, "Of order, adapters and dropout.", 0, SEEDS)
    steps: int | None = option(None, "Optimizer steps; default: by epochs.", 1, 10_000_000)
    rate: float | None = option(None, "Peak learning rate; default: by method and by what trains.", 1e-12, 10)
    warmup: float = option(0.05, "Share of steps in which the rate rises.", 0, 1)
    schedule: Literal["cosine", "linear", "constant", "wsd"] = option("cosine", "Of the rate after that.")
    floor: float = option(0.1, "Share of the peak rate left at the end.", 0, 1)
    decay: float = option(0.0, "Of weights, per unit of rate.", 0, 10)
    clip: float = option(1.0, "Largest norm of all gradients together.", 1e-12)
    optimizer: Literal["adamw", "adamw8bit"] = option("adamw", "adamw8bit keeps its state in a quarter.")
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "Of products; auto: bf16 where it is fast.")
    checkpointing: bool | None = option(None, "Recompute activations to save memory; default: by size.")
    lora: Lora | None = field(
        default=None, metadata={"words": "Train an adapter: r=16,alpha=32,dora=true; `true` for defaults."}
    )
    qlora: bool = option(False, "Keep the base in four bits (NF4) below the adapter.")
    every: int = option(50, "Steps between checkpoints, and between looks at held-out data.", 1, 10_000_000)
    threads: int | None = option(None, "CPU threads; default: as in the settings, or all.", 1, 1024)

    @property
    def method(self) -> Method:
        """The name of the verb."""
        return next(name for name, kind in METHODS.items() if kind is type(self))

    @property
    def full(self) -> bool:
        """Whether all weights train."""
        return self.lora is None

    @property
    def peak(self) -> float:
        """The peak learning rate: as told, else by method. Full training takes a tenth of what an adapter
        does: a rule of thumb, which nothing here has measured."""
        return RATES[self.method] / (10 if self.full else 1) if self.rate is None else self.rate

    def warmup_of(self, steps: int) -> int:
        """Steps in which the rate rises, at least one where a share is told."""
        return min(steps, max(1, round(self.warmup * steps))) if self.warmup else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised(Common):
    """Methods that learn from a file of examples or pairs, packed into rows."""

    epochs: float = option(1.0, "Times through the data, where steps are not told.", 0.001, 10_000)
    tokens: int = option(2048, "Longest packed row: what is computed at once.", 16, 1 << 22)
    rows: int = option(1, "Rows in a step: gradients of that many are added up.", 1, 65_536)
    length: int | None = option(None, "Longest example; default: 1024, or what a row takes.", 8, 1 << 22)
    long: Literal["truncate", "drop", "raise"] = option("truncate", "What happens to longer ones.")
    held_out: float = option(0.05, "Share of the examples kept from training and measured on.", 0, 0.9)
    test: str = option("", "File to measure on, in place of that share; what is in it is not trained on.")
    limit: int | None = option(None, "Read at most so many examples.", 1)
    form: str = option("", "messages, alpaca, sharegpt or preference; default: recognised.")
    against: str = option("", "A test set: examples that share runs of 13 words with it are taken out.")
    dedupe: Literal["none", "exact", "near"] = option(
        "exact", "What counts as a duplicate, and is taken out."
    )

    @property
    def longest(self) -> int:
        """Tokens of the longest example; a pair is two of them and has to fit a row."""
        return self.length or min(1024, self.tokens // (1 if self.method == "sft" else 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings(Supervised):
    """`handbook train sft`: the assistant's turns are learnt, nothing else counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoSettings(Supervised):
    """`handbook train dpo`: Rafailov et al. 2023, arXiv:2305.18290."""

    beta: float = option(0.1, "How far from the reference.", 1e-6, 1e3)
    kind: Literal["sigmoid", "ipo", "robust", "hinge"] = option("sigmoid", "The loss.")
    label_smoothing: float = option(0.0, "Share of pairs taken to be the wrong way round.", 0, 0.49)
    reference_free: bool = option(False, "Compare with no reference.")
    length_normalised: bool | None = option(None, "Means over tokens, not sums; default: for ipo alone.")
    target: float = option(0.0, "Margin, times beta, that counts as none (SimPO's gamma).", 0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrpoSettings(Supervised):
    """`handbook train orpo`: Hong et al. 2024, arXiv:2403.07691."""

    weight: float = option(0.1, "Of the odds ratio beside the likelihood of the chosen answer.", 0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSettings(Supervised):
    """`handbook train reward`: a scalar head that ranks pairs (Bradley and Terry 1952)."""

    centring: float = option(0.0, "Weight that keeps rewards around 0.", 0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Common):
    """Methods that learn from what the model says itself. They train an adapter unless told otherwise:
    without one there is no reference to measure the distance from."""

    lora: Lora | None = field(
        default=Lora(), metadata={"words": "The adapter: r=16,alpha=32; `false` trains all weights."}
    )
    schedule: Literal["cosine", "linear", "constant", "wsd"] = option("constant", "Of the rate.")
    task: str = option("", "A built-in task with answers that can be checked, such as sums; or --data.")
    reward: Literal["", "strict", "graded", "anywhere"] = option(
        "", "What pays; default: as the task has it, strict for a file."
    )
    reward_model: str = option("", "Folder of a reward model that pays: what `handbook train reward` wrote.")
    unfinished: float = option(1.0, "With it: taken off where an answer does not end by itself.", 0, 1e3)
    held_out: float = option(0.1, "Share of a file's prompts that are only measured on.", 0, 0.9)
    prompts: int = option(16, "Prompts of a round.", 1, 65_536)
    group: int = option(8, "Answers to each prompt.", 1, 1024)
    answer: int | None = option(
        None, "Longest answer, in tokens; default: as the task has it, 64.", 1, 1 << 20
    )
    temperature: float = option(1.0, "Of drawing.", 0.01, 10)
    clip_range: float = option(0.2, "How far a probability ratio counts.", 0.001, 10)
    passes: int = option(1, "Optimizer steps on the same answers.", 1, 64)
    tokens: int = option(4096, "Tokens of answers that are computed at once.", 16, 1 << 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoSettings(Sampled):
    """`handbook train ppo`: Schulman et al. 2017, arXiv:1707.06347."""

    passes: int = option(2, "Optimizer steps on the same answers.", 1, 64)
    kl: float = option(0.02, "Weight of the distance from the reference, taken off the reward.", 0, 1e3)
    gamma: float = option(1.0, "Of later rewards.", 0, 1)
    lam: float = option(0.95, "Of generalised advantage estimation.", 0, 1)
    value_weight: float = option(0.5, "Of the values' error in the loss.", 0, 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoSettings(Sampled):
    """`handbook train grpo`: Shao et al. 2024, arXiv:2402.03300."""

    kl: float = option(0.0, "Weight of the distance from the reference, in the loss.", 0, 1e3)
    normalise: Literal["token", "answer", "constant"] = option("token", "What the loss is a mean over.")
    scale: bool = option(True, "Divide advantages by the group's deviation.")


METHODS: dict[Method, type[Common]] = {
    "sft": SftSettings,
    "dpo": DpoSettings,
    "orpo": OrpoSettings,
    "ppo": PpoSettings,
    "grpo": GrpoSettings,
    "reward": RewardSettings,
}
RATES: dict[Method, float] = {
    "sft": 2e-4,
    "dpo": 5e-5,
    "orpo": 8e-5,
    "ppo": 1e-4,
    "grpo": 1e-4,
    "reward": 1e-4,
}


def known(method: Method) -> dict[str, "Field[Any]"]:
    """The fields of a method, by name."""
    return {each.name: each for each in fields(METHODS[method])}


def read_settings(method: Method, flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Common:
    """The settings of a run. flags: by field name, as text or as values; None counts as not given. Paths in
    the file are taken from its folder.

    Raises SettingsError that lists every fault of both.
    """
    faults: list[Fault] = []
    told = {name: value for name, value in (flags or {}).items() if value is not None}
    content = {} if file is None else _content(file, method, faults)
    values: dict[str, Any] = {}
    for source, given in ((str(file), content), ("", told)):
        for name, raw in given.items():
            spelled = f"--{name.replace('_', '-')}" if not source else name
            if name not in known(method):
                near = nearest(name, known(method))
                faults.append(Fault(source, f"{spelled} is not known; the nearest is {near}"))
                continue
            try:
                if name == "lora":
                    values[name] = lora_of(raw, values.get("lora"), Lora)
                else:
                    values[name] = value_of(known(method)[name], raw)
            except ValueError as error:
                faults.append(Fault(source, f"{spelled}: {error}"))
    for name in PATHS & content.keys() - told.keys():
        if file is not None and isinstance(values.get(name), str) and values[name]:
            values[name] = str(_beside(file, name, values[name]))
    faults += [Fault("", fault) for fault in _together(method, values)]
    if faults:
        raise SettingsError(
            f"The settings of {method} can't be used: {'; '.join(map(str, faults))}.",
            f"`handbook train {method} --help` lists all of them.",
        )
    if values.get("qlora") and values.get("lora") is None:
        values["lora"] = Lora()
    return METHODS[method](**values)


PATHS = {"data", "out", "test", "against", "model", "reward_model"}


def _content(file: Path, method: Method, faults: list[Fault]) -> dict[str, Any]:
    """The keys of a TOML file; `method` may stand in it."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        faults.append(Fault(str(file), f"can't be read: {reason}"))
        return {}
    if (named := content.pop("method", method)) != method:
        faults.append(Fault(str(file), f"it is for {named!r}, and {method} was asked for"))
    return content


def _beside(file: Path, name: str, value: str) -> Path | str:
    """A path of the file's, from its folder; a model may also be a name of the catalogue or a hub id."""
    path = file.parent / Path(value).expanduser()
    return value if name == "model" and not path.exists() else path


def _together(method: Method, values: Mapping[str, Any]) -> list[str]:
    """What can't be beside each other."""
    found = []
    if values.get("qlora") and "lora" in values and values["lora"] is None:
        found.append("qlora trains an adapter, and lora is turned off")
    if values.get("label_smoothing") and values.get("kind") in ("ipo", "hinge"):
        found.append(f"{values['kind']} knows no label_smoothing")
    if issubclass(METHODS[method], Supervised):
        tokens = values.get("tokens", Supervised().tokens)
        needed = (values.get("length") or 0) * (1 if method == "sft" else 2)
        if tokens < needed:
            what = "an example" if method == "sft" else "a pair"
            found.append(f"{what} of up to {needed} tokens does not fit a row of {tokens}")
        if not values.get("data"):
            found.append("data is missing: the file to learn from")
        return found
    if bool(values.get("data")) == bool(values.get("task")):
        found.append("either task or data is told: what is asked")
    if values.get("reward_model") and values.get("reward"):
        found.append("either reward or reward_model is told: what pays")
    if method == "grpo" and values.get("group") == 1:
        found.append("grpo compares the answers of a group, which has at least 2")
    if values.get("lora", True) is None and values.get("kl", METHODS[method]().kl):  # type: ignore[attr-defined]
        found.append("a distance from the reference (kl) needs an adapter, and lora is turned off")
    if (lora := values.get("lora")) is not None and lora.dropout:
        found.append("answers are drawn without dropout, and lora has some")
    return found


def as_plain(settings: Common) -> dict[str, Any]:
    """All values, plain: for checkpoints, run.json and `--json`."""
    return {"method": settings.method, **asdict(settings)}


assert set(METHODS) == set(RATES) == set(get_args(Method))
