"""Text to token ids and back, through the `tokenizers` library, from a `tokenizer.json` or a GGUF file's
metadata.

Two encoders stand side by side. One reads `<|im_end|>` as the token that ends a turn; the other reads it as
the ten characters that somebody typed. Which one is used is the difference between a prompt and an injection.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbook.errors import ModelFileError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


class Tokenizer:
    """A model's tokenizer.

    Args:
        backend: of the `tokenizers` library.
        bos, eos, pad: ids, None where the model has none.
        stops: ids that end a reply; always contains eos.

    Raises ModelFileError for an id that the vocabulary doesn't have.
    """

    def __init__(
        self,
        backend: "Backend",
        bos: int | None = None,
        eos: int | None = None,
        pad: int | None = None,
        stops: Sequence[int] = (),
    ) -> None:
        self.backend = backend
        self.bos, self.eos, self.pad = bos, eos, pad
        self.stops = frozenset(stops) | ({eos} if eos is not None else set())
        for token in (*self.stops, bos, pad):
            if token is not None and not _known(token, backend):
                raise ModelFileError(
                    f"The tokenizer names token {token!r} and has {self.vocab_size} tokens.",
                    "Fetch the model again.",
                )

    @property
    def vocab_size(self) -> int:
        return int(self.backend.get_vocab_size())

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """What users may not write as a token."""
        added = self.backend.get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.special)

    @cached_property
    def _literal(self) -> "Backend":
        """The encoder that takes special tokens' names as ordinary text."""
        literal = copy.deepcopy(self.backend)
        literal.encode_special_tokens = True
        return literal

    def encode(self, text: str, special: bool = True, wrap: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            special: whether names of special tokens in the text count as these tokens. False for what users
            wrote. wrap: adds what the model puts around every text (BOS, or BERT's [CLS] and [SEP]).
        """
        backend = self.backend if special else self._literal
        return list(backend.encode(text, add_special_tokens=wrap).ids)

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """The text of ids; with special, special tokens are written out. Broken UTF-8 becomes U+FFFD."""
        return str(self.backend.decode(list(ids), skip_special_tokens=not special))

    def token_text(self, token: int) -> str:
        """One token as a person can read it, special ones too."""
        return self.decode([token], special=True)

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        """From `tokenizer.json`, with `tokenizer_config.json` and `generation_config.json` where they exist.

        Raises ModelFileError.
        """
        from tokenizers import Tokenizer as Backend

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelFileError(
                f"{path} is missing.", "A model needs its tokenizer.json beside the weights: fetch it."
            )
        try:
            backend = Backend.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception
            raise ModelFileError(f"{path} can't be read: {error}.", "Fetch the model again.") from error
        backend.no_padding()
        backend.no_truncation()
        named = read_json(folder / "tokenizer_config.json")
        generation = read_json(folder / "generation_config.json")

        def id_of(key: str) -> int | None:
            token = named.get(key)
            token = token.get("content") if isinstance(token, dict) else token
            return backend.token_to_id(token) if isinstance(token, str) else None

        stops = generation.get("eos_token_id")
        stops = stops if isinstance(stops, list) else [] if stops is None else [stops]
        return cls(backend, id_of("bos_token"), id_of("eos_token"), id_of("pad_token"), stops)

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> "Tokenizer":
        """From the `tokenizer.ggml.*` values of a GGUF file. Raises ModelFileError for a kind that isn't
        known."""
        from handbook.model.weights.vocabulary import byte_level_bpe

        backend = byte_level_bpe(metadata)
        bos, eos, pad = (
            metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "padding")
        )
        ends = [metadata[key] for key in ("tokenizer.ggml.eot_token_id",) if key in metadata]
        return cls(backend, bos, eos, pad, ends)


class StreamDecoder:
    """Turns ids into text as they come, and never shows half a character.

    A character may span several tokens: what could still be the start of one is held back until it is whole.
    The pieces joined are `decode` of all ids.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []  # the last few ids; decoding all of them anew would take ever longer
        self._shown = 0  # characters of the window's text that have been given out

    def push(self, token: int) -> str:
        """The text that is certain now, often one token's, sometimes none."""
        self._window.append(token)
        text = self._tokenizer.decode(self._window)
        whole = text.removesuffix("\ufffd")
        out, self._shown = whole[self._shown :], max(self._shown, len(whole))
        if whole == text and len(self._window) >= 8:
            self._window = self._window[-1:]
            self._shown = len(self._tokenizer.decode(self._window))
        return out

    def finish(self) -> str:
        """What was held back, at the end."""
        return self._tokenizer.decode(self._window)[self._shown :]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where the file is missing. Raises ModelFileError where it is something else."""
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not valid JSON: {error}.", "Fetch the model again.") from error
    if not isinstance(read, dict):
        raise ModelFileError(f"{path} should hold a JSON object.", "Fetch the model again.")
    return read


def _known(token: object, backend: "Backend") -> bool:
    if not (isinstance(token, int) and 0 <= token < 1 << 31):  # the library takes no others
        return False
    return backend.id_to_token(token) is not None
