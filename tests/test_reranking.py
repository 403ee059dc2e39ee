"""The reranker on a tiny model: against transformers, remembered passages, files that are not there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from handbook import reranking
from handbook.errors import ModelFileError, ModelUnavailable
from handbook.model.cross import CrossEncoder, Likeness, base_of, own_bytes
from handbook.model.encoder import BERT, load_encoder
from handbook.reranking import OWN, WEIGHTS, LocalReranker, open_reranker
from handbook.settings import Settings
from handbook.train.lora import add_lora, lora_layers
from handbook.train.lora_config import LoRAConfig

WORDS = (
    "[PAD]",
    "[CLS]",
    "[SEP]",
    "[UNK]",
    *["why", "do", "cats", "sleep", "on", "mats", "because", "they", "are", "warm", "and", "soft"],
)
TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "id2label": {"0": "LABEL_0"},
}
QUESTION = "why do cats sleep"
PASSAGES = ["cats sleep because mats are warm", "mats", "because they are soft and warm and soft", "cats do"]


@pytest.fixture
def hub(tmp_path: Path) -> tuple[Path, Any]:
    """A folder with a cross-encoder and its tokenizer; and transformers' own."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**TINY, num_labels=1)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    save_file({n: v.contiguous() for n, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.enable_padding(length=20)  # as MiniLM's does
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path, model


def expected(theirs: Any, tokenizer: Tokenizer, passage: str) -> float:
    tokenizer.no_padding()
    read = tokenizer.encode(QUESTION, passage)
    with torch.inference_mode():
        logits = theirs(torch.tensor([read.ids]), token_type_ids=torch.tensor([read.type_ids])).logits
    return float(logits.item())


@pytest.mark.parametrize("budget", [1, 30, 1000])
def test_a_hub_model_scores_as_transformers_does(hub: tuple[Path, Any], budget: int) -> None:
    folder, theirs = hub
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ours = LocalReranker(Settings(embed_precision="fp32"), str(folder), batch_tokens=budget)
    wanted = [expected(theirs, tokenizer, passage) for passage in PASSAGES]
    assert np.allclose(ours.scores(QUESTION, PASSAGES), wanted, atol=1e-4)
    assert max(wanted) - min(wanted) > 0.1


def test_a_long_passage_is_cut_off_and_the_question_stays(hub: tuple[Path, Any]) -> None:
    folder, theirs = hub
    ours = LocalReranker(Settings(embed_precision="fp32"), str(folder))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TINY["max_position_embeddings"], strategy="only_second")
    long = "because they are warm " * 20
    assert ours.scores(QUESTION, [long])[0] == pytest.approx(expected(theirs, tokenizer, long), abs=1e-4)


def test_no_passages(hub: tuple[Path, Any]) -> None:
    assert open_reranker(str(hub[0]), Settings()).scores(QUESTION, []).shape == (0,)


@pytest.fixture
def own(hub: tuple[Path, Any]) -> LocalReranker:
    """One of ours: the same encoder, with a change of its upper block."""
    folder, theirs = hub
    state = {
        name.removeprefix("bert."): value for name, value in theirs.state_dict().items() if "bert." in name
    }
    save_file({n: v.contiguous() for n, v in state.items()}, folder / "model.safetensors")
    encoder = load_encoder(folder)
    assert set(map(str, map(BERT.theirs, encoder.state_dict()))) <= set(state)
    torch.manual_seed(1)
    model = CrossEncoder(encoder, Likeness(32), joined=1)
    add_lora(encoder, LoRAConfig(r=2, alpha=4, targets="blocks.1"), 0)
    for layer in lora_layers(model).values():
        torch.nn.init.normal_(layer.b, std=0.5)
    factors = {path: layer.factors for path, layer in lora_layers(model).items()}
    file = folder / "change.safetensors"
    file.write_bytes(own_bytes(model, factors, {"base": str(folder)}))
    return LocalReranker(Settings(embed_precision="fp32"), OWN, weights=file)


def test_passages_are_read_once(own: LocalReranker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lower blocks see a new passage and the question, and nothing that they have seen."""
    model, _ = own.load()
    seen: list[int] = []
    alone = model.alone
    monkeypatch.setattr(model, "alone", lambda *args: seen.append(len(args[1])) or alone(*args))
    first = own.scores(QUESTION, [*PASSAGES[:2], PASSAGES[0]])
    assert first[0] == pytest.approx(first[2], abs=1e-5)
    assert seen == [1, 2], "the question, and two different passages"
    again = own.scores(QUESTION, PASSAGES[:3])
    assert seen == [1, 2, 1, 1]
    assert np.allclose(again[:2], first[:2], atol=1e-5)
    assert len(set(np.round(again, 4))) == 3


def test_the_memory_is_bounded(own: LocalReranker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reranking, "KEPT", 2)
    before = own.scores(QUESTION, PASSAGES)
    assert len(own._kept) == 2
    assert np.allclose(own.scores(QUESTION, PASSAGES), before, atol=1e-5)


def test_what_is_not_there(tmp_path: Path, hub: tuple[Path, Any]) -> None:
    with pytest.raises(ModelUnavailable):
        open_reranker("no-such-model", Settings()).scores(QUESTION, PASSAGES)
    (hub[0] / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"tokenizer\.json"):
        open_reranker(str(hub[0]), Settings()).scores(QUESTION, PASSAGES)


def test_the_shipped_change_is_small_and_says_what_it_is_for() -> None:
    assert WEIGHTS.stat().st_size < 3_000_000
    assert base_of(WEIGHTS) == "all-minilm-l6-v2"


@pytest.mark.models
def test_the_shipped_reranker_knows_what_answers(model_settings: Settings, minilm_path: Path) -> None:
    passages = [
        "Mats are woven from reed or cotton and lie on the floor.",
        "Warmth saves a cat energy, which is why it sleeps where the ground is soft and warm.",
        "Dogs bark at strangers, and so guard the house.",
    ]
    scores = LocalReranker(model_settings).scores("Why do cats lie down on warm things?", passages)
    assert int(scores.argmax()) == 1
