"""The encoder: BERT's blocks on the same attention as the decoder, and a sentence as one unit vector.

Two ways to the same vectors. `Encoder.forward` takes a padded batch and hides the padding behind a mask, as
the papers write it. `Encoder.forward_packed` lays all sentences end to end: the linear layers, which are
nearly all of the work, then see no padding, and attention runs over sentences of equal length together,
without a mask.

Devlin et al. 2019 (arXiv:1810.04805), section 3: the blocks, with the norm behind each sum. Reimers and
Gurevych 2019 (arXiv:1908.10084), section 3: mean pooling over the tokens. Not covered: the pooler and the
heads of pretraining, relative positions. Pairs of texts, whose tokens are of two types, are for
`handbook.model.cross`.

Axes: B sentences, T tokens of the longest, N tokens of all sentences together, C width.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.errors import ModelFileError
from handbook.model.attention import Attention, attend_fused
from handbook.model.layers import GeluMLP, LayerNorm
from handbook.model.tokenizer import read_json
from handbook.model.weights.names import NameTable
from handbook.model.weights.safetensors import SafetensorsWeights

BERT = NameTable(
    (
        ("words", "embeddings.word_embeddings"),
        ("positions", "embeddings.position_embeddings"),
        ("types", "embeddings.token_type_embeddings"),
        ("norm", "embeddings.LayerNorm"),
        ("blocks.{n}.attention.query", "encoder.layer.{n}.attention.self.query"),
        ("blocks.{n}.attention.key", "encoder.layer.{n}.attention.self.key"),
        ("blocks.{n}.attention.value", "encoder.layer.{n}.attention.self.value"),
        ("blocks.{n}.attention.out", "encoder.layer.{n}.attention.output.dense"),
        ("blocks.{n}.attention_norm", "encoder.layer.{n}.attention.output.LayerNorm"),
        ("blocks.{n}.mlp.up", "encoder.layer.{n}.intermediate.dense"),
        ("blocks.{n}.mlp.down", "encoder.layer.{n}.output.dense"),
        ("blocks.{n}.mlp_norm", "encoder.layer.{n}.output.LayerNorm"),
    )
)
"""Our name and the name in a BERT checkpoint."""

PRETRAINING = ("pooler.", "cls.", "embeddings.position_ids")
"""Tensors that a BERT checkpoint may hold and a sentence encoder has no use for."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of an encoder. positions: the longest input in tokens."""

    vocab_size: int
    dim: int
    layers: int
    heads: int
    hidden_dim: int
    positions: int
    types: int = 2
    norm_eps: float = 1e-12

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any]) -> EncoderConfig:
        """From a `config.json`. Raises ModelFileError where it is not a BERT that this code computes."""
        computed = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
        found = {"hidden_act": "gelu", "position_embedding_type": "absolute"} | dict(raw)
        wrong = {key: found.get(key) for key, value in computed.items() if found.get(key) != value}
        if wrong:
            raise ModelFileError(
                f"The encoder computes {computed}, and config.json has {wrong}.",
                "Use an embedding model of the BERT family, or an embeddings server (HANDBOOK_EMBED_URL).",
            )
        try:
            return cls(
                vocab_size=raw["vocab_size"],
                dim=raw["hidden_size"],
                layers=raw["num_hidden_layers"],
                heads=raw["num_attention_heads"],
                hidden_dim=raw["intermediate_size"],
                positions=raw["max_position_embeddings"],
                types=raw.get("type_vocab_size", 2),
                norm_eps=raw.get("layer_norm_eps", 1e-12),
            )
        except KeyError as error:
            raise ModelFileError(
                f"config.json lacks {error.args[0]!r}.", "Fetch the model's files again."
            ) from None


class EncoderBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, dim: int, heads: int, hidden_dim: int, norm_eps: float) -> None:
        super().__init__()
        self.attention = Attention(dim, heads, bias=True)
        self.attention_norm = LayerNorm(dim, norm_eps)
        self.mlp = GeluMLP(dim, hidden_dim)
        self.mlp_norm = LayerNorm(dim, norm_eps)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [B, T, C], mask bool broadcastable to [B, H, T, T] -> [B, T, C]."""
        x = self.attention_norm(x + self.attention(x, mask))
        return self.mlp_norm(x + self.mlp(x))  # type: ignore[no-any-return]

    def forward_packed(self, x: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
        """x [N, C], groups of (sentences, tokens of each) -> [N, C]."""
        inner = self.attention
        q, k, v = inner.query(x), inner.key(x), inner.value(x)  # [N, C]
        parts = []
        start = 0
        for count, length in groups:
            stop = start + count * length
            heads = (p[start:stop].view(count, length, inner.heads, -1).transpose(1, 2) for p in (q, k, v))
            parts.append(attend_fused(*heads).transpose(1, 2).reshape(stop - start, -1))
            start = stop
        x = self.attention_norm(x + inner.out(torch.cat(parts)))
        return self.mlp_norm(x + self.mlp(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Tokens in, one vector a token out; `embed` makes one unit vector a sentence of them."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.dim)
        self.positions = nn.Embedding(config.positions, config.dim)
        self.types = nn.Embedding(config.types, config.dim)
        self.norm = LayerNorm(config.dim, config.norm_eps)
        self.blocks = nn.ModuleList(
            EncoderBlock(config.dim, config.heads, config.hidden_dim, config.norm_eps)
            for _ in range(config.layers)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None, types: Tensor | None = None) -> Tensor:
        """tokens [B, T]; mask bool [B, T], True where a token is and not padding; types [B, T], 0 where none
        are given -> [B, T, C]."""
        x = self._start(tokens, torch.arange(tokens.shape[1], device=tokens.device), types)
        may_look = None if mask is None else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, may_look)
        return x

    def forward_packed(self, tokens: Tensor, lengths: Sequence[int], types: Tensor | None = None) -> Tensor:
        """tokens [N], the sentences one after the other, and how long each is; types [N] -> [N, C].

        Equals `forward` on the padded batch. Fast where sentences of equal length stand together.
        """
        return self.blocks_packed(self.begin_packed(tokens, lengths, types), lengths)

    def begin_packed(self, tokens: Tensor, lengths: Sequence[int], types: Tensor | None = None) -> Tensor:
        """What goes into the first block: tokens [N], each sentence's places from 0 on -> [N, C]."""
        groups = _alike(lengths)
        places = torch.cat([torch.arange(length).repeat(count) for count, length in groups])
        return self._start(tokens, places.to(tokens.device), types)

    def blocks_packed(
        self, x: Tensor, lengths: Sequence[int], first: int = 0, last: int | None = None
    ) -> Tensor:
        """x [N, C] through the blocks from `first` to before `last` (all that follow) -> [N, C]."""
        groups = _alike(lengths)
        for block in self.blocks[first:last]:
            x = block.forward_packed(x, groups)  # type: ignore[operator]
        return x

    def embed(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens [B, T], mask bool [B, T] -> unit vectors [B, C]: the mean over each sentence's tokens."""
        x = self(tokens, mask) * mask[..., None]
        return F.normalize(x.sum(dim=1) / mask.sum(dim=1, keepdim=True), dim=-1)

    def embed_packed(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """tokens [N] and the sentences' lengths -> unit vectors [B, C]. Equals `embed`."""
        x = self.forward_packed(tokens, lengths)
        return F.normalize(torch.stack([part.mean(dim=0) for part in torch.split(x, list(lengths))]), dim=-1)

    def _start(self, tokens: Tensor, places: Tensor, types: Tensor | None) -> Tensor:
        """The sum of the three embeddings, normalised; every token is of type 0 where no types are given."""
        kinds = self.types.weight[0] if types is None else self.types(types)
        x: Tensor = self.norm(self.words(tokens) + self.positions(places) + kinds)
        return x


def _alike(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of sentences that are equally long: (sentences, tokens of each)."""
    return [(len(list(same)), length) for length, same in itertools.groupby(lengths)]


def load_state(
    encoder: Encoder, shapes: Mapping[str, tuple[int, ...]], tensor: Callable[[str], Tensor]
) -> None:
    """Copy a BERT checkpoint's tensors into the encoder, as fp32.

    `shapes` is what the file announces, `tensor` reads one of them.
    Raises ModelFileError that lists missing, unknown and misshapen tensors, before any is read.
    """
    prefix = "bert." if any(name.startswith("bert.") for name in shapes) else ""
    found = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    own = {str(BERT.theirs(name)): tuple(value.shape) for name, value in encoder.state_dict().items()}
    faults = [f"{name} is missing" for name in own if name not in found]
    for name, shape in found.items():
        if name in own and own[name] != shape:
            faults.append(f"{name} has shape {list(shape)}, {list(own[name])} was expected")
        if name not in own and not name.startswith(PRETRAINING):
            faults.append(f"{name} has no place in this architecture")
    if faults:
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise ModelFileError(
            f"The weights don't fit the configuration: {'; '.join(faults[:5])}{more}.",
            "Check that config.json and the weights belong together.",
        )
    state = {str(BERT.ours(name)): tensor(prefix + name).float() for name in own}
    encoder.load_state_dict(state, assign=True)


def load_encoder(folder: Path) -> Encoder:
    """The encoder of a folder with `config.json` and safetensors weights, in fp32, ready to run.

    Raises ModelFileError where a file is missing, cut off or of another architecture.
    """
    weights = SafetensorsWeights(folder)
    config = EncoderConfig.from_hf(read_json(folder / "config.json"))
    with torch.device("meta"):
        encoder = Encoder(config)
    load_state(encoder, weights.shapes, weights.tensor)
    return encoder.eval().requires_grad_(False)
