"""Texts and TOML values to what a dataclass field wants: kinds, bounds and choices, with faults in words."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, fields
from difflib import SequenceMatcher
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
OTHERS = {  # what other trainers call it
    "lr": "rate",
    "learning_rate": "rate",
    "max_steps": "steps",
    "num_train_epochs": "epochs",
    "weight_decay": "decay",
    "warmup_ratio": "warmup",
    "lr_scheduler_type": "schedule",
    "max_grad_norm": "clip",
    "max_length": "length",
    "max_seq_length": "length",
    "batch_size": "tokens",
    "per_device_train_batch_size": "tokens",
    "gradient_accumulation_steps": "rows",
    "gradient_checkpointing": "checkpointing",
    "dataset": "data",
    "output_dir": "out",
    "eval_steps": "every",
    "save_steps": "every",
    "lora_r": "lora",
    "lora_alpha": "lora",
    "num_generations": "group",
    "rank": "r",
    "lora_dropout": "dropout",
    "target_modules": "targets",
    "use_dora": "dora",
    "use_rslora": "rslora",
    "loss_type": "kind",
    "bf16": "precision",
}
L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and in which file; a flag has none."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}" if self.file else self.what


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that somebody who wrote `name` most likely meant."""
    names = list(known)
    meant = OTHERS.get(name.lower().replace("-", "_"))
    if meant in names:
        return str(meant)
    return max(names, key=lambda each: SequenceMatcher(None, name.lower(), each).ratio())


def value_of(target: "Field[Any]", raw: Any) -> Any:
    """`raw`, a text or a TOML value, as the field wants it. Raises ValueError in words."""
    kind, optional = _kind(target)
    if optional and (raw is None or (isinstance(raw, str) and raw.lower() in ("", "none", "auto"))):
        return None
    if get_origin(kind) is Literal:
        if raw not in get_args(kind):
            raise ValueError(f"expected one of {', '.join(get_args(kind))}, got {raw!r}")
        return raw
    if kind is bool:
        return _flag(raw)
    if kind is str:
        if not isinstance(raw, str):
            raise ValueError(f"expected text, got {raw!r}")
        return raw
    return _number(raw, kind, target.metadata.get("low"), target.metadata.get("high"))


def lora_of(raw: Any, before: Any, kind: type[L]) -> L | None:
    """An adapter's settings from `r=16,alpha=32`, `true`, or a table of TOML. What is not told stays as it
    was `before` (of the file, where flags are read). Raises ValueError that lists all faults."""
    if isinstance(raw, kind):
        return raw
    if isinstance(raw, bool) or (isinstance(raw, str) and raw.strip().lower() in YES + NO):
        return (before or kind()) if _flag(raw) else None
    faults: list[str] = []
    if isinstance(raw, str):
        parts = [part.strip() for part in raw.split(",") if part.strip()]
        faults += [f"expected name=value, got {part!r}" for part in parts if "=" not in part]
        told: dict[str, Any] = dict(part.split("=", 1) for part in parts if "=" in part)
        told = {name.strip(): value.strip() for name, value in told.items()}
    elif isinstance(raw, Mapping):
        told = dict(raw)
    else:
        raise ValueError(f"expected r=16,alpha=32 or a table, got {raw!r}")
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass type
    values: dict[str, Any] = {} if before is None else asdict(before)
    for name, value in told.items():
        if name not in known:
            faults.append(f"{name} is not known; the nearest is {nearest(name, known)}")
            continue
        try:
            joined = "+".join(value) if name == "targets" and isinstance(value, list) else value
            values[name] = value_of(known[name], joined)
        except (ValueError, TypeError) as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise ValueError(", ".join(faults))
    return kind(**values)


def _kind(target: "Field[Any]") -> tuple[Any, bool]:
    """What a field holds beside None, and whether None is allowed."""
    hint = target.type
    if get_origin(hint) in (Union, UnionType):
        inner = [each for each in get_args(hint) if each is not type(None)]
        return inner[0], True
    return hint, False


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in YES + NO:
        return raw.strip().lower() in YES
    raise ValueError(f"expected true or false, got {raw!r}")


def _number(raw: Any, kind: type, low: float | None, high: float | None) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"expected a number, got {raw!r}")
    try:
        value = kind(raw) if not (kind is int and isinstance(raw, float)) else _whole(raw)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"expected {expected}, got {raw!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {raw!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"{low:,} to {high:,}" if high is not None else f"{low:,} or more"
        raise ValueError(f"expected {bounds}, got {value:,}")
    return value


def _whole(raw: float) -> int:
    if not raw.is_integer():
        raise ValueError
    return int(raw)
