"""The cross-encoder: transformers as oracle, texts read alone against pairs, and files."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from handbook.errors import ModelFileError
from handbook.model.cross import (
    CrossEncoder,
    Likeness,
    base_of,
    load_cross,
    load_own,
    own_bytes,
    paired,
)
from handbook.model.encoder import Encoder, EncoderConfig, load_encoder
from handbook.train.lora import add_lora, lora_layers
from handbook.train.lora_config import LoRAConfig

TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}
QUESTION, SHORT, LONG = [2, 7, 9, 3], [11, 12, 3], [11, 30, 31, 32, 33, 34, 3]


def hub(folder: Path, labels: int = 1) -> Any:
    """A cross-encoder as the hub has them, written to a folder; and transformers' own."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(**TINY, num_labels=labels, attn_implementation="eager")
    model = BertForSequenceClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    ids = {"id2label": {str(label): f"LABEL_{label}" for label in range(labels)}}
    (folder / "config.json").write_text(json.dumps(TINY | ids))
    return model


def test_parity_with_transformers(tmp_path: Path) -> None:
    theirs = hub(tmp_path)
    ours = load_cross(tmp_path)
    pairs = [QUESTION + SHORT, QUESTION + LONG, QUESTION + LONG[::-1]]
    types = [[0] * 4 + [1] * (len(pair) - 4) for pair in pairs]
    with torch.inference_mode():
        expected = [
            theirs(torch.tensor([pair]), token_type_ids=torch.tensor([kinds])).logits.item()
            for pair, kinds in zip(pairs, types, strict=True)
        ]
        lengths = [len(pair) for pair in pairs]
        x = ours.alone(torch.tensor(list(chain(*pairs))), lengths, torch.tensor(list(chain(*types))))
        got = ours.together(x, lengths, [4, 4, 4])
    assert torch.allclose(got, torch.tensor(expected), atol=1e-4)
    assert max(expected) - min(expected) > 0.1


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path) -> None:
    hub(tmp_path, labels=3)
    with pytest.raises(ModelFileError, match="3 labels"):
        load_cross(tmp_path)


def test_an_encoder_without_a_head_says_what_is_missing(tmp_path: Path) -> None:
    hub(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file(
        {n: v for n, v in state.items() if not n.startswith("classifier")}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ModelFileError, match=r"classifier\.weight is missing"):
        load_cross(tmp_path)


def tiny(joined: int) -> CrossEncoder:
    torch.manual_seed(1)
    encoder = Encoder(EncoderConfig(50, 24, 3, 3, 40, 20)).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    head = Likeness(24)
    torch.nn.init.normal_(head.first, std=0.3)
    return CrossEncoder(encoder, head, joined).requires_grad_(False)


def scores(model: CrossEncoder, questions: list[list[int]], passages: list[list[int]]) -> torch.Tensor:
    """Each text alone through the lower blocks, then the pairs."""
    asked = [model.alone(torch.tensor(one), [len(one)]) for one in questions]
    read = [model.alone(torch.tensor(one), [len(one)]) for one in passages]
    return model.together(*paired(asked, read))


def test_a_pair_is_scored_the_same_alone_and_among_others() -> None:
    model = tiny(joined=1)
    together = scores(model, [QUESTION] * 3, [SHORT, LONG, SHORT])
    apart = [scores(model, [QUESTION], [passage])[0] for passage in (SHORT, LONG, SHORT)]
    assert torch.allclose(together, torch.stack(apart), atol=1e-5)


@pytest.mark.parametrize("joined", [1, 2, 3])
def test_only_the_blocks_from_joined_on_see_both(joined: int) -> None:
    """Joined after the last block, a passage's tokens are the same whatever the question."""
    model = tiny(joined)
    x, lengths, _ = paired(*([model.alone(torch.tensor(one), [len(one)])] for one in (QUESTION, LONG)))
    after = model.encoder.blocks_packed(x, lengths, joined)[len(QUESTION) :]
    alone = model.encoder.forward_packed(torch.tensor(LONG), [len(LONG)])
    assert torch.allclose(after, alone, atol=1e-5) == (joined == 3)


def test_joined_after_the_last_block_is_late_interaction() -> None:
    """Then the encoder's own vectors of each text, alone, are all that the head sees."""
    model = tiny(joined=3)
    vectors = [model.encoder.forward_packed(torch.tensor(one), [len(one)]) for one in (QUESTION, LONG)]
    expected = model.head(torch.cat(vectors), [len(QUESTION + LONG)], [len(QUESTION)])
    assert torch.allclose(scores(model, [QUESTION], [LONG]), expected, atol=1e-5)


def test_likeness_by_hand() -> None:
    """A question of one word between its marks, [1, 0]; a passage of [0, 1] and [3, 4], cosines 0, 0.6."""
    head = Likeness(2)
    x = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, -1.0], [0.0, 1.0], [3.0, 4.0]])
    means = torch.nn.functional.cosine_similarity(torch.tensor([1.0, 0.0]), torch.tensor([1.5, 2.5]), dim=0)
    assert head(x, [5], [3]).item() == pytest.approx(20 * (means.item() + 0.6))


def test_a_joint_out_of_range() -> None:
    with pytest.raises(ValueError, match="from 0 to 3"):
        tiny(joined=4)


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Path, CrossEncoder]:
    """An encoder's folder, a change's file, and the model that has the change as a LoRA."""
    model = tiny(joined=1)
    theirs = {str(name): value for name, value in _names(model.encoder).items()}
    save_file(theirs, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    add_lora(model.encoder, LoRAConfig(r=2, alpha=4, targets="blocks.[1-2]"), 0)
    for layer in lora_layers(model).values():
        torch.nn.init.normal_(layer.b, std=0.3)
    factors = {path: layer.factors for path, layer in lora_layers(model).items()}
    file = tmp_path / "change.safetensors"
    file.write_bytes(own_bytes(model, factors, {"base": "tiny", "seed": "0"}))
    return tmp_path, file, model


def _names(encoder: Encoder) -> dict[str, torch.Tensor]:
    from handbook.model.encoder import BERT

    return {str(BERT.theirs(name)): value.contiguous() for name, value in encoder.state_dict().items()}


def test_a_change_comes_back_as_it_was_trained(trained: tuple[Path, Path, CrossEncoder]) -> None:
    folder, file, model = trained
    loaded = load_own(folder, file)
    assert base_of(file) == "tiny"
    assert loaded.joined == 1
    expected = scores(model, [QUESTION] * 2, [SHORT, LONG])
    assert torch.allclose(scores(loaded, [QUESTION] * 2, [SHORT, LONG]), expected, atol=2e-2)  # fp16 factors
    bare = CrossEncoder(load_encoder(folder), model.head, 1)
    assert not torch.allclose(scores(bare, [QUESTION] * 2, [SHORT, LONG]), expected, atol=2e-2)


def test_a_change_of_another_encoder_is_refused(trained: tuple[Path, Path, CrossEncoder]) -> None:
    folder, file, _ = trained
    other = Encoder(EncoderConfig(50, 12, 3, 3, 40, 20))
    save_file(_names(other), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(TINY | {"hidden_size": 12}))
    with pytest.raises(ModelFileError, match="doesn't fit tiny"):
        load_own(folder, file)


def test_damaged_and_foreign_files(trained: tuple[Path, Path, CrossEncoder]) -> None:
    folder, file, _ = trained
    with pytest.raises(ModelFileError, match="doesn't say its base"):
        load_own(folder, folder / "model.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_own(folder, file)
