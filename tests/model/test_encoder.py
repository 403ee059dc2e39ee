"""The encoder against the authority: transformers' BertModel on tiny random models, and itself packed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from handbook.errors import ModelFileError
from handbook.model.encoder import BERT, Encoder, EncoderConfig, load_encoder

TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}


def reference(**changes: Any) -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(**(TINY | changes), attn_implementation="eager")
    model = BertModel(config).eval()
    for parameter in model.parameters():  # biases start at 0 and norms at 1, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def write(folder: Path, model: Any, prefix: str = "", **changes: Any) -> Path:
    state = {f"{prefix}{name}": value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(TINY | changes))
    return folder


def padded(lengths: list[int], vocab: int = 50) -> tuple[Tensor, Tensor]:
    """Random tokens [B, T] and the mask of what is no padding."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(0, vocab, mask.shape, generator=torch.Generator().manual_seed(1)) * mask, mask


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_attention_heads": 1},
        {"num_hidden_layers": 1, "intermediate_size": 8},
        {"layer_norm_eps": 1e-5, "type_vocab_size": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_parity_with_transformers(tmp_path: Path, changes: dict[str, Any], prefix: str) -> None:
    theirs = reference(**changes)
    ours = load_encoder(write(tmp_path, theirs, prefix, **changes))
    tokens, mask = padded([7, 20, 1, 7])
    with torch.inference_mode():
        expected = theirs(tokens, attention_mask=mask.long()).last_hidden_state
        got = ours(tokens, mask)
        assert (got - expected)[mask].abs().max() < 1e-5
        assert (ours(tokens[1:2]) - expected[1:2]).abs().max() < 1e-5, "without padding, no mask is needed"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(write(tmp_path_factory.mktemp("tiny"), reference()))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=9))
@hypothesis_settings(max_examples=40, deadline=None)
def test_packed_equals_padded(encoder: Encoder, lengths: list[int]) -> None:
    tokens, mask = padded(lengths)
    with torch.inference_mode():
        flat = tokens[mask]
        assert (encoder.forward_packed(flat, lengths) - encoder(tokens, mask)[mask]).abs().max() < 2e-5
        vectors = encoder.embed_packed(flat, lengths)
        assert (vectors - encoder.embed(tokens, mask)).abs().max() < 1e-6
        assert (vectors.norm(dim=-1) - 1).abs().max() < 1e-6


def test_a_sentence_does_not_see_its_neighbours(encoder: Encoder) -> None:
    tokens, _ = padded([5, 5])
    changed = tokens.clone()
    changed[1] = (changed[1] + 1) % 50
    with torch.inference_mode():
        one = encoder.embed_packed(tokens.flatten(), [5, 5])
        two = encoder.embed_packed(changed.flatten(), [5, 5])
    assert torch.equal(one[0], two[0])
    assert not torch.allclose(one[1], two[1], atol=1e-3)


def test_names_read_both_ways(encoder: Encoder) -> None:
    ours = set(encoder.state_dict())
    theirs = {BERT.theirs(name) for name in ours}
    assert None not in theirs
    assert {BERT.ours(str(name)) for name in theirs} == ours
    known = {name for name in reference().state_dict() if not name.startswith("pooler.")}
    assert theirs == known


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "roberta"}, "'model_type': 'roberta'"),
        ({"hidden_act": "relu"}, "'hidden_act': 'relu'"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
    ],
)
def test_another_architecture_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        EncoderConfig.from_hf(TINY | changes)
    assert "HANDBOOK_EMBED_URL" in caught.value.remedy


def test_a_config_without_a_size_is_refused() -> None:
    with pytest.raises(ModelFileError, match="lacks 'hidden_size'"):
        EncoderConfig.from_hf({key: value for key, value in TINY.items() if key != "hidden_size"})


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    model = reference()
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    del state["embeddings.LayerNorm.weight"]
    state["encoder.layer.0.output.dense.bias"] = torch.zeros(3)
    state["encoder.layer.7.output.dense.bias"] = torch.zeros(24)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    with pytest.raises(ModelFileError) as caught:
        load_encoder(tmp_path)
    message = caught.value.what
    assert "embeddings.LayerNorm.weight is missing" in message
    assert "encoder.layer.0.output.dense.bias has shape [3], [24] was expected" in message
    assert "encoder.layer.7.output.dense.bias has no place" in message


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, reference())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="not a whole safetensors file"):
        load_encoder(tmp_path)
    weights.unlink()
    with pytest.raises(ModelFileError, match="missing"):
        load_encoder(tmp_path)
