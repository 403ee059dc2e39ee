"""`adapter_config.json`, the standard settings of a LoRA adapter, read with every fault noted.

What changes the result and is not computed here is a fault, whatever else the file says; the rest of its
keys say how the adapter was begun, and don't matter any more.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from handbook.model.values import Values, brief

T = TypeVar("T")
FILE = "adapter_config.json"
MOST_BYTES = 1 << 20
MOST_RANK = 1 << 12
MOST_PATTERNS = 1 << 12
UNSUPPORTED = (
    "modules_to_save",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
)  # each computes something else than W + s B A
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # initialisations that subtract from the base
PLAIN = re.compile(r"\^?[\w.\\-]+")  # a name, perhaps with its dots escaped: no pattern that could take long


@dataclass(frozen=True, slots=True)
class LoRASettings:
    """rank r and alpha, with exceptions by pattern of (their) names; base: the model that it was made for."""

    r: int
    alpha: float
    rslora: bool = False
    dora: bool = False
    base: str = ""
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)

    def rank(self, name: str) -> int:
        return _of(name, self.ranks, self.r)

    def scale(self, name: str) -> float:
        """alpha / r (Hu et al. 2021, arXiv:2106.09685, section 4.1); alpha / sqrt(r) where rank-stabilised
        (Kalajdzievski 2023, arXiv:2312.03732, section 3)."""
        r = self.rank(name)
        return float(_of(name, self.alphas, self.alpha) / (r**0.5 if self.rslora else r))


def _of(name: str, exceptions: Mapping[str, T], usual: T) -> T:
    for pattern, value in exceptions.items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return usual


def read_settings(folder: Path, faults: list[str]) -> LoRASettings | None:
    """The settings in a folder; what is wrong with them is added to `faults`. None where none can be read."""
    file = folder / FILE
    try:
        if file.stat().st_size > MOST_BYTES:
            faults.append(f"{FILE} is larger than {MOST_BYTES} bytes")
            return None
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"{FILE} cannot be read: {str(error)[:200]}")
        return None
    if not isinstance(raw, dict):
        faults.append(f"{FILE} should hold a JSON object, got {brief(raw)}")
        return None
    return settings_of(raw, faults)


def settings_of(raw: Mapping[str, Any], faults: list[str]) -> LoRASettings | None:
    values = Values(raw, faults=faults)
    if raw.get("peft_type") != "LORA":
        faults.append(f"peft_type should be 'LORA', got {brief(raw.get('peft_type'))}")
        return None
    for key in UNSUPPORTED:
        if raw.get(key):
            faults.append(f"it has {key} = {brief(raw[key])}, which is not computed here")
    if raw.get("bias", "none") != "none":
        faults.append(
            f"bias should be 'none', got {brief(raw['bias'])}: trained biases are not computed here"
        )
    start = str(raw.get("init_lora_weights", "")).lower()
    if start.startswith(CHANGES_BASE):
        faults.append(
            f"it was begun with {brief(start)}, which changed the base weights, and it only fits those: save "
            "it with peft's path_initial_model_for_weight_conversion"
        )
    base = raw.get("base_model_name_or_path") or ""
    if not isinstance(base, str):
        faults.append(f"base_model_name_or_path should be text, got {brief(base)}")
    r, alpha = values.whole("r", least=1), values.real("lora_alpha")
    flags = values.flag("use_rslora"), values.flag("use_dora")
    ranks, alphas = _patterns(values, "rank_pattern"), _patterns(values, "alpha_pattern")
    for got in (r, *ranks.values()):
        if got is not None and not 1 <= got <= MOST_RANK:
            faults.append(f"a rank should be from 1 to {MOST_RANK}, got {brief(got)}")
    if any(int(rank) != rank for rank in ranks.values()):
        faults.append("rank_pattern should give whole numbers")
    if r is None or alpha is None or faults:
        return None
    return LoRASettings(r, alpha, *flags, base[:200], {k: int(v) for k, v in ranks.items()}, alphas)


def _patterns(values: Values, key: str) -> dict[str, float]:
    inner = values.inner(key)
    if len(inner.mapping) > MOST_PATTERNS:
        values.faults.append(f"{key} should have at most {MOST_PATTERNS} entries, got {len(inner.mapping)}")
        return {}
    for name in inner.mapping:
        if not PLAIN.fullmatch(name):
            values.faults.append(f"{key} should be by names of layers, got {brief(name)}")
    found = {name: inner.real(name) for name in inner.mapping}
    return {name: number for name, number in found.items() if number is not None}


def written_settings(settings: LoRASettings, targets: list[str], dropout: float) -> str:
    """The file's text. targets: their names of the layers that it changes."""
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": settings.base or None,
        "r": settings.r,
        "lora_alpha": int(settings.alpha) if settings.alpha == int(settings.alpha) else settings.alpha,
        "lora_dropout": dropout,
        "target_modules": targets,
        "rank_pattern": dict(settings.ranks),
        "alpha_pattern": dict(settings.alphas),
        "use_rslora": settings.rslora,
        "use_dora": settings.dora,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
