"""Rerankers: a question and passages in, one score a passage out (`handbook.rag.cross.Scorer`).

`LocalReranker` runs a cross-encoder of `handbook.model.cross` in this process: the one that is trained here
and ships with the package (`OWN`), which is a small change of the embedding model's upper blocks, or one of
the hub. No torch is imported here at module level; the model loads at the first question.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handbook.embed import batches, folder_of, read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from handbook.model.cross import CrossEncoder
    from handbook.model.encoder import Encoder
    from handbook.settings import Settings

OWN = "handbook-minilm-cross"
WEIGHTS = Path(__file__).parent / "rag" / "cross.safetensors"
QUESTION = 64  # tokens of a question that are read
PAIR = 256  # tokens of a pair, at most
BATCH_TOKENS = 2048  # tokens that go through the model at once
KEPT = 400  # passages of which is remembered what the lower blocks make of them; 75 MB at most


def open_reranker(name: str, settings: Settings) -> LocalReranker:
    """The reranker of that name: `OWN`, a path or a hub id. Nothing is loaded before the first question."""
    return LocalReranker(settings, name)


class LocalReranker:
    """A cross-encoder on our own layers. What is longer than a pair may be is cut off at the passage's end.

    Safe to use from several threads; they take turns.

    Args:
        name: OWN, a folder with a cross-encoder's files, or its hub id.
        limit: tokens of a pair; fewer where the model has fewer positions.

    Raises ModelUnavailable or ModelFileError, at first use, where the model is not to be had.
    """

    def __init__(
        self,
        settings: Settings,
        name: str = OWN,
        limit: int = PAIR,
        weights: Path = WEIGHTS,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self.name = name
        self._settings = settings
        self._limit = limit
        self._weights = weights
        self._batch_tokens = batch_tokens
        self._lock = threading.RLock()
        self._loaded: tuple[CrossEncoder, Tokenizer] | None = None
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self.computed_by = ""

    def load(self) -> tuple[CrossEncoder, Tokenizer]:
        """The model and its tokenizer, loaded once."""
        with self._lock:
            if self._loaded is None:
                import torch

                from handbook.model.cross import load_cross, load_own

                if self._settings.threads:
                    torch.set_num_threads(self._settings.threads)
                folder = self._folder()
                model = load_own(folder, self._weights) if self.name == OWN else load_cross(folder)
                self.computed_by = self._speed_up(model.encoder)
                tokenizer = read_tokenizer(folder)
                tokenizer.no_padding()  # nothing here has a mask
                self._loaded = model, tokenizer
            return self._loaded

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """[N] passages -> [N] scores, in the order of the passages."""
        import torch

        if not passages:
            return np.empty(0, np.float32)
        with self._lock, torch.inference_mode():
            model, tokenizer = self.load()
            if model.joined:
                return self._by_halves(model, tokenizer, question, passages)
            return self._whole(model, tokenizer, question, passages)

    def _whole(
        self, model: CrossEncoder, tokenizer: Tokenizer, question: str, passages: Sequence[str]
    ) -> NDArray[np.float32]:
        """Question and passage as one text from the first block on."""
        import torch

        limit = min(self._limit, model.encoder.config.positions)
        tokenizer.enable_truncation(limit, strategy="longest_first")
        read = tokenizer.encode_batch([(question, passage) for passage in passages])
        scores = np.empty(len(read), np.float32)
        for batch in batches([len(one.ids) for one in read], self._batch_tokens):
            lengths = [len(read[index].ids) for index in batch]
            ids = torch.tensor([token for index in batch for token in read[index].ids])
            types = torch.tensor([kind for index in batch for kind in read[index].type_ids])
            firsts = [read[index].type_ids.count(0) for index in batch]
            scores[batch] = model.together(model.alone(ids, lengths, types), lengths, firsts).numpy()
        return scores

    def _by_halves(
        self, model: CrossEncoder, tokenizer: Tokenizer, question: str, passages: Sequence[str]
    ) -> NDArray[np.float32]:
        """The question once, each passage that is not remembered once, and then the upper blocks a pair."""
        import torch

        from handbook.model.cross import paired

        places = model.encoder.config.positions  # each text has its own
        tokenizer.enable_truncation(min(QUESTION, places))
        asked_ids = tokenizer.encode(question).ids
        asked = model.alone(torch.tensor(asked_ids), [len(asked_ids)])
        read = self._read(model, tokenizer, passages, min(self._limit - QUESTION, places))
        scores = np.empty(len(passages), np.float32)
        for batch in batches([len(asked) + len(one) for one in read], self._batch_tokens):
            pairs = paired([asked] * len(batch), [read[index] for index in batch])
            scores[batch] = model.together(*pairs).numpy()
        return scores

    def _read(
        self, model: CrossEncoder, tokenizer: Tokenizer, passages: Sequence[str], limit: int
    ) -> list[Tensor]:
        """What the lower blocks make of each passage, [T, C]."""
        import torch

        keys = [hashlib.sha256(passage.encode()).digest() for passage in passages]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        new = {key: passage for key, passage in zip(keys, passages, strict=True) if key not in found}
        tokenizer.enable_truncation(limit)
        ids = [one.ids for one in tokenizer.encode_batch_fast(list(new.values()))]
        order = list(new)
        for batch in batches([len(one) for one in ids], self._batch_tokens):
            lengths = [len(ids[index]) for index in batch]
            x = model.alone(torch.tensor([token for index in batch for token in ids[index]]), lengths)
            for index, part in zip(batch, torch.split(x, lengths), strict=True):
                found[order[index]] = part.clone()
        for key, part in found.items():
            self._kept[key] = part
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return [found[key] for key in keys]

    def _speed_up(self, encoder: Encoder) -> str:
        """Choose what computes the products, as the setting embed_precision has it; said in words."""
        from handbook.engine import encoding

        wish = self._settings.embed_precision
        if wish == "fp32":
            return "torch, fp32"
        return encoding.quickened(encoder, False) if wish == "auto" else encoding.on_kernels(encoder, wish)

    def _folder(self) -> Path:
        """Where config.json, model.safetensors and tokenizer.json lie."""
        if self.name == OWN:
            from handbook.model.cross import base_of

            return folder_of(base_of(self._weights), self._settings)
        from handbook.model.load import locate, refuse_pickle

        found = locate(self.name, self._settings)
        refuse_pickle(found)
        return found if found.is_dir() else found.parent
