"""Anybody's config.json: sized, or refused with everything that is wrong, quickly and whatever it holds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.errors import ModelFileError
from handbook.model.zoo.entries import entries
from handbook.model.zoo.own import LARGEST, own_row, read
from handbook.model.zoo.rows import row_of

GOOD = {
    "model_type": "llama",
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ModelFileError) as caught:
        read(text)
    assert caught.value.faults
    assert caught.value.remedy
    return caught.value.faults


def test_a_good_one_is_sized():
    text = json.dumps(GOOD)
    row = own_row(read(text), text, "mine")
    assert (row.title, row.family, row.attention) == ("mine", "llama", "GQA")
    assert row.cache_per_token == 2 * 3 * 2 * 8 * 2


def test_the_zoos_own_come_out_the_same():
    for name, entry in entries().items():
        text = json.dumps(entry.config)
        ours, theirs = own_row(read(text), text, entry.title), row_of(name)
        assert ours.parameters == theirs.parameters, name


def test_all_faults_at_once():
    bad = GOOD | {"num_key_value_heads": 3, "hidden_act": "tanh", "rope_scaling": {"rope_type": "odd"}}
    del bad["vocab_size"]
    found = " ".join(faults(json.dumps(bad)))
    for piece in ("kv_heads (3)", "activation 'tanh'", "RoPE scaling 'odd'", "vocab_size"):
        assert piece in found


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("{", "no JSON"),
        ("[1, 2]", "holds a list"),
        ("null", "holds a NoneType"),
        ("[" * 100_000, "no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "no JSON"),
        ("x" * (LARGEST + 1), "at most"),
        ('{"text_config": {}}', "text_config"),
        ('{"model_type": "bert"}', "architecture 'bert'"),
        ('{"model_type": ["llama"]}', "architecture"),
        ("{}", "architecture None"),
    ],
)
def test_what_is_no_config(text, piece):
    assert piece in " ".join(faults(text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", 10**7),
        ("num_hidden_layers", -1),
        ("hidden_size", 10**30),
        ("hidden_size", 1.5),
        ("hidden_size", True),
        ("num_attention_heads", 0),
        ("max_position_embeddings", -4096),
        ("vocab_size", "1000"),
        ("rope_theta", float("nan")),
        ("rope_theta", float("inf")),
        ("rms_norm_eps", 0),
    ],
)
def test_numbers_that_cannot_be(field, value):
    assert faults(json.dumps(GOOD | {field: value}))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.sampled_from([2**24, 10**9, -1, 0, 128, 4096]),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(-2, 5), max_size=3),
    st.dictionaries(
        st.sampled_from(["rope_type", "type", "factor", "rope_theta"]), st.floats() | st.text(max_size=6)
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(entries())), st.data())
def test_any_field_may_be_anything(name, data):
    """Either it is sized or it is refused with its faults; no other error, whatever a field holds."""
    config = dict(entries()[name].config)
    for field in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[field] = data.draw(VALUES)
    text = json.dumps(config)
    try:
        outcome = own_row(read(text), text, "any").parameters > 0
    except ModelFileError as error:
        outcome = bool(error.faults)
    assert outcome
