"""The cross-encoder: a question and a passage read together, and one number for how well they fit.

An encoder of sentences never sees the question while it reads the passage. A cross-encoder does: Nogueira and
Cho 2019 (arXiv:1901.04085), section 3, put both into BERT as one text, and a layer over the first token says
how relevant the passage is (`Classifier`; what the hub calls BertForSequenceClassification).

That costs a whole pass a pair. MacAvaney et al. 2020 (arXiv:2004.14255), section 3, let the lower blocks read
each text alone and only the upper ones both together; what the lower blocks make of a text hangs on no other,
so a question is read once for all its passages, and a passage once for all questions. `joined` is the block
from which on they are together: 0 is the plain cross-encoder.

`Likeness` is the head of the one that is trained here (bench/reranker.py). It starts from what a sentence
encoder has learned already, cosines, where a layer over the first token would start from nothing.

Axes: B pairs, N tokens of all of them end to end, C width.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from handbook.errors import ModelFileError
from handbook.model.adapters import Factors
from handbook.model.encoder import Encoder, EncoderConfig, load_encoder, load_state
from handbook.model.tokenizer import read_json
from handbook.model.weights.safetensors import SafetensorsWeights

SHARPNESS = 20.0  # what a cosine counts at the start: a softmax over cosines as they are is nearly flat


class Head(Protocol):
    """Pairs [N, C], how long each is and how many of its tokens are the question's -> scores [B]."""

    def __call__(self, x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> Tensor: ...


class Classifier(nn.Module):
    """A linear layer over tanh of a linear layer over the first token: BERT's pooler and classifier."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pooler = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, 1)

    def forward(self, x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> Tensor:
        begins = torch.tensor([0, *lengths[:-1]]).cumsum(0)
        score: Tensor = self.out(torch.tanh(self.pooler(x[begins])))[:, 0]
        return score


class Likeness(nn.Module):
    """Two cosines, weighted, and a linear layer over the first token.

    The first is of the means over the question's and the passage's tokens; the second is the mean over the
    question's tokens of the best cosine with a passage's token (Khattab and Zaharia 2020, arXiv:2004.12832,
    section 3.3), here of tokens that have seen each other. The layer starts at zero.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.ones(2))
        self.first = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> Tensor:
        cosines, begins = [], []
        for pair, length in zip(torch.split(x.float(), list(lengths)), firsts, strict=True):
            asked, passage = pair[:length], pair[length:]
            means = F.cosine_similarity(asked.mean(dim=0), passage.mean(dim=0), dim=0)
            words = asked[1:-1] if length > 2 else asked  # without [CLS] and [SEP]
            near = F.normalize(words, dim=-1) @ F.normalize(passage, dim=-1).T
            cosines.append(torch.stack([means, near.amax(dim=1).mean()]))
            begins.append(pair[0])
        score: Tensor = SHARPNESS * torch.stack(cosines) @ self.gains + torch.stack(begins) @ self.first
        return score


class CrossEncoder(nn.Module):
    """An encoder, from which of its blocks on a pair is read together, and what makes a number of that."""

    def __init__(self, encoder: Encoder, head: nn.Module, joined: int = 0) -> None:
        super().__init__()
        if not 0 <= joined <= encoder.config.layers:
            raise ValueError(f"expected a block from 0 to {encoder.config.layers}, got {joined}")
        self.encoder = encoder
        self.head = head
        self.joined = joined

    def alone(self, tokens: Tensor, lengths: Sequence[int], types: Tensor | None = None) -> Tensor:
        """tokens [N] of texts end to end -> [N, C]: what the lower blocks make of each text, alone.

        Where pairs are together from the first block on, a text is a pair, and types [N] tell its halves.
        """
        return self.encoder.blocks_packed(
            self.encoder.begin_packed(tokens, lengths, types), lengths, 0, self.joined
        )

    def together(self, x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> Tensor:
        """x [N, C] of pairs end to end, the question first; lengths of the pairs, firsts of their questions
        -> scores [B], higher is better."""
        score: Tensor = self.head(self.encoder.blocks_packed(x, lengths, self.joined), lengths, firsts)
        return score


def paired(questions: Sequence[Tensor], passages: Sequence[Tensor]) -> tuple[Tensor, list[int], list[int]]:
    """Texts read alone, [T, C] each, as what `CrossEncoder.together` takes."""
    both = [part for pair in zip(questions, passages, strict=True) for part in pair]
    lengths = [len(asked) + len(passage) for asked, passage in zip(questions, passages, strict=True)]
    return torch.cat(both), lengths, [len(asked) for asked in questions]


def load_cross(folder: Path) -> CrossEncoder:
    """A cross-encoder from the hub: a folder with `config.json` of a BertForSequenceClassification with one
    label, and safetensors weights. fp32, ready to run.

    Raises ModelFileError where a file is missing, cut off, or of another architecture.
    """
    raw = read_json(folder / "config.json")
    config = EncoderConfig.from_hf(raw)
    labels = len(raw["id2label"]) if "id2label" in raw else raw.get("num_labels", 2)
    weights = SafetensorsWeights(folder)
    faults = _faults(weights.shapes, config.dim)
    if labels != 1:
        faults.insert(0, f"it tells {labels} labels apart, and a reranker has one score")
    if faults:
        raise ModelFileError(
            f"{folder.name} is no cross-encoder that is computed here: {'; '.join(faults)}.",
            "Use a BERT with one label, as cross-encoder/ms-marco-MiniLM-L6-v2 is.",
        )
    with torch.device("meta"):
        model = CrossEncoder(Encoder(config), Classifier(config.dim))
    shapes = {name: shape for name, shape in weights.shapes.items() if not name.startswith("classifier.")}
    load_state(model.encoder, shapes, weights.tensor)
    state = {ours: weights.tensor(theirs).float() for ours, theirs in HEAD.items()}
    model.head.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


HEAD = {
    "pooler.weight": "bert.pooler.dense.weight",
    "pooler.bias": "bert.pooler.dense.bias",
    "out.weight": "classifier.weight",
    "out.bias": "classifier.bias",
}
"""Our name and the name in a checkpoint of BertForSequenceClassification."""


def _faults(shapes: Mapping[str, tuple[int, ...]], dim: int) -> list[str]:
    wanted: dict[str, Any] = dict(zip(HEAD.values(), ((dim, dim), (dim,), (1, dim), (1,)), strict=True))
    return [
        f"{name} is missing" if name not in shapes else f"{name} has shape {list(shapes[name])}"
        for name, shape in wanted.items()
        if shapes.get(name) != shape
    ]


def base_of(file: Path) -> str:
    """The encoder that a change was trained for. Raises ModelFileError."""
    return _about(file)["base"]


def load_own(folder: Path, file: Path) -> CrossEncoder:
    """The reranker that is trained here: the encoder of a folder, and the change of its upper blocks from a
    file that `write_own` wrote. The change is added to the weights, so it costs nothing to run.

    Raises ModelFileError where the change is damaged or was trained for another encoder.
    """
    about = _about(file)
    encoder = load_encoder(folder)
    weights = SafetensorsWeights(file)
    model = CrossEncoder(encoder, Likeness(encoder.config.dim), int(about["joined"]))
    sizes = {path: tuple(module.weight.shape) for path, module in model.named_modules() if _linear(module)}
    head = {name: tuple(value.shape) for name, value in model.head.state_dict().items()}
    paths = {name.removesuffix(".a") for name in weights.shapes if name.endswith(".a")}
    wanted: dict[str, tuple[int, ...]] = {f"head.{name}": shape for name, shape in head.items()}
    for path in paths:
        rank = weights.shapes[f"{path}.a"][0]
        rows, width = sizes.get(path, (0, 0))
        wanted |= {f"{path}.a": (rank, width), f"{path}.b": (rows, rank)}
    if wrong := sorted(
        name for name in {*wanted, *weights.shapes} if wanted.get(name) != weights.shapes.get(name)
    ):
        raise ModelFileError(
            f"{file.name} doesn't fit {about['base']}: {', '.join(wrong[:5])}.", "Reinstall the handbook."
        )
    for path in sorted(paths):
        linear: Any = model.get_submodule(path)
        change = Factors(weights.tensor(f"{path}.a"), weights.tensor(f"{path}.b"), float(about["scale"]))
        linear.weight = nn.Parameter(change.weight(linear.weight))
    model.head.load_state_dict({name: weights.tensor(f"head.{name}").float() for name in head})
    return model.eval().requires_grad_(False)


def own_bytes(model: CrossEncoder, factors: Mapping[str, Factors], about: Mapping[str, str]) -> bytes:
    """What `load_own` reads. factors: by path in the model, all of one scale; about: said in the file's
    header, with `base`, the encoder's name. The change is kept in fp16, the head in fp32."""
    (scale,) = {f.scale for f in factors.values()}
    tensors = {f"{path}.a": f.a.half().contiguous() for path, f in factors.items()}
    tensors |= {f"{path}.b": f.b.half().contiguous() for path, f in factors.items()}
    tensors |= {f"head.{name}": value.float().contiguous() for name, value in model.head.state_dict().items()}
    return save(tensors, {**about, "joined": str(model.joined), "scale": str(scale)})


def _linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _about(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, framework="pt") as opened:
            about = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{file} cannot be read: {error}.", "Reinstall the handbook.") from error
    if lacking := {"base", "joined", "scale"} - set(about):
        raise ModelFileError(
            f"{file} doesn't say its {', '.join(sorted(lacking))}.", "Reinstall the handbook."
        )
    return about
