"""An engine with adapters: each request says what the model with its adapter merged says alone, in any
company, through drafts, constraints, samples, preemption and cached beginnings."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_machine import Running, serving, talking
from test_adapting import adapter_of, merged
from test_engine import GREEDY, WARM, Listener, alone, run, small
from test_fast import LLAMA, model_of
from wordy import wordy

from handbook.engine.constrained import Vocabulary, regex
from handbook.engine.engine import Engine
from handbook.engine.fast import FastExecutor
from handbook.engine.kernels.build import load
from handbook.engine.served import Served
from handbook.engine.work import Limits, NoAdapter, Request
from handbook.errors import AdapterError
from handbook.model.load import Loaded

NAMES = (None, "a", "b")


@pytest.fixture(scope="module")
def wide(loaded: Loaded) -> Loaded:
    """One that the kernels compute."""
    config = dataclasses.replace(LLAMA, vocab_size=loaded.config.vocab_size, context=64)
    return dataclasses.replace(loaded, model=model_of(config).requires_grad_(False), config=config)


def variants(loaded: Loaded) -> dict[str | None, Loaded]:
    """By adapter, the model with it merged."""
    adapters = {None: None, "a": adapter_of(loaded.model, 1), "b": adapter_of(loaded.model, 2, 3)}
    return {
        name: dataclasses.replace(loaded, model=merged(loaded.model, adapter))
        for name, adapter in adapters.items()
    }


@pytest.fixture(scope="module")
def merged_tiny(loaded: Loaded) -> dict[str | None, Loaded]:
    return variants(loaded)


@pytest.fixture(scope="module")
def merged_wide(wide: Loaded) -> dict[str | None, Loaded]:
    return variants(wide)


def with_both(engine: Engine) -> Engine:
    engine.load_adapter("a", adapter_of(engine.loaded.model, 1))
    engine.load_adapter("b", adapter_of(engine.loaded.model, 2, 3))
    return engine


def prompts(number: int) -> list[int]:
    """Beginnings that several share, across adapters too."""
    draw = torch.Generator().manual_seed(number // 3)
    start = [1, 2, 3, 4, 5, 6, 7, 8, 9] if number % 2 else [7, 7, 7, 7, 7, 7]
    return start + torch.randint(256, (number % 5 + 1,), generator=draw).tolist()


@pytest.mark.parametrize("speculation", ["off", "lookup"])
def test_many_say_what_each_says_alone(
    loaded: Loaded, merged_tiny: dict[str | None, Loaded], speculation: Any
) -> None:
    """Too few pages for all: preempted, swapped, computed anew; one prompt with and without adapters."""
    limits = Limits(tokens=24, running=6, watermark=0.0, swap=6)
    engine, listener = with_both(small(loaded, speculation=speculation, limits=limits)), Listener()
    asked = {}
    for number in range(24):
        name = NAMES[number % 3]
        sampling = dataclasses.replace(GREEDY if number % 4 else WARM, seed=number, max_tokens=8 + number % 9)
        id = str(number)
        engine.ask(id, prompts(number), sampling, listener.of(id), adapter=name)
        asked[id] = merged_tiny[name], prompts(number), sampling
    copied = alone(merged_tiny["a"], [7] * 6, dataclasses.replace(GREEDY, max_tokens=30))
    for id, length in (("98", 12), ("99", 25)):  # what it says next stands in the prompt already
        prompt = [7] * 6 + loaded.tokenizer.encode(copied)[:length] + [7] * 6
        engine.ask(id, prompt, GREEDY, listener.of(id), adapter="a")
        asked[id] = merged_tiny["a"], prompt, GREEDY
    run(engine)
    said = set()
    for id, (model, prompt, sampling) in asked.items():
        assert listener.text[(id, 0)] == alone(model, prompt, sampling), id
        said.add(listener.text[(id, 0)])
    assert len(said) > 20
    counts = engine.scheduler.counts
    assert counts.preempted
    assert counts.swapped
    assert (counts.accepted > 0) == (speculation == "lookup")
    assert engine.pages.available == engine.pages.count


def test_a_draft_model_without_adapters(loaded: Loaded, merged_tiny: dict[str | None, Loaded]) -> None:
    """It guesses for all; what it guesses wrongly for an adapter is not said."""
    engine = with_both(Engine(loaded, 1 << 18, 4, speculation="draft", draft=loaded))
    listener = Listener()
    for name in NAMES:
        engine.ask(str(name), prompts(2), GREEDY, listener.of(str(name)), adapter=name)
    run(engine)
    for name in NAMES:
        assert listener.text[(str(name), 0)] == alone(merged_tiny[name], prompts(2), GREEDY)
    assert engine.scheduler.counts.accepted


texts = st.tuples(st.sampled_from(NAMES), st.integers(0, 20), st.integers(1, 8), st.integers(0, 6))


@given(st.lists(texts, min_size=1, max_size=8))
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("way", ["torch", "kernels"])
def test_any_batch(
    wide: Loaded, merged_wide: dict[str | None, Loaded], way: str, asked: list[tuple[Any, int, int, int]]
) -> None:
    """Requests that come while others run, in fp32: exactly the merged model's tokens."""
    if way == "kernels" and isinstance(load(), str):
        pytest.skip("no compiled kernels here")
    engine = Engine(
        wide, 1 << 17, 4, Limits(tokens=16, running=4), precision="fp32" if way == "kernels" else None
    )
    assert isinstance(engine.executor, FastExecutor) == (way == "kernels")
    with_both(engine)
    listener = Listener()
    for number, (name, prompt, count, steps) in enumerate(asked):
        sampling = dataclasses.replace(GREEDY, max_tokens=count)
        engine.ask(str(number), prompts(prompt), sampling, listener.of(str(number)), adapter=name)
        for _ in range(steps):
            engine.step()
    run(engine)
    for number, (name, prompt, count, _) in enumerate(asked):
        sampling = dataclasses.replace(GREEDY, max_tokens=count)
        assert listener.text[(str(number), 0)] == alone(merged_wide[name], prompts(prompt), sampling)


def test_samples_of_one_prompt(loaded: Loaded, merged_tiny: dict[str | None, Loaded]) -> None:
    """They share pages among themselves, and the adapter."""
    engine, listener = with_both(small(loaded, pages=60)), Listener()
    warm = dataclasses.replace(WARM, seed=3)
    for name in NAMES:
        engine.ask(str(name), prompts(4), warm, listener.of(str(name)), samples=2, adapter=name)
    run(engine)
    for name in NAMES:
        plain, other = small(merged_tiny[name], pages=60), Listener()
        plain.ask("x", prompts(4), warm, other.of("x"), samples=2)
        run(plain)
        for sample in range(2):
            assert listener.text[(str(name), sample)] == other.text[("x", sample)]


def test_texts_of_a_form() -> None:
    """Held to one expression, and the letters within it are the adapter's choice."""
    base = wordy()
    vocabulary = Vocabulary.of(base.tokenizer, base.config.vocab_size)
    constraint = vocabulary.compile(regex("[a-z]{8}, [0-9]{4}"))
    models = variants(base)
    engine, listener = with_both(Engine(base, 1 << 18, 4)), Listener()
    for name in NAMES:
        engine.ask(str(name), [5, 6, 7], GREEDY, listener.of(str(name)), adapter=name, constraint=constraint)
    run(engine)
    said = set()
    for name in NAMES:
        plain, other = Engine(models[name], 1 << 18, 4), Listener()
        plain.ask("x", [5, 6, 7], GREEDY, other.of("x"), constraint=constraint)
        run(plain)
        text = listener.text[(str(name), 0)]
        assert text == other.text[("x", 0)]
        assert re.fullmatch("[a-z]{8}, [0-9]{4}", text)
        said.add(text)
    assert len(said) == 3


def test_beginnings_are_never_shared_across_adapters(loaded: Loaded) -> None:
    engine, listener = with_both(small(loaded, pages=60)), Listener()
    prompt = list(range(30, 50))
    reused = {}
    for turn in range(2):
        for name in NAMES:
            id = f"{name}{turn}"
            told = engine.ask(id, prompt, GREEDY, listener.of(id), adapter=name)
            run(engine)
            reused[id] = told.reused
    assert reused == {"None0": 0, "a0": 0, "b0": 0, "None1": 16, "a1": 16, "b1": 16}
    one, other = (Request(id="x", prompt=[1], max_tokens=1, adapter=n) for n in (1, 2))
    assert len({b"", one.apart, other.apart}) == 3
    assert len(one.apart) == 8  # no page's name, which has 16 bytes, is read as one


def test_unloading_ends_nothing_and_frees_all(loaded: Loaded, merged_tiny: dict[str | None, Loaded]) -> None:
    engine, listener = with_both(small(loaded, pages=60)), Listener()
    engine.ask("old", prompts(1), GREEDY, listener.of("old"), adapter="a")
    for _ in range(3):
        engine.step()
    engine.unload_adapter("a")
    assert engine.adapters == ("b",)
    with pytest.raises(NoAdapter, match="no adapter 'a' here; there is b"):
        engine.ask("x", [1], GREEDY, listener.of("x"), adapter="a")
    engine.load_adapter("a", adapter_of(loaded.model, 2, 3))  # another by the same name
    engine.ask("new", prompts(1), GREEDY, listener.of("new"), adapter="a")
    run(engine)
    assert listener.text[("old", 0)] == alone(merged_tiny["a"], prompts(1), GREEDY)
    assert listener.text[("new", 0)] == alone(merged_tiny["b"], prompts(1), GREEDY)
    held = engine.executor.beside.linears["blocks.0.attention.query"].lows  # type: ignore[attr-defined]
    assert sorted(held) == [2, 3]
    engine.unload_adapter("a")
    engine.unload_adapter("b")
    assert not held
    with pytest.raises(NoAdapter, match="there is none"):
        engine.unload_adapter("b")


def test_cancelled_and_failed_requests_let_go(loaded: Loaded) -> None:
    engine, listener = with_both(small(loaded, pages=60)), Listener()
    held = engine.executor.beside.linears["blocks.0.attention.query"].lows  # type: ignore[attr-defined]
    for id, name in (("one", "a"), ("two", "b")):
        engine.ask(id, prompts(2), GREEDY, listener.of(id), adapter=name)
    engine.step()
    engine.unload_adapter("a")
    engine.unload_adapter("b")
    assert len(held) == 2
    engine.cancel("one")
    engine.step()
    assert list(held) == [2]
    engine.fail()
    assert not held


def test_names_and_what_has_none(loaded: Loaded) -> None:
    engine = with_both(small(loaded))
    good = adapter_of(loaded.model, 5)
    for name, says in (
        ("a", "an adapter called a"),
        ("tiny", "a model called tiny"),
        (" b", "space"),
        ("", "printable"),
    ):
        with pytest.raises(AdapterError, match=says):
            engine.load_adapter(name, good)

    class Deaf:
        run: Callable[..., torch.Tensor]

    with pytest.raises(AdapterError, match="Deaf computes without adapters"):
        Engine(loaded, memory=1 << 16, executor=Deaf()).load_adapter("c", good)  # type: ignore[arg-type]


def test_loaded_while_others_are_answered(loaded: Loaded, merged_tiny: dict[str | None, Loaded]) -> None:
    served, listener = Served(small(loaded, pages=60)), Listener()
    adapter = adapter_of(loaded.model, 1)
    first = served.ask("base", prompts(3), GREEDY, listener.of("base"))
    served.call(lambda engine: engine.load_adapter("a", adapter)).result()
    served.ask("a", prompts(3), GREEDY, listener.of("a"), adapter="a").result()
    first.result()
    assert served.close()
    assert listener.text[("base", 0)] == alone(loaded, prompts(3), GREEDY)
    assert listener.text[("a", 0)] == alone(merged_tiny["a"], prompts(3), GREEDY)


# --- the server


@pytest.fixture(scope="module")
def tiny(loaded: Loaded) -> Loaded:
    return talking(loaded)


@pytest.fixture(scope="module")
def server(tiny: Loaded) -> Iterator[Running]:
    with serving(tiny) as running:
        running.served.call(with_both).result()
        yield running


def test_adapters_are_models(server: Running, tiny: Loaded) -> None:
    listed = server.http.get("/v1/models").json()["data"]
    assert [(card["id"], card.get("parent")) for card in listed] == [
        ("tiny", None),
        ("a", "tiny"),
        ("b", "tiny"),
    ]
    assert server.http.get("/v1/models/b").json()["parent"] == "tiny"
    models, said = variants(tiny), {}
    for name in ("tiny", "a", "b"):
        sampling = dataclasses.replace(GREEDY, max_tokens=12)
        body = {"model": name, "prompt": "hello", "max_tokens": 12, "temperature": 0}
        answer = server.post("/v1/completions", body).json()
        assert answer["model"] == name
        said[name] = answer["choices"][0]["text"]
        assert said[name] == alone(
            models[None if name == "tiny" else name], tiny.tokenizer.encode("hello"), sampling
        )
        assert (
            server.client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": "hello"}], max_tokens=3
            ).model
            == name
        )
    assert len(set(said.values())) == 3


def test_adapters_come_and_go_while_it_serves(server: Running, tiny: Loaded) -> None:
    body = {"model": "c", "prompt": "hello", "max_tokens": 3}
    refused = server.post("/v1/completions", body)
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "model_not_found"
    assert "there is tiny and a and b" in refused.json()["error"]["message"]
    adapter = adapter_of(tiny.model, 7)
    server.served.call(lambda engine: engine.load_adapter("c", adapter)).result()
    assert server.post("/v1/completions", body).status_code == 200
    schemas = server.http.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["TextBody"]["properties"]["model"]["enum"] == ["tiny", "a", "b", "c"]
    assert "parent" in schemas["Model"]["properties"]
    server.served.call(lambda engine: engine.unload_adapter("c")).result()
    assert server.post("/v1/completions", body).status_code == 404
    assert server.http.get("/v1/models/c").status_code == 404


def test_one_that_was_unloaded_on_the_way(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name was there when the request was read, and not when the engine took it."""
    known = (*server.engine.adapters, "ghost")
    monkeypatch.setattr(Engine, "adapters", property(lambda engine: known))
    refused = server.post("/v1/completions", {"model": "ghost", "prompt": "hello", "max_tokens": 3})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
