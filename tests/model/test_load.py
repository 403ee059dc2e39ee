"""From a name or a path to a model, and one clear message for whatever can't be."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handbook.errors import ModelFileError, ModelUnavailable
from handbook.model.config import ModelConfig
from handbook.model.load import build, load_model
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer
from handbook.model.weights import names
from handbook.model.weights.safetensors import INDEX, SINGLE
from handbook.records import Message
from handbook.settings import Settings

TOKENS = torch.arange(40)[None]


@pytest.fixture(scope="module")
def pair(tiny):
    return tiny("llama", vocab_size=270)


@pytest.fixture(scope="module")
def whole(pair, byte_vocabulary, tmp_path_factory):
    """A folder as the hub has it: config.json, model.safetensors, tokenizer.json, chat_template.jinja."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(pair.folder, folder, dirs_exist_ok=True)
    (folder / "tokenizer.json").write_text(Tokenizer.from_gguf(byte_vocabulary).backend.to_str(), "utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"bos_token": {"content": "<|start|>"}, "eos_token": "<|end|>"}'
    )
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 7]}')
    (folder / "chat_template.jinja").write_text(byte_vocabulary["tokenizer.chat_template"], "utf-8")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def same_logits(path, pair) -> None:
    with torch.inference_mode():
        got = load_model(path).model(TOKENS)
        torch.testing.assert_close(got, pair.theirs(TOKENS).logits, rtol=1e-5, atol=1e-5)


def test_a_folder(folder, pair):
    same_logits(folder, pair)
    same_logits(str(folder), pair)
    loaded = load_model(folder)
    assert (loaded.name, loaded.tokenizer.bos, loaded.tokenizer.eos) == ("model", 1, 0)
    assert loaded.tokenizer.stops == {0, 7}
    assert loaded.template is not None
    text = loaded.template.render([Message("user", "hello")])
    assert text == "<|start|>user\nhello<|end|><|start|>assistant\n"
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_a_safetensors_file_with_its_config_beside(folder, pair):
    same_logits(folder / SINGLE, pair)


def test_several_files_with_an_index(folder, pair):
    (folder / SINGLE).unlink()
    pair.theirs.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    same_logits(folder, pair)


def test_a_folder_with_one_gguf(pair, write_gguf, byte_vocabulary, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", pair, **byte_vocabulary)
    same_logits(tmp_path, pair)


def test_a_tokenizer_beside_a_gguf_wins(folder, pair, write_gguf, byte_vocabulary):
    odd = byte_vocabulary | {"tokenizer.ggml.model": "llama"}
    same_logits(write_gguf(folder / "tiny.gguf", pair, **odd), pair)


def test_bfloat16(folder, pair):
    loaded = load_model(folder, dtype=torch.bfloat16)
    with torch.inference_mode():
        got, expected = loaded.model(TOKENS), pair.theirs(TOKENS).logits
    assert got.dtype == torch.bfloat16
    # 8 bits of mantissa: a few per mille a step, and some steps
    assert (got.float() - expected).std() < 0.05 * expected.std()


def test_a_catalogue_name_that_is_not_here(tmp_path):
    with pytest.raises(ModelUnavailable, match="handbook models get smollm2-135m-instruct"):
        load_model("smollm2-135m-instruct", Settings(data=tmp_path))


def test_a_name_that_means_nothing(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"'gpt-7' is no catalogue name \(smollm2-135m-instruct"):
        load_model("gpt-7", Settings(data=tmp_path))


@pytest.mark.parametrize("name", ["/no/such/model", "./nothing", "missing.gguf", "a/b/missing.safetensors"])
def test_a_path_that_does_not_exist(name, tmp_path):
    with pytest.raises(ModelFileError, match="no model file at"):
        load_model(name, Settings(data=tmp_path))


def test_a_hub_id_without_network(tmp_path):
    """In a process of its own, whose hub is a port where nobody listens."""
    code = (
        "from handbook.model.load import load_model\n"
        "from handbook.errors import ModelUnavailable\n"
        "try: load_model('owner/some-model')\n"
        "except ModelUnavailable as error: print(error)\n"
    )
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "The model owner/some-model is not on this machine and the hub did not give it" in done.stdout, (
        done.stderr
    )
    assert "Check the id and the network" in done.stdout


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt", ".pkl"])
def test_a_pickle_is_not_opened(suffix, folder, tmp_path):
    trap = tmp_path / "the pickle ran"
    (folder / SINGLE).unlink()
    path = folder / f"pytorch_model{suffix}"
    path.write_bytes(pickle.dumps(Bomb(trap)))
    for name in (path, folder):
        with pytest.raises(ModelFileError, match="is a pickle: opening it would run") as caught:
            load_model(name)
        assert "safetensors" in caught.value.remedy
    assert not trap.exists()


def test_a_pickle_with_another_suffix_is_not_opened_either(folder, tmp_path):
    trap = tmp_path / "the pickle ran"
    (folder / SINGLE).write_bytes(pickle.dumps(Bomb(trap)))
    (folder / "disguised.gguf").write_bytes(pickle.dumps(Bomb(trap)))
    for name in (folder, folder / "disguised.gguf"):
        with pytest.raises(ModelFileError):
            load_model(name)
    assert not trap.exists()


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba2"}, "architecture 'mamba2'; this decoder computes one of llama"),
        ({"model_type": None}, "architecture None"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"hidden_size": "48"}, "hidden_size as a number, got '48'"),
        ({"hidden_size": 0}, "dim is 0"),
        ({"vocab_size": 1 << 40}, "vocab_size is 1099511627776"),
        ({"vocab_size": 271}, r"embed.weight has shape \[270, 48\], \[271, 48\] was expected"),
        ({"num_key_value_heads": 4}, "not a multiple of kv_heads"),
        ({"head_dim": 7}, "7 channels of 7 cannot turn in pairs"),
        ({"num_hidden_layers": 1 << 22}, "layers is 4194304, and this decoder takes no more than 4096"),
        ({"num_hidden_layers": 4000}, "announces 4000 layers"),
        ({"tie_word_embeddings": None, "num_hidden_layers": 4}, "blocks.3.attention_norm.weight is missing"),
        ({"attention_bias": True}, "query.bias is missing"),
        ({"rope_parameters": {"rope_type": "proportional"}}, "RoPE scaling 'proportional'"),
        ({"rope_parameters": {"rope_type": "linear"}}, "factor as a number, got None"),
        ({"rope_parameters": [1]}, "rope_parameters as a table"),
        ({"rope_parameters": {"partial_rotary_factor": 0.7}}, "5 channels of 8 cannot turn in pairs"),
        ({"rope_parameters": {"partial_rotary_factor": 0.0}}, "0 channels of 8 cannot turn in pairs"),
        ({"rope_parameters": {"partial_rotary_factor": 2.0}}, "16 channels of 8 cannot turn in pairs"),
        ({"rms_norm_eps": 0}, "norm_eps is 0"),
    ],
)
def test_a_configuration_that_cannot_be(folder, changes, message):
    rewrite(folder / "config.json", **changes)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(folder)
    assert caught.value.remedy


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_json_that_is_none(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(ModelFileError, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", SINGLE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelFileError, match=name):
        load_model(folder)


def test_safetensors_cut_off_anywhere(folder):
    content = (folder / SINGLE).read_bytes()
    for end in (0, 7, 8, 100, 3000, len(content) // 2, len(content) - 1):
        (folder / SINGLE).write_bytes(content[:end])
        with pytest.raises(ModelFileError, match="not a whole safetensors file"):
            load_model(folder)


@pytest.mark.parametrize("size", [1 << 63, 1 << 40, 50])
def test_safetensors_that_lie_about_their_header(folder, size):
    content = bytearray((folder / SINGLE).read_bytes())
    struct.pack_into("<Q", content, 0, size)
    (folder / SINGLE).write_bytes(content)
    with pytest.raises(ModelFileError, match="not a whole safetensors file"):
        load_model(folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{}", "not an index"),
        ('{"weight_map": []}', "not an index"),
        ('{"weight_map": {"x": "../model.safetensors"}}', "a safetensors file beside it was expected"),
        ('{"weight_map": {"x": "/etc/passwd"}}', "a safetensors file beside it was expected"),
        ('{"weight_map": {"x": "weights.bin"}}', "a safetensors file beside it was expected"),
        ('{"weight_map": {"x": "other.safetensors"}}', "other.safetensors is missing"),
        ('{"weight_map": {"x": "model.safetensors"}}', "should hold x"),
    ],
)
def test_an_index_that_cannot_be(folder, index, message):
    (folder / INDEX).write_text(index)
    with pytest.raises(ModelFileError, match=message):
        load_model(folder)


def test_a_model_larger_than_memory_is_refused_before_it_is_read():
    config = ModelConfig(
        vocab_size=1 << 20,
        dim=1 << 20,
        layers=1,
        heads=2,
        kv_heads=1,
        head_dim=2,
        hidden_dim=2,
        context=8,
        tie_embeddings=True,
    )
    with torch.device("meta"):
        shapes = {names.HF.theirs(n): tuple(w.shape) for n, w in Transformer(config).state_dict().items()}
    with pytest.raises(ModelUnavailable, match=r"needs 4398.1 GB of memory, \d+\.\d GB are free"):
        build(config, names.HF, shapes, lambda name: pytest.fail(f"{name} was read"))


def test_sliding_windows_by_layer():
    config = {
        "model_type": "mistral",
        "hidden_size": 8,
        "num_attention_heads": 2,
        "vocab_size": 8,
        "num_hidden_layers": 3,
        "intermediate_size": 8,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
    }
    assert ModelConfig.from_hf(config).windows == (4096,) * 3
    assert ModelConfig.from_hf(config | {"sliding_window": None}).windows == ()
    qwen = config | {"model_type": "qwen2", "max_window_layers": 2}
    assert ModelConfig.from_hf(qwen | {"use_sliding_window": True}).windows == (0, 0, 4096)
    assert ModelConfig.from_hf(qwen | {"use_sliding_window": False}).windows == ()
    assert ModelConfig.from_hf(qwen).windows == ()
