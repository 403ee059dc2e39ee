"""The Embedder seam: texts in, unit vectors out.

`LocalEmbedder` runs the encoder of `handbook.model.encoder` in this process, `HttpEmbedder` asks any
OpenAI-compatible server, `Truncated` keeps the first dimensions of another's vectors. No torch is imported
here at module level; the encoder loads at the first call.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.errors import ModelFileError, ModelUnavailable, SettingsError
from handbook.settings import shown, without

if TYPE_CHECKING:
    import openai
    from tokenizers import Tokenizer

    from handbook.model.encoder import Encoder
    from handbook.settings import Settings

BATCH_TOKENS = 2048  # tokens that go through the encoder at once; bench/embeddings.py chose it
MANY = 512  # texts from which compiling the kernels pays
HTTP_BATCH = 128  # texts of one request


class Embedder(Protocol):
    """Texts in, rows of length 1 out."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...  # [N, D]


def open_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name. Nothing is loaded and no server is asked before the first text."""
    found: Embedder = LocalEmbedder(settings)
    if settings.embed_url:
        found = HttpEmbedder(settings.embed_url, settings.embedder, settings.embed_key)
    return Truncated(found, settings.embed_dimension) if settings.embed_dimension else found


class LocalEmbedder:
    """A BERT-family sentence encoder on our own layers.

    Texts longer than the model's limit (256 tokens for all-MiniLM-L6-v2) are cut off there.
    Safe to use from several threads; they take turns. Its products run as `embed_precision` in the settings
    says; left to itself it computes in fp32, on compiled kernels as soon as they are there, and compiles them
    itself when it has read many texts.
    Raises ModelUnavailable or ModelFileError, at first use, where the model is not to be had; HandbookError
    where a precision was asked for that needs kernels, and there are none.
    """

    def __init__(self, settings: Settings, batch_tokens: int = BATCH_TOKENS) -> None:
        self.name = settings.embedder
        self._settings = settings
        self._batch_tokens = batch_tokens
        self._lock = threading.RLock()
        self._dimension: int | None = None
        self._loaded: tuple[Encoder, Tokenizer] | None = None
        self._reader: Tokenizer | None = None
        self._read = 0  # texts
        self._slow = False  # whether compiling kernels may help
        self.computed_by = ""

    @property
    def dimension(self) -> int:
        """Read from the model's configuration, without loading it."""
        if self._dimension is None:
            config = folder_of(self.name, self._settings) / "config.json"
            try:
                self._dimension = int(_json(config)["hidden_size"])
            except (KeyError, TypeError, ValueError):
                raise ModelFileError(
                    f"{config} lacks a whole `hidden_size`.", "Fetch the model's files again."
                ) from None
        return self._dimension

    def load(self) -> tuple[Encoder, Tokenizer]:
        """The encoder and its tokenizer, loaded once."""
        with self._lock:
            if self._loaded is None:
                import torch

                from handbook.model.encoder import load_encoder

                if self._settings.threads:
                    torch.set_num_threads(self._settings.threads)
                folder = folder_of(self.name, self._settings)
                encoder = load_encoder(folder)
                self._speed_up(encoder)
                self._loaded = encoder, _tokenizer(folder, encoder.config.positions)
            return self._loaded

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N] texts -> [N, D] unit vectors, in the order of the texts."""
        import torch

        with self._lock, torch.inference_mode():
            encoder, tokenizer = self.load()
            self._read += len(texts)
            if self._read >= MANY and self._slow:
                self._speed_up(encoder)
            ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
            rows = np.empty((len(ids), encoder.config.dim), np.float32)
            for batch in batches([len(one) for one in ids], self._batch_tokens):
                packed = torch.tensor([token for index in batch for token in ids[index]])
                rows[batch] = encoder.embed_packed(packed, [len(ids[index]) for index in batch]).numpy()
            return rows

    def _speed_up(self, encoder: Encoder) -> None:
        """Choose what computes the products."""
        from handbook.engine import encoding

        wish = self._settings.embed_precision
        if wish == "fp32":
            self.computed_by = "torch, fp32"
        elif wish == "auto":
            self.computed_by = encoding.quickened(encoder, build_them=self._read >= MANY)
        else:
            self.computed_by = encoding.on_kernels(encoder, wish)
        self._slow = wish == "auto" and self._read < MANY and self.computed_by == "torch, fp32"

    def token_vectors(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Where the tokens of a text lie, [T, 2] as (start, end), and what the encoder makes of each, [T, D].

        The first and the last are [CLS] and [SEP], of no characters. Reads as far as the model has positions
        (512 for all-MiniLM-L6-v2), which is more than its makers trained it to.
        """
        import torch

        with self._lock, torch.inference_mode():
            encoder, _ = self.load()
            if self._reader is None:
                self._reader = self.tokenizer()
                self._reader.enable_truncation(encoder.config.positions)
            encoding = self._reader.encode(text)
            vectors = encoder.forward_packed(torch.tensor(encoding.ids), [len(encoding.ids)]).numpy()
        return np.array(encoding.offsets, np.intp), vectors

    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, for counting: it cuts nothing off. No weights are loaded."""
        tokenizer = read_tokenizer(folder_of(self.name, self._settings))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def folder_of(name: str, settings: Settings) -> Path:
    """Where a model's config.json, model.safetensors and tokenizer.json lie. Raises ModelUnavailable."""
    from handbook.model.weights.catalog import CATALOG, find

    if name in CATALOG:
        found = find(name, settings)
        if found is None:
            raise ModelUnavailable(
                f"The embedding model {name} is not on this machine.", f"Run `handbook models get {name}`."
            )
    else:
        from handbook.model.load import locate

        found = locate(name, settings)
    return found if found.is_dir() else found.parent


def truncated(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """[N, D] -> [N, dimension]: the first entries, brought to length 1 again.

    Kusupati et al. 2022, "Matryoshka Representation Learning" (arXiv:2205.13147), section 3: a model trained
    so puts the coarse meaning first. Raises ValueError for a dimension that the vectors don't have, and where
    nothing is left of one.
    """
    if not 1 <= dimension <= vectors.shape[1]:
        raise ValueError(f"expected a dimension of 1 to {vectors.shape[1]}, got {dimension}")
    kept = vectors[:, :dimension]
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    if not norms.all():
        raise ValueError(f"expected vectors that have a direction in their first {dimension} entries")
    unit: NDArray[np.float32] = kept / norms
    return unit


class Truncated:
    """An embedder's vectors with fewer dimensions. Its name says how many, so that no index mixes them up."""

    def __init__(self, whole: Embedder, dimension: int) -> None:
        self._whole = whole
        self._wanted = dimension
        self.name = f"{whole.name}@{dimension}"

    @property
    def dimension(self) -> int:
        """Raises SettingsError where the model has fewer."""
        if self._wanted > self._whole.dimension:
            raise SettingsError(
                f"embed_dimension is {self._wanted}, and {self._whole.name} has {self._whole.dimension}.",
                "Set a smaller one, or none.",
            )
        return self._wanted

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return truncated(self._whole.embed(texts), self.dimension)

    def __getattr__(self, name: str) -> Any:
        """What else the embedder has: its tokenizer, its token vectors (whole)."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole, name)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of the texts, longest first, in batches of at most `budget` tokens (or one text).

    Neighbours are of nearly equal length, so that attention finds many that it can take together. The longest
    come first so that what does not fit into memory shows at once.
    """
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and tokens + lengths[index] > budget:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch


class HttpEmbedder:
    """Any OpenAI-compatible embeddings endpoint, through the `openai` client. Raises ModelUnavailable."""

    def __init__(self, url: str, model: str, key: str | None = None, timeout: float = 60.0) -> None:
        self.name = model
        self.url = shown(url)
        self._address = url
        self._key = (key or "").strip()
        self._timeout = timeout
        self._client: openai.OpenAI | None = None
        self._dimension: int | None = None

    @property
    def dimension(self) -> int:
        """Asked of the server once, with one word."""
        if self._dimension is None:
            self._dimension = int(self.embed(["dimension"]).shape[1])
        return self._dimension

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N] texts -> [N, D]; normalised here, because not every server does."""
        found: list[list[float]] = []
        for start in range(0, len(texts), HTTP_BATCH):
            found += self._ask(list(texts[start : start + HTTP_BATCH]))
        if not found:
            return np.empty((0, self.dimension), np.float32)
        if len({len(row) for row in found}) != 1:
            raise ModelUnavailable(
                f"{self.url} sent vectors of several lengths.", "Check the model on that server."
            )
        rows = np.asarray(found, np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise ModelUnavailable(
                f"{self.url} sent a vector that has no direction.", "Check the model on that server."
            )
        self._dimension = int(rows.shape[1])
        unit: NDArray[np.float32] = rows / norms
        return unit

    def _ask(self, texts: list[str]) -> list[list[float]]:
        import openai

        if self._client is None:
            self._client = openai.OpenAI(
                base_url=self._address, api_key=self._key or "none", timeout=self._timeout, max_retries=1
            )
        try:
            reply = self._client.embeddings.create(model=self.name, input=texts, encoding_format="float")
            rows = [list(item.embedding) for item in sorted(reply.data, key=lambda item: item.index)]
        except Exception as error:  # a reply in another format surfaces as an error of many kinds
            raise ModelUnavailable(
                f"{self.url} sent no embeddings from {self.name!r} "
                f"({type(error).__name__}: {without(self._key, str(error))[:200]}).",
                "Check embed_url, embed_key and embedder in the settings, and that the server runs.",
            ) from error
        if len(rows) != len(texts):
            raise ModelUnavailable(
                f"{self.url} sent {len(rows)} vectors for {len(texts)} texts.", "Check the server."
            )
        return rows


def _tokenizer(folder: Path, positions: int) -> Tokenizer:
    """The folder's tokenizer, cutting off where the model's makers did, without padding."""
    tokenizer = read_tokenizer(folder)
    limits = folder / "sentence_bert_config.json"
    limit = _json(limits).get("max_seq_length") if limits.is_file() else None
    tokenizer.enable_truncation(min(limit, positions) if isinstance(limit, int) else positions)
    tokenizer.no_padding()
    return tokenizer


def read_tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelFileError(f"{path} is not there.", "Fetch the model's files again.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ModelFileError(f"{path} cannot be read: {error}.", "Fetch the model's files again.") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}.", "Fetch the model's files again.") from error
    if not isinstance(read, dict):
        raise ModelFileError(f"{path} should hold a JSON object.", "Fetch the model's files again.")
    return read
