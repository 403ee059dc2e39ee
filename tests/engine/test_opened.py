"""From a name to an engine: what is picked, and what is said where a wish can't be met."""

from pathlib import Path

import pytest
import torch

from handbook.engine import fast
from handbook.engine.draft_model import DraftModel
from handbook.engine.opened import WISHES, Wish, open_engine
from handbook.errors import HandbookError
from handbook.records import Sampling
from handbook.settings import Settings

pytestmark = pytest.mark.models


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "load", lambda: "no C++ compiler here")


@pytest.fixture
def no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor on which torch's int8 products don't pay."""
    monkeypatch.setattr(fast, "whole_numbers_pay", lambda: False)


def reply(precision: Wish, settings: Settings) -> tuple[str, str, str]:
    """What was picked, what it writes, and where the model's own weights are then."""
    engine = open_engine("smollm2-135m-instruct", settings, precision, memory=16 << 20)
    said: list[str] = []
    assert engine.loaded.template is not None
    prompt = engine.loaded.tokenizer.encode("The capital of France is")
    engine.ask("a", prompt, Sampling(max_tokens=3, temperature=0.0), lambda piece: said.append(piece.text))
    while engine.busy:
        engine.step()
    return engine.picked, "".join(said), engine.loaded.model.device.type


@pytest.mark.parametrize("precision", WISHES)
def test_every_precision_answers_and_says_what_it_picked(
    precision: Wish, model_settings: Settings, smollm2_path: Path
) -> None:
    if isinstance(found := fast.load(), str):
        pytest.skip(found)
    picked, text, where = reply(precision, model_settings)
    assert where == "meta"  # packed, so not kept twice
    assert picked.startswith(f"compiled kernels, {'int8' if precision == 'auto' else precision} products")
    assert "Paris" in text


@pytest.mark.usefixtures("smollm2_path")
def test_a_draft_models_packed_weights_are_not_kept_twice(model_settings: Settings) -> None:
    if isinstance(found := fast.load(), str):
        pytest.skip(found)
    name = "smollm2-135m-instruct"
    engine = open_engine(name, model_settings, memory=16 << 20, draft=name)
    assert engine.ahead is not None
    assert isinstance(drafter := engine.ahead.drafter, DraftModel)
    assert isinstance(drafter.executor, fast.FastExecutor)
    assert drafter.executor.model.device.type == "meta"
    said: list[str] = []
    prompt = engine.loaded.tokenizer.encode("The capital of France is")
    engine.ask("a", prompt, Sampling(max_tokens=6, temperature=0.0), lambda piece: said.append(piece.text))
    while engine.busy:
        engine.step()
    assert "Paris" in "".join(said)
    assert drafter.calls


@pytest.mark.parametrize(
    ("precision", "dtype"), [("auto", "float32"), ("fp32", "float32"), ("bf16", "bfloat16")]
)
@pytest.mark.usefixtures("no_bytes")
def test_without_kernels_torch_computes(
    precision: Wish, dtype: str, model_settings: Settings, smollm2_path: Path, no_kernels: None
) -> None:
    picked, text, where = reply(precision, model_settings)
    assert where == "cpu"
    assert picked == f"torch, {dtype}: no C++ compiler here"
    assert "Paris" in text


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_without_kernels_torch_multiplies_bytes(
    precision: Wish,
    model_settings: Settings,
    smollm2_path: Path,
    no_kernels: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast, "whole_numbers_pay", lambda: True)
    picked, text, where = reply(precision, model_settings)
    assert where == "meta"
    assert picked == "torch, int8 products, bfloat16 cache: no C++ compiler here"
    assert "Paris" in text


@pytest.mark.usefixtures("no_bytes")
def test_int8_without_kernels_is_refused_with_the_reason(
    model_settings: Settings, smollm2_path: Path, no_kernels: None
) -> None:
    with pytest.raises(HandbookError, match=r"int8 products need compiled kernels.*no C\+\+ compiler here"):
        reply("int8", model_settings)


def test_a_gpu_is_taken_where_there_is_one(
    model_settings: Settings, smollm2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which weights are asked for: nothing here can run them."""
    asked: list[tuple[object, ...]] = []

    def load(*how: object) -> None:
        asked.append(how)
        raise InterruptedError

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("handbook.engine.opened.load_model", load)
    for precision, dtype in (("auto", torch.bfloat16), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with pytest.raises(InterruptedError):
            open_engine("some-model", model_settings, precision)  # type: ignore[arg-type]
        assert asked[-1] == ("some-model", model_settings, dtype, "cuda")
    with pytest.raises(HandbookError, match="int8 products are for processors"):
        open_engine("some-model", model_settings, "int8")
