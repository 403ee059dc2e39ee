"""Whatever a `config.json` says, it is a model or one error with all its faults, soon and in little memory.

Keys are not listed here: a configuration that remembers what it was asked for finds them.
"""

import json
import time
import tracemalloc
from itertools import combinations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handbook.errors import ModelFileError
from handbook.model import count, counting
from handbook.model.config import ModelConfig
from handbook.model.families import FAMILIES
from handbook.model.tokenizer import read_json
from handbook.model.transformer import Transformer

ROPES = {
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8,
    },
    "yarn": {
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "mscale": 1.0,
        "mscale_all_dim": 0.7,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
    },
    "longrope": {
        "original_max_position_embeddings": 16,
        "short_factor": [1.0, 2.0],
        "long_factor": [2.0, 4.0],
    },
}
BASE = {
    "vocab_size": 50,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "head_dim": 4,
    "partial_rotary_factor": 1.0,
    "max_position_embeddings": 64,
    "sliding_window": 8,
    "num_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "shared_expert_intermediate_size": 16,
    "n_shared_experts": 1,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
}


class Asked(dict):
    """A table that remembers its keys that were asked for, and those of tables in it, `outer/inner`."""

    def __init__(self, table: dict, seen: set[str], path: str = "") -> None:
        super().__init__({key: self._watch(key, value, seen, path) for key, value in table.items()})
        self.seen, self.path = seen, path

    @staticmethod
    def _watch(key: str, value: object, seen: set[str], path: str) -> object:
        return Asked(value, seen, f"{path}{key}/") if isinstance(value, dict) else value

    def get(self, key, default=None):
        self.seen.add(self.path + key)
        return super().get(key, default)


def config_of(kind: str, rope: str | None) -> dict:
    table = BASE | {"model_type": kind}
    parameters = None if rope is None else {"rope_type": rope, "rope_theta": 1e4} | ROPES[rope]
    if kind == "gemma3_text":
        local = {"rope_type": "default", "rope_theta": 1e3}
        parameters = {"full_attention": parameters or local, "sliding_attention": local}
    return table if parameters is None else table | {"rope_parameters": parameters}


KINDS = [(kind, rope) for kind in sorted(FAMILIES) for rope in (None, *ROPES)]


def keys_of(kind: str, rope: str | None) -> list[str]:
    seen: set[str] = set()
    ModelConfig.from_hf(Asked(config_of(kind, rope), seen))
    return sorted(seen)


KEYS = {pair: keys_of(*pair) for pair in KINDS}
MISSING = object()
ODD = st.one_of(
    st.just(MISSING),
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.integers(),
    st.sampled_from([1 << 24, 1 << 31, 1 << 53, 1 << 64, -(1 << 64), 10**400]),
    st.floats(),
    st.floats(0.5, 8.0),
    st.text(max_size=3),
    st.sampled_from(["default", "linear", "dynamic", "llama3", "yarn", "longrope", "su", "silu", "gelu"]),
    st.lists(st.one_of(st.integers(-1, 4), st.floats(), st.none(), st.text(max_size=2)), max_size=4),
    st.recursive(
        st.none(), lambda inner: st.dictionaries(st.text(max_size=4), st.lists(inner)), max_leaves=4
    ),
)


def put(table: dict, path: str, value: object) -> dict:
    head, _, rest = path.partition("/")
    if rest:
        inner = table.get(head)
        return table | {head: put(inner if isinstance(inner, dict) else {}, rest, value)}
    return {key: old for key, old in table.items() if key != head} | (
        {} if value is MISSING else {head: value}
    )


def read(table: dict) -> tuple[ModelConfig | None, str]:
    """A model, or the error's text."""
    try:
        return ModelConfig.from_hf(table), ""
    except ModelFileError as error:
        return None, str(error)


@st.composite
def broken(draw) -> dict:
    pair = draw(st.sampled_from(KINDS))
    table = config_of(*pair)
    for path in draw(st.lists(st.sampled_from(KEYS[pair]), max_size=4, unique=True)):
        table = put(table, path, draw(ODD))
    return table


def test_keys_are_found():
    assert {"hidden_size", "rope_parameters/factor", "rope_parameters/beta_slow"} <= {*KEYS["llama", "yarn"]}
    assert "rope_parameters/full_attention/long_factor" in KEYS["gemma3_text", "longrope"]
    assert {"topk_group", "num_nextn_predict_layers"} <= {*KEYS["deepseek_v3", None]}


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=broken())
def test_whatever_a_file_says_is_a_model_or_one_error(table):
    """A model: its modules can be made, are as large as `count` says, and its angles are finite."""
    config, what = read(table)
    assert len(what) < 5000
    if config is None or config.layers > 20:
        return
    with torch.device("meta"):
        model = Transformer(config)
    assert counting.parameters(model) == count.parameters(config)
    positions = torch.tensor([0, 1])
    for window in {0, *config.windows}:
        for length in (2, config.context):
            assert all(part.isfinite().all() for part in model.rotation(positions, length, window))


FAULTS = [
    ({"vocab_size": -1}, "vocab_size is -1"),
    ({"hidden_size": "24"}, "give hidden_size as a number, got '24'"),
    ({"num_hidden_layers": 1 << 22}, "layers is 4194304"),
    ({"num_key_value_heads": 4}, "heads (6) is not a multiple of kv_heads (4)"),
    ({"intermediate_size": None}, "give intermediate_size as a number, got None"),
    ({"rms_norm_eps": [1e-5]}, "give rms_norm_eps as a number, got [1e-05]"),
    ({"tie_word_embeddings": 2}, "give tie_word_embeddings as true or false, got 2"),
    ({"hidden_act": "swoosh"}, "activation 'swoosh'"),
    ({"max_position_embeddings": 65}, "context is 65, and yarn by 4 reaches 64"),
    ({"sliding_window": -2}, "windows should be one for each"),
    ({"head_dim": 5}, "5 channels of 5 cannot turn in pairs"),
    ({"num_experts_per_tok": 5}, "got k = 5 of 4"),
]


@pytest.mark.parametrize("pair", [*combinations(range(len(FAULTS)), 2)], ids=str)
def test_two_faults_are_both_named(pair):
    """Any two, and all at once."""
    table, expected = config_of("mixtral", "yarn"), []
    ModelConfig.from_hf(table)
    for fault in pair:
        table |= FAULTS[fault][0]
        expected.append(FAULTS[fault][1])
    if {"num_hidden_layers", "sliding_window"} <= {key for fault in pair for key in FAULTS[fault][0]}:
        expected.remove("windows should be one for each")  # a list by layer is not made for so many layers
    with pytest.raises(ModelFileError) as caught:
        ModelConfig.from_hf(table)
    assert [part for part in expected if part not in caught.value.what] == []


def test_all_faults_are_named_at_once():
    table = config_of("mixtral", "yarn")
    faults = [fault for fault in FAULTS if "num_hidden_layers" not in fault[0]]
    for change, _ in faults:
        table |= change
    with pytest.raises(ModelFileError) as caught:
        ModelConfig.from_hf(table)
    assert [part for _, part in faults if part not in caught.value.what] == []


def nested(depth: int) -> list:
    table: list = []
    for _ in range(depth):
        table = [table]
    return table


@pytest.mark.parametrize("kind", ["llama", "gemma3_text", "qwen3_moe", "deepseek_v3"])
@pytest.mark.parametrize(
    "garbage",
    [
        {"num_hidden_layers": (1 << 53) - 1},
        {"num_hidden_layers": 10**5000},
        {"first_k_dense_replace": 1 << 50, "max_window_layers": 1 << 50, "sliding_window": 1 << 50},
        {"layer_types": ["x" * 100] * 200_000, "sliding_window": 8},
        {"mlp_only_layers": ["x"] * 200_000, "hidden_act": "y" * 10_000_000},
        {"hidden_size": "z" * 10_000_000, "rope_parameters": "z" * 10_000_000},
        {"hidden_act": nested(50_000), "topk_method": nested(50_000), "rope_scaling": nested(50_000)},
        {"rope_parameters": {"rope_type": nested(50_000)}},
        {
            "rope_parameters": {
                "rope_type": "longrope",
                "short_factor": [1.0] * 200_000,
                "long_factor": [-1] * 9,
            }
        },
        {"model_type": nested(50_000)},
        {"num_experts": 1 << 24, "n_group": 1 << 23, "moe_intermediate_size": 1 << 24},
    ],
    ids=lambda garbage: " ".join(garbage),
)
def test_a_huge_file_is_refused_soon_and_in_little_memory(kind, garbage):
    table = config_of(kind, None) | garbage
    tracemalloc.start()
    before = time.thread_time()  # of this thread alone, whoever else is busy
    try:
        _, what = read(table)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(what) < 5000
    assert time.thread_time() - before < 5
    assert peak < 20e6


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": ' * 100_000, '{"hidden_size": ' + "9" * 5000 + "}"])
def test_json_that_is_too_deep_or_too_long_is_refused_as_a_file(tmp_path, text):
    (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(ModelFileError, match="is not valid JSON"):
        read_json(tmp_path / "config.json")


def test_a_base_is_a_model_in_every_family():
    for kind, rope in KINDS:
        config = ModelConfig.from_hf(json.loads(json.dumps(config_of(kind, rope))))
        assert (config.rope_scaling.kind if config.rope_scaling else None) == rope
