"""The name tables read both ways."""

import pytest

from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.model.weights import names
from handbook.model.weights.names import NameTable

TINY = {
    "vocab_size": 8,
    "dim": 8,
    "layers": 12,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 4,
    "hidden_dim": 8,
    "context": 8,
}


@pytest.mark.parametrize("table", [names.HF, names.GGUF], ids=["hf", "gguf"])
def test_every_parameter_goes_there_and_back(table):
    config = ModelConfig(**TINY, qkv_bias=True, out_bias=True, mlp_bias=True, head_norm=True)
    ours = list(Transformer(config).state_dict())
    theirs = [table.theirs(name) for name in ours]
    assert None not in theirs
    assert len(set(theirs)) == len(ours)
    assert [table.ours(name) for name in theirs] == ours


def test_names_are_those_of_the_formats(tiny):
    theirs = set(tiny("qwen3", attention_bias=True).theirs.state_dict())
    assert {names.HF.theirs(name) for name in tiny("qwen3", attention_bias=True).ours.state_dict()} == theirs


def test_gguf_names_are_those_of_the_gguf_package():
    import gguf

    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 12)
    for hub, short in ((names.HF.theirs(n), names.GGUF.theirs(n)) for n in _ours()):
        assert known.get_name(hub, try_suffixes=(".weight", ".bias")) == short


def _ours() -> list[str]:
    return list(Transformer(ModelConfig(**TINY, head_norm=True)).state_dict())


@pytest.mark.parametrize(
    "name", ["", "weight", "model.layers.3.mlp.weight", "model.norm.scale", "vision.norm.weight"]
)
def test_an_unknown_name_is_none(name):
    assert names.HF.ours(name) is None


def test_a_name_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        NameTable((("a", "x"), ("b", "x")))
