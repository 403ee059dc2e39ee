"""Somebody's own config.json: from its text to a configuration, or everything that is wrong with it."""

import json
from collections.abc import Mapping
from typing import Any

from handbook.errors import ModelFileError
from handbook.model.config import ModelConfig
from handbook.model.zoo.rows import CONTEXT, Row, row

LARGEST = 200_000  # characters; published ones have some thousand
MOST_LAYERS = 4096  # sizes are summed layer by layer
REMEDY = "Correct it and send it again. Nothing was stored."


def parse(text: str) -> Mapping[str, Any]:
    """The object that `text` holds. Raises ModelFileError."""
    if len(text) > LARGEST:
        raise fault(f"it has {len(text):,} characters, and a config.json has {LARGEST:,} at most")
    if not text.strip():
        raise fault("it is empty; expected the text of a config.json")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise fault(f"it is no JSON: {error.msg}, line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets in brackets
        raise fault("it is no JSON that can be read: a number or a nesting without end") from error
    if not isinstance(found, dict):
        raise fault(f"it holds a {type(found).__name__}; expected an object with fields")
    return found


def read(text: str) -> ModelConfig:
    """The configuration that the text of a config.json says. Raises ModelFileError whose `faults` are all
    that this program can't read or compute."""
    raw = parse(text)
    if "model_type" not in raw and isinstance(raw.get("text_config"), dict):
        raise fault("it is of a model that does more than read; give the object under text_config alone")
    layers = raw.get("num_hidden_layers")
    if isinstance(layers, int) and layers > MOST_LAYERS:
        raise fault(f"num_hidden_layers is {layers}, and sizes are summed for {MOST_LAYERS:,} at most")
    try:
        return ModelConfig.from_hf(raw)
    except ModelFileError as error:
        raise fault(*(error.faults or (error.what,))) from error


def own_row(config: ModelConfig, text: str, title: str, at: int = CONTEXT) -> Row:
    """The numbers of what `read` made of `text`."""
    return row(config, "", title, str(parse(text)["model_type"]), at)


def fault(*faults: str) -> ModelFileError:
    things = "one thing" if len(faults) == 1 else f"{len(faults)} things"
    return ModelFileError(f"This config.json cannot be sized: {things} in it.", REMEDY, faults)
