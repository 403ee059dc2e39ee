"""Tensors that hold several of ours, and experts in a tensor each."""

import shutil

import pytest
import torch

from handbook.errors import ModelFileError
from handbook.model.config import ModelConfig
from handbook.model.load import load_model
from handbook.model.weights.safetensors import SINGLE
from handbook.model.weights.unfuse import Split, unfuse

CONFIG = ModelConfig(vocab_size=8, dim=4, layers=1, heads=2, kv_heads=1, head_dim=2, hidden_dim=6, context=8)
SPLIT = Split("attn.qkv", ("attn.q", "attn.k", "attn.v"), lambda c: (c.heads * 2, 2, 2))


def opened(file: dict[str, torch.Tensor]):
    shapes = {name: tuple(value.shape) for name, value in file.items()}
    return unfuse(shapes, file.__getitem__, (SPLIT,), CONFIG)


def test_a_tensor_of_three():
    whole = torch.arange(32.0).view(8, 4)
    shapes, read = opened(
        {"0.attn.qkv.weight": whole, "0.attn.qkv.bias": whole[:, 0], "norm.weight": whole[0]}
    )
    assert shapes == {
        "0.attn.q.weight": (4, 4),
        "0.attn.k.weight": (2, 4),
        "0.attn.v.weight": (2, 4),
        "0.attn.q.bias": (4,),
        "0.attn.k.bias": (2,),
        "0.attn.v.bias": (2,),
        "norm.weight": (4,),
    }
    assert torch.equal(torch.cat([read(f"0.attn.{part}.weight") for part in "qkv"]), whole)
    assert read("0.attn.v.bias").tolist() == [24, 28]
    assert torch.equal(read("norm.weight"), whole[0])


def test_a_tensor_that_does_not_split_stays_for_the_check_of_names():
    shapes, _ = opened({"0.attn.qkv.weight": torch.zeros(7, 4)})
    assert shapes == {"0.attn.qkv.weight": (7, 4)}


def test_experts_are_stacked_in_the_order_of_their_numbers():
    file = {
        f"0.mlp.experts.{e}.up.weight": torch.full((3, 2), float(e)) for e in (10, 2, 0, *range(3, 10), 1)
    }
    shapes, read = opened(file)
    assert shapes == {"0.mlp.experts.up.weight": (11, 3, 2)}
    assert read("0.mlp.experts.up.weight")[:, 0, 0].tolist() == list(range(11))


@pytest.mark.parametrize("sizes", [{0: 3, 2: 3}, {1: 3}, {0: 3, 1: 4}])
def test_experts_with_a_gap_or_of_two_sizes_stay_apart(sizes):
    file = {f"0.mlp.experts.{e}.up.weight": torch.zeros(size, 2) for e, size in sizes.items()}
    assert opened(file)[0] == {name: tuple(value.shape) for name, value in file.items()}


def test_a_mixture_from_its_folder_and_without_one_expert(tiny, byte_vocabulary, tmp_path):
    from safetensors.torch import load_file, save_file

    from handbook.model.tokenizer import Tokenizer

    pair = tiny("mixtral", vocab_size=270, num_local_experts=3)
    folder = shutil.copytree(pair.folder, tmp_path / "mixtral")
    (folder / "tokenizer.json").write_text(Tokenizer.from_gguf(byte_vocabulary).backend.to_str(), "utf-8")
    (folder / "tokenizer_config.json").write_text("{}")
    tokens = torch.arange(40)[None]
    with torch.inference_mode():
        got = load_model(folder).model(tokens)
        torch.testing.assert_close(got, pair.theirs(tokens).logits, rtol=2e-5, atol=2e-5)
    weights = load_file(folder / SINGLE)
    del weights["model.layers.1.block_sparse_moe.experts.2.w1.weight"]
    save_file(weights, folder / SINGLE)
    with pytest.raises(ModelFileError, match=r"experts.gate has shape \[2, 80, 48\], \[3, 80, 48\] was exp"):
        load_model(folder)
