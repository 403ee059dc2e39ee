"""From a model's name to an engine: the weights are read, and the fastest way this machine has is picked.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from handbook.engine.draft_model import DraftModel
from handbook.engine.engine import Engine
from handbook.engine.fast import FastExecutor
from handbook.engine.heap import give_back
from handbook.engine.twin import TwinExecutor
from handbook.errors import HandbookError
from handbook.model.adapters import read_adapter
from handbook.model.load import load_model
from handbook.settings import Settings

Wish = Literal["auto", "int8", "int4", "bf16", "fp32"]
WISHES: tuple[str, ...] = get_args(Wish)


def open_engine(
    name: str, settings: Settings, precision: Wish = "auto", draft: str | None = None, **options: Any
) -> Engine:
    """An engine for a model of the catalogue, a path or a hub id. options: what `Engine` takes.

    precision: of the products. "auto" takes int8 (its error is measured in the chapter) on compiled kernels,
    or on torch where the processor multiplies bytes, else fp32; bf16 and fp32 run on kernels where they can,
    else on torch. int4 loses nothing of a file that is quantised so (Q4_1), and much of others; it is there
    only for who asks.
    draft: the name of a smaller model that guesses ahead. Weights that the kernels have packed are freed.
    Where there is a CUDA GPU, all of it runs there: in fp32 if that is asked for, else in bf16.

    Raises ModelUnavailable and ModelFileError for a model; HandbookError for int8 and int4 where there are no
    kernels and for a draft model of another tokenizer; ValueError for options that can't be.
    """
    if torch.cuda.is_available():
        return _on_gpu(name, settings, precision, draft, options)
    loaded = load_model(name, settings)
    if draft is not None:
        options |= {"draft": load_model(draft, settings), "speculation": "draft"}
    engine = Engine(loaded, precision="int8" if precision == "auto" else precision, **options)
    if isinstance(engine.executor, FastExecutor | TwinExecutor):
        return freed(engine)
    if precision in ("int8", "int4"):
        raise HandbookError(
            f"{precision} products need compiled kernels, and {loaded.name} runs on {engine.picked}.",
            "Choose precision auto, bf16 or fp32, or install a C++ compiler where that is what is missing.",
        )
    if precision == "bf16":
        loaded = load_model(name, settings, torch.bfloat16)
    why = engine.picked.partition(": ")[2]
    engine = Engine(loaded, **options)  # pages as the weights are: nothing is rounded that wasn't asked for
    engine.picked = f"torch, {str(loaded.model.dtype).removeprefix('torch.')}: {why}"
    return freed(engine)


def load_adapters(engine: Engine, folders: Mapping[str, Path]) -> None:
    """Adapters in peft's format, by the names that requests give. Raises AdapterError."""
    for name, folder in folders.items():
        engine.load_adapter(name, read_adapter(folder, engine.loaded.model, name))


def _on_gpu(
    name: str, settings: Settings, precision: Wish, draft: str | None, options: dict[str, Any]
) -> Engine:
    if precision in ("int8", "int4"):
        raise HandbookError(
            f"{precision} products are for processors, and this machine has a GPU.",
            "Choose precision auto, bf16 or fp32, or hide the GPU (CUDA_VISIBLE_DEVICES=).",
        )
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    loaded = load_model(name, settings, dtype, "cuda")
    if draft is not None:
        options |= {"draft": load_model(draft, settings, dtype, "cuda"), "speculation": "draft"}
    return Engine(loaded, **options)


def freed(engine: Engine) -> Engine:
    """The engine, without the weights of which it has packed ones: its model's, and its draft model's."""
    computing = [engine.executor]
    if engine.ahead is not None and isinstance(drafter := engine.ahead.drafter, DraftModel):
        computing.append(drafter.executor)
    for executor in computing:
        if isinstance(executor, FastExecutor | TwinExecutor):
            executor.release()
    give_back()
    return engine
