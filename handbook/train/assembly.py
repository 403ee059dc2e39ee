"""The model of a run: loaded, in its precision, with an adapter or whole, its base in four bits or not."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from handbook.hardware.probe import probe
from handbook.model.load import Loaded, load_model, locate
from handbook.model.transformer import Transformer
from handbook.settings import Settings
from handbook.train.adapter_files import write_adapter
from handbook.train.judge import Judge, open_judge
from handbook.train.lora import LoRAConfig, adapter_of, add_lora
from handbook.train.precision import prepare
from handbook.train.qlora import add_qlora
from handbook.train.reward import RewardModel, save_reward
from handbook.train.saved import check_writable, write_model
from handbook.train.settings import Common, Lora, Sampled

BF16 = ("AMX-BF16", "AVX-512 BF16", "BF16")  # instruction sets that multiply in it


@dataclass
class Assembled:
    """A model that is ready to train. source: file or folder that the decoder was loaded from; trained: what
    the loop trains, which may have a head beside the decoder; how: it is computed, in a line; judge: a reward
    model that pays, where one does."""

    loaded: Loaded
    source: Path
    settings: Common
    precision: str
    trained: nn.Module
    how: str = ""
    judge: Judge | None = None

    @property
    def name(self) -> str:
        return self.loaded.name

    @property
    def trainable(self) -> int:
        """Numbers that training changes."""
        return sum(p.numel() for p in self.trained.parameters() if p.requires_grad)

    @property
    def parameters(self) -> int:
        """Numbers of the model before anything was added to it."""
        from handbook.model.count import parameters

        return parameters(self.loaded.config)

    @property
    def trains(self) -> str:
        """What of it is trained, in a few words."""
        lora = self.settings.lora
        if lora is None:
            return "all weights"
        kind = "DoRA" if lora.dora else "LoRA"
        return f"{'Q' if self.settings.qlora else ''}{kind} r={lora.r}"

    def save(self, folder: Path) -> Path:
        """Write what was trained: `adapter/`, `model/` or `reward/`. Raises DiskFull."""
        if isinstance(self.trained, RewardModel):
            save_reward(folder / "reward", self.trained, self.name)
            return folder / "reward"
        if self.settings.lora is None:
            write_model(folder / "model", self.loaded, self.source)
            return folder / "model"
        adapter = adapter_of(self.loaded.model, folder.name, self.name, self.settings.lora.rslora)
        write_adapter(folder / "adapter", adapter, self.loaded.model)
        return folder / "adapter"


def precision_of(told: str) -> str:
    """fp32 or bf16; `auto` takes bf16 where the machine multiplies in it."""
    if told != "auto":
        return told
    machine = probe()
    return "bf16" if any(name in machine.isa for name in BF16) else "fp32"


def lora_config(lora: Lora) -> LoRAConfig:
    """The adapter's settings as `train.lora` takes them. Raises AdapterError."""
    targets = lora.targets if lora.targets == "all-linear" else tuple(lora.targets.split("+"))
    return LoRAConfig(
        r=lora.r,
        alpha=2.0 * lora.r if lora.alpha is None else lora.alpha,
        dropout=lora.dropout,
        targets=targets,
        rslora=lora.rslora,
        dora=lora.dora,
        init=lora.init,
    )


def assemble(settings: Common, app: Settings) -> Assembled:
    """Load and prepare. Raises ModelUnavailable, ModelFileError, AdapterError, CheckpointError for a reward
    model, and HandbookError for whole weights that could not be written in the end."""
    source = locate(settings.model, app)
    precision = precision_of(settings.precision)
    loaded = load_model(settings.model, app)
    if settings.lora is None:
        check_writable(loaded.config, source)
    how = ready(loaded.model, settings, precision)
    judge = None
    if isinstance(settings, Sampled) and settings.reward_model:

        def load(name: str) -> Loaded:
            return load_model(settings.model if name == loaded.name else name, app)

        folder = Path(settings.reward_model).expanduser()
        judge = open_judge(folder, load, precision, settings.tokens, settings.unfinished)
    return Assembled(loaded, source, settings, precision, loaded.model, how, judge)


def ready(model: Transformer, settings: Common, precision: str) -> str:
    """Give the model what trains, freeze the rest, and say how it will be computed. Raises AdapterError."""
    if settings.lora is None:
        model.requires_grad_(True)
    elif settings.qlora:
        rest = torch.bfloat16 if precision == "bf16" else torch.float32
        add_qlora(model, lora_config(settings.lora), settings.seed, rest=rest)
    else:
        add_lora(model, lora_config(settings.lora), settings.seed)
    return prepare(model, precision)
