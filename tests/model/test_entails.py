"""The entailer's head against a loop, and its file: what comes back, and what is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from handbook.errors import ModelFileError
from handbook.model.cross import CrossEncoder
from handbook.model.encoder import BERT, Encoder, EncoderConfig, load_encoder
from handbook.model.entails import HALF, Entails, base_of, changed_bytes, load_entailer, new_entailer

TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}
TOKENS = torch.tensor([2, 7, 9, 3, 11, 12, 3, 2, 5, 3, 30, 31, 32, 3])
TYPES = torch.tensor([0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1])
LENGTHS, FIRSTS = (7, 7), (4, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An encoder's files."""
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig.from_hf(TINY))
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    state = {str(BERT.theirs(name)): value.contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    return tmp_path


def trained(folder: Path) -> tuple[CrossEncoder, Encoder]:
    """A model whose blocks and head are a little other than at the start; and the encoder it began from."""
    base = load_encoder(folder)
    model = new_entailer(copy.deepcopy(base))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return model.eval(), base


def logits(model: CrossEncoder) -> torch.Tensor:
    with torch.inference_mode():
        return model.together(model.alone(TOKENS, LENGTHS, TYPES), LENGTHS, FIRSTS)


def test_head_is_what_a_loop_computes() -> None:
    torch.manual_seed(1)
    head = Entails(8)
    x = torch.randn(14, 8)
    expected = []
    for pair, first in zip(torch.split(x, list(LENGTHS)), FIRSTS, strict=True):
        a, b = pair[:first].mean(0), pair[first:].mean(0)
        seen = torch.cat([pair[0], b, (a - b).abs(), a * b])
        expected.append(head.out(seen) + (F.cosine_similarity(a, b, dim=0) - HALF) * head.near)
    torch.testing.assert_close(head(x, LENGTHS, FIRSTS), torch.stack(expected))


def test_at_the_start_likeness_speaks_for_saying() -> None:
    torch.manual_seed(1)
    head = Entails(8)
    same, other = torch.randn(3, 8), torch.randn(3, 8)
    alike = head(torch.cat([same, same]), [6], [3])
    unlike = head(torch.cat([same, -same.mean(0).expand(3, 8) + 0.1 * other]), [6], [3])
    assert alike[0, 0] - alike[0, 1] > unlike[0, 0] - unlike[0, 1] + 5


def test_embeddings_stay_and_blocks_train(folder: Path) -> None:
    model = new_entailer(load_encoder(folder))
    frozen = {name for name, each in model.named_parameters() if not each.requires_grad}
    assert frozen == {f"encoder.{name}.weight" for name in ("words", "positions", "types")}


def test_file_brings_the_model_back(folder: Path, tmp_path: Path) -> None:
    model, base = trained(folder)
    file = tmp_path / "grader.safetensors"
    file.write_bytes(changed_bytes(model, base, {"base": "tiny"}))
    again = load_entailer(folder, file)
    assert base_of(file) == "tiny"
    torch.testing.assert_close(logits(again), logits(model), atol=0.02, rtol=0)
    fresh = CrossEncoder(load_encoder(folder), again.head)
    assert (logits(fresh) - logits(model)).abs().max() > 0.15  # the change matters


def test_file_holds_bytes_for_matrices_and_no_embeddings(folder: Path, tmp_path: Path) -> None:
    model, base = trained(folder)
    file = tmp_path / "grader.safetensors"
    file.write_bytes(changed_bytes(model, base, {"base": "tiny"}))
    tensors = load_file(file)
    assert not any(name.startswith(("words", "positions", "types")) for name in tensors)
    matrices = {n: t for n, t in tensors.items() if n.endswith(".change") and t.ndim == 2}
    assert len(matrices) == 6 * TINY["num_hidden_layers"]
    assert {tensor.dtype for tensor in matrices.values()} == {torch.int8}


@pytest.mark.parametrize("fault", ["shape", "missing", "unknown"])
def test_other_files_are_refused(folder: Path, tmp_path: Path, fault: str) -> None:
    model, base = trained(folder)
    file = tmp_path / "grader.safetensors"
    file.write_bytes(changed_bytes(model, base, {"base": "tiny"}))
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith(".scale"))
    if fault == "shape":
        tensors[name] = tensors[name][:-1].contiguous()
    elif fault == "missing":
        del tensors[name]
    else:
        tensors["blocks.9.odd"] = torch.zeros(2)
    save_file(tensors, file, {"base": "tiny"})
    with pytest.raises(ModelFileError, match=r"odd|scale"):
        load_entailer(folder, file)


def test_a_file_without_its_base_or_cut_off_is_refused(folder: Path, tmp_path: Path) -> None:
    model, base = trained(folder)
    file = tmp_path / "grader.safetensors"
    file.write_bytes(changed_bytes(model, base, {}))
    with pytest.raises(ModelFileError, match="base"):
        load_entailer(folder, file)
    file.write_bytes(changed_bytes(model, base, {"base": "tiny"})[:500])
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_entailer(folder, file)
