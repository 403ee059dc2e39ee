"""Reading GGUF: the same as the gguf package reads, and a clear message for whatever is wrong."""

import copy
import dataclasses
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from handbook.errors import ModelFileError
from handbook.model.load import load_model
from handbook.model.weights.gguf import read_gguf

KINDS = {
    "token_embd.weight": "Q8_0",
    "blk.0.attn_q.weight": "Q4_0",
    "blk.0.attn_k.weight": "F16",
    "blk.0.ffn_up.weight": "Q4_1",
    "blk.1.ffn_up.weight": "Q5_0",
    "blk.1.ffn_gate.weight": "BF16",
}


@pytest.fixture(scope="module")
def pair(tiny):
    return tiny("llama", vocab_size=270, hidden_size=96, intermediate_size=128, tie_word_embeddings=True)


@pytest.fixture(scope="module")
def file(pair, write_gguf, byte_vocabulary, tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", pair, **byte_vocabulary)


@pytest.fixture
def damaged(file, tmp_path):
    """damaged(change) -> a copy of the file whose bytes went through `change`."""

    def make(change) -> Path:
        path = tmp_path / "damaged.gguf"
        content = bytearray(file.read_bytes())
        path.write_bytes(change(content) or content)
        return path

    return make


def test_header_is_what_the_gguf_package_reads(file):
    ours, theirs = read_gguf(file), gguf.GGUFReader(file)
    expected = {key: f.contents() for key, f in theirs.fields.items() if not key.startswith("GGUF.")}
    assert ours.metadata == expected
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        got = ours.tensors[tensor.name]
        assert (got.shape, got.type) == (tuple(tensor.shape.tolist())[::-1], tensor.tensor_type)
        assert np.array_equal(got.data, np.ascontiguousarray(tensor.data).view(np.uint8).ravel())


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_logits_are_those_of_the_weights_that_were_written(kind, tiny, write_gguf, byte_vocabulary, tmp_path):
    """llama permutes queries and keys in the file, qwen doesn't."""
    pair = tiny(kind, vocab_size=270)
    loaded = load_model(write_gguf(tmp_path / "tiny.gguf", pair, arch=kind, **byte_vocabulary))
    eps = float(np.float32(1e-5))  # the format holds it in fp32
    assert loaded.config == dataclasses.replace(pair.ours.config, norm_eps=eps)
    tokens = torch.arange(40)[None]
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(tokens), pair.theirs(tokens).logits, rtol=1e-5, atol=1e-5)


def test_quantized_tensors_load_as_transformers_loads_them(pair, write_gguf, byte_vocabulary, tmp_path):
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    name = {"general.name": "tiny"}
    path = write_gguf(tmp_path / "tiny.gguf", pair, KINDS, **byte_vocabulary, **name)
    theirs = copy.deepcopy(pair.theirs)
    state = load_gguf_checkpoint(path, return_tensors=True, model_to_load=theirs)["tensors"]
    assert theirs.load_state_dict(state, strict=False).missing_keys == ["lm_head.weight"]  # tied
    tokens = torch.arange(40)[None]
    with torch.inference_mode():
        got = load_model(path).model(tokens)
        torch.testing.assert_close(got, theirs(tokens).logits, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(got, pair.ours(tokens), atol=1e-3), "nothing was quantized"


def test_a_file_cut_off_anywhere_is_refused(file, damaged):
    size = file.stat().st_size
    for end in (0, 3, 23, 24, 100, 1000, size // 2, size - 1):
        with pytest.raises(ModelFileError, match="not a usable GGUF file") as caught:
            read_gguf(damaged(lambda content, end=end: content[:end] or b"\0"))
        assert "fetch it again" in caught.value.remedy


def put(at: int, form: str, *values: int):
    def change(content: bytearray) -> None:
        struct.pack_into(f"<{form}", content, at, *values)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(0, "4B", *b"GGML"), r"begins with b'GGUF', this one with b'GGML'"),
        (put(4, "I", 1), r"version \(2, 3\), little endian, got 1"),
        (put(4, "I", 0x03000000), "little endian"),
        (put(8, "Q", 1 << 60), "announces 1152921504606846976 entries"),
        (put(16, "Q", 1 << 62), "announces 4611686018427387904 entries"),
        (put(24, "Q", 1 << 40), "announces 1099511627776 entries"),
        (put(32, "2B", 0xFF, 0xFF), "not UTF-8"),
    ],
)
def test_a_damaged_header_is_refused(damaged, change, message):
    with pytest.raises(ModelFileError, match=message):
        read_gguf(damaged(change))


def test_every_single_damaged_byte_of_the_header_is_read_or_refused(file, damaged):
    """Never another exception, never a large allocation."""
    content = file.read_bytes()
    end = content.index(b"blk.1.")
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.choice(end, 300, replace=False):
        try:
            load_model(damaged(put(int(at), "B", int(content[at]) ^ int(rng.integers(1, 256)))))
        except ModelFileError:
            refused += 1
    assert refused > 30


def tensor_entry(content: bytes, name: bytes) -> int:
    """Where the entry of a tensor has its number of axes."""
    return content.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)


@pytest.mark.parametrize(
    ("skip", "form", "value", "message"),
    [
        (0, "I", 9, "has 9 axes"),
        (4, "Q", 1 << 50, "should end at byte"),
        (4 + 16, "I", 999, "unknown tensor type 999"),
        (4 + 16, "I", 16, "a row of 'blk.0.ffn_up.weight' has 96 values, not a multiple of 256"),
        (4 + 16 + 4, "Q", 1 << 61, "should end at byte"),
    ],
)
def test_a_damaged_tensor_entry_is_refused(file, damaged, skip, form, value, message):
    at = tensor_entry(file.read_bytes(), b"blk.0.ffn_up.weight") + skip
    with pytest.raises(ModelFileError, match=message):
        read_gguf(damaged(put(at, form, value)))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"arch": "mamba"},
            "architecture 'mamba'; this decoder computes one of llama, mistral, qwen2, qwen3",
        ),
        ({"llama.block_count": None}, "should give llama.block_count as a number, got None"),
        ({"llama.block_count": 1 << 30}, "layers is 1073741824"),
        ({"llama.block_count": 4000}, "announces 4000 layers, the file has 29 tensors"),
        ({"llama.attention.head_count_kv": 4}, r"heads \(6\) is not a multiple of kv_heads \(4\)"),
        ({"llama.block_count": 5}, r"blocks.3.attention_norm.weight is missing.*and 13 more"),
        ({"llama.block_count": 2}, r"blk.2.attn_q.weight has no place.*and 4 more"),
        (
            {"llama.feed_forward_length": 64},
            r"blocks.0.mlp.gate.weight has shape \[128, 96\], \[64, 96\] was expected",
        ),
        ({"llama.rope.scaling.type": "longrope"}, "RoPE scaling 'longrope'"),
        ({"tokenizer.ggml.model": "llama"}, "tokenizer is 'llama', 'smollm'"),
        ({"tokenizer.ggml.pre": "tekken"}, "'tekken'"),
        ({"tokenizer.ggml.merges": ["h e", "x1 y1"]}, "merge 'x1', 'y1' of unknown tokens"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "2 kinds for 270 tokens"),
        ({"tokenizer.ggml.eos_token_id": 99999}, "token 99999"),
        ({"tokenizer.chat_template": "{% for %}"}, "not valid Jinja"),
        ({"tokenizer.chat_template": 7}, "chat template"),
    ],
)
def test_a_model_that_does_not_hold_together_is_refused(
    pair, write_gguf, byte_vocabulary, tmp_path, metadata, message
):
    path = write_gguf(tmp_path / "odd.gguf", pair, **(byte_vocabulary | metadata))
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert caught.value.remedy
