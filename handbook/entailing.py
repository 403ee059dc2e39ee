"""An entailer: whether a piece of text says a statement, is silent on it, or contradicts it.

`LocalEntailer` runs the cross-encoder of `handbook.model.entails` in this process: the embedding model's
blocks with a change that is trained here (`handbook bench grader`) and ships with the package. It gives
logits; what they are worth as probabilities, and from where on one is a yes, is for whoever grades
(practice/grade.json). No torch is imported here at module level; the model loads at the first pair.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from handbook.embed import batches, folder_of, read_tokenizer
from handbook.errors import ModelFileError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from handbook.model.cross import CrossEncoder
    from handbook.model.encoder import Encoder
    from handbook.settings import Settings

WEIGHTS = Path(__file__).parent / "practice" / "grader.safetensors"
SAYS, SILENT, DENIES = 0, 1, 2  # columns of the logits
CLASSES: Final = 3
PREMISE, STATEMENT = 96, 64  # tokens that are read of each, as in training; the rest is cut off
BATCH_TOKENS = 2048  # tokens that go through the model at once


def open_entailer(settings: Settings) -> LocalEntailer:
    """The entailer that ships with the package. Nothing is loaded before the first pair."""
    return LocalEntailer(settings)


def manifest(weights: Path = WEIGHTS) -> dict[str, Any]:
    """What the weights were made of and by which command: data with licences and hashes, seed, scores.

    Raises ModelFileError where it is missing or damaged.
    """
    file = weights.with_suffix(".json")
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{file.name} cannot be read: {error}.", "Reinstall the handbook.") from error
    if not isinstance(said, dict):
        raise ModelFileError(f"{file.name} should hold an object.", "Reinstall the handbook.")
    return said


class LocalEntailer:
    """A cross-encoder on our own layers. Safe to use from several threads; they take turns.

    Raises ModelUnavailable or ModelFileError, at first use, where the encoder or the change is not to be had.
    """

    name = "handbook-minilm-entails"

    def __init__(self, settings: Settings, weights: Path = WEIGHTS, batch_tokens: int = BATCH_TOKENS) -> None:
        self._settings = settings
        self._weights = weights
        self._batch_tokens = batch_tokens
        self._lock = threading.RLock()
        self._loaded: tuple[CrossEncoder, Tokenizer] | None = None
        self.computed_by = ""

    @property
    def ready(self) -> bool:
        """Whether it is loaded, so that the next pairs wait for nothing but themselves."""
        return self._loaded is not None

    def load(self) -> tuple[CrossEncoder, Tokenizer]:
        """The model and its tokenizer, loaded once."""
        with self._lock:
            if self._loaded is None:
                import torch

                from handbook.model.entails import base_of, load_entailer

                if self._settings.threads:
                    torch.set_num_threads(self._settings.threads)
                folder = folder_of(base_of(self._weights), self._settings)
                model = load_entailer(folder, self._weights)
                self.computed_by = self._speed_up(model.encoder)
                tokenizer = read_tokenizer(folder)
                tokenizer.no_padding()  # nothing here has a mask
                self._loaded = model, tokenizer
            return self._loaded

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """[N] pairs of (piece of a text, statement) -> logits [N, 3] of says, silent, denies.

        A pair's logits hang on no other pair; the same pair is computed once.
        """
        import torch

        if not pairs:
            return np.empty((0, CLASSES), np.float32)
        places: dict[tuple[str, str], int] = {}
        rows = [places.setdefault((premise, statement), len(places)) for premise, statement in pairs]
        with self._lock, torch.inference_mode():
            model, tokenizer = self.load()
            found = self._computed(model, tokenizer, list(places))
        return found[rows]

    def _computed(
        self, model: CrossEncoder, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]
    ) -> NDArray[np.float32]:
        import torch

        premises = _ids(tokenizer, [premise for premise, _ in pairs], PREMISE)
        statements = _ids(tokenizer, [statement for _, statement in pairs], STATEMENT)
        lengths = [len(premises[a]) + len(statements[b]) - 1 for a, b in pairs]  # one mark at the start
        logits = np.empty((len(pairs), CLASSES), np.float32)
        for batch in batches(lengths, self._batch_tokens):
            tokens: list[int] = []
            types: list[int] = []
            firsts = []
            for index in batch:
                first, second = premises[pairs[index][0]], statements[pairs[index][1]][1:]
                tokens += [*first, *second]
                types += [0] * len(first) + [1] * len(second)
                firsts.append(len(first))
            sizes = [lengths[index] for index in batch]
            x = model.alone(torch.tensor(tokens), sizes, torch.tensor(types))
            logits[batch] = model.together(x, sizes, firsts).numpy()
        return logits

    def _speed_up(self, encoder: Encoder) -> str:
        """Choose what computes the products, as the setting embed_precision has it; said in words."""
        from handbook.engine import encoding

        wish = self._settings.embed_precision
        if wish == "fp32":
            return "torch, fp32"
        return encoding.quickened(encoder, False) if wish == "auto" else encoding.on_kernels(encoder, wish)


def _ids(tokenizer: Tokenizer, texts: Sequence[str], limit: int) -> dict[str, list[int]]:
    """Each text's ids with both marks, each text read once."""
    once = list(dict.fromkeys(texts))
    tokenizer.enable_truncation(limit)
    return {text: read.ids for text, read in zip(once, tokenizer.encode_batch_fast(once), strict=True)}
