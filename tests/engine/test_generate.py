"""Generation on a tiny model that is made here, and text with stop strings."""

import dataclasses

import pytest
import torch

from handbook.chat import Sampling
from handbook.engine.generate import StopGate, generate, stream
from handbook.errors import ChatError
from handbook.model.tokenizer import Tokenizer

GREEDY = Sampling(temperature=0.0, max_tokens=30)


def stopping_at(loaded, *stops):
    tokenizer = Tokenizer(loaded.tokenizer.backend, stops=stops)
    return dataclasses.replace(loaded, tokenizer=tokenizer)


PROMPT = [10, 20, 30]


def test_greedy_is_the_argmax_of_the_whole_prefix_each_time(loaded):
    ids = list(PROMPT)
    for _ in range(30):
        ids.append(int(loaded.model(torch.tensor([ids]))[0, -1].argmax()))
    assert list(generate(loaded, PROMPT, GREEDY)) == ids[3:]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.5, seed=5, top_p=0.9, max_tokens=30)])
def test_the_cache_changes_no_token(loaded, sampling):
    with_cache = list(generate(loaded, PROMPT, sampling))
    assert with_cache == list(generate(loaded, PROMPT, sampling, use_cache=False))
    assert len(with_cache) == 30


def test_a_seed_repeats_the_reply(loaded):
    def reply(seed):
        return list(generate(loaded, PROMPT, Sampling(temperature=3.0, seed=seed, max_tokens=30)))

    assert reply(1) == reply(1)
    assert reply(1) != reply(2)
    assert reply(None) != reply(None)


def test_it_stops_before_a_stop_token(loaded):
    full = list(generate(loaded, PROMPT, GREEDY))
    stop = full[7]
    ended = generate(stopping_at(loaded, stop), PROMPT, GREEDY)
    assert list(ended) == full[: full.index(stop)]
    assert ended.usage.completion_tokens == full.index(stop)


def test_usage(loaded):
    generation = generate(loaded, PROMPT, GREEDY)
    assert len(list(generation)) == 30
    usage = generation.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 30)
    assert usage.prefill_seconds > 0
    assert usage.decode_seconds > 0


def test_usage_after_leaving_early(loaded):
    generation = generate(loaded, PROMPT, GREEDY)
    for _, _ in zip(range(5), generation, strict=False):
        pass
    assert generation.usage.completion_tokens in (5, 6)  # zip may have asked for one more


def test_the_context_ends_a_reply(loaded):
    prompt = list(range(60))
    assert len(list(generate(loaded, prompt, GREEDY))) == 4


@pytest.mark.parametrize("length", [0, 64, 1000])
def test_a_prompt_that_does_not_fit(loaded, length):
    with pytest.raises(ChatError, match=f"has {length} tokens; 1 to 63 were expected"):
        generate(loaded, [1] * length, GREEDY)


def test_it_leaves_no_inference_mode_behind(loaded):
    tokens = iter(generate(loaded, PROMPT, GREEDY))
    next(tokens)
    assert not torch.is_inference_mode_enabled()


def text_of(loaded, sampling):
    deltas = list(stream(loaded, PROMPT, sampling))
    assert [delta.usage is not None for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    return "".join(delta.text for delta in deltas), deltas


def test_stream_is_the_decoded_ids(loaded):
    text, deltas = text_of(loaded, GREEDY)
    assert text == loaded.tokenizer.decode(list(generate(loaded, PROMPT, GREEDY)))
    assert deltas[-1].usage.completion_tokens == 30


def test_stop_strings_over_token_borders(loaded):
    """Every token is a byte, so any two characters are a stop string over two tokens."""
    sampling = Sampling(temperature=1.0, seed=0, max_tokens=60)
    text, _ = text_of(loaded, sampling)
    stop = next(text[i : i + 2] for i in range(8, 50) if text[i : i + 2].isascii())
    cut, deltas = text_of(loaded, dataclasses.replace(sampling, stop=("never in it", stop)))
    assert cut == text[: text.index(stop)]
    assert deltas[-1].usage.completion_tokens < 60, "it stopped computing"


@pytest.mark.parametrize("pieces", [["one STOP two"], ["one S", "TO", "P two"], list("one STOP two")])
def test_gate_ends_before_the_stop_string(pieces):
    gate = StopGate(("STOP", ""))
    assert "".join([*map(gate.push, pieces), "" if gate.closed else gate.finish()]) == "one "
    assert gate.closed


@pytest.mark.parametrize("text", ["one STO", "SSSTTO STO", "S", "", "no such thing", "STOOP STO P"])
def test_gate_loses_nothing_without_a_stop_string(text):
    for size in (1, 2, 3, 100):
        gate = StopGate(("STOP", "STAR"))
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert "".join([*map(gate.push, pieces), gate.finish()]) == text
        assert not gate.closed


def test_gate_gives_out_what_is_certain_at_once():
    gate = StopGate(("STOP",))
    assert [gate.push(piece) for piece in ("ab", "S", "T", "x", "SS")] == ["ab", "", "", "STx", "S"]


def test_gate_takes_the_earliest_of_several():
    assert StopGate(("cd", "b")).push("abcd") == "a"


@pytest.mark.models
def test_smollm2_answers_in_text(smollm2):
    from handbook.records import Message

    prompt = smollm2.template.encode([Message("user", "What is the capital of France?")], smollm2.tokenizer)
    text = "".join(delta.text for delta in stream(smollm2, prompt, Sampling(temperature=0, max_tokens=20)))
    assert "Paris" in text
    assert "<|im_end|>" not in text
