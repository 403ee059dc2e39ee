"""The executor on compiled kernels: the same tokens as the decoder alone, in any company."""

import random
from dataclasses import replace

import pytest
import torch
from test_executor import CONFIGS, alone, greedy

from handbook.engine import fast
from handbook.engine.engine import Engine
from handbook.engine.executor import TorchExecutor, run_packed
from handbook.engine.fast import FastExecutor, pick
from handbook.engine.fitting import unfit
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.build import load
from handbook.engine.kernels.pack import Precision
from handbook.engine.pages import Pages
from handbook.engine.scheduler import Scheduler
from handbook.engine.store import PageStore
from handbook.engine.twin import TwinExecutor
from handbook.engine.work import Batch, Limits, Request, Work
from handbook.model.config import ModelConfig
from handbook.model.extension import RopeScaling
from handbook.model.load import Loaded, load_model
from handbook.model.transformer import Transformer
from handbook.records import Sampling

LLAMA = ModelConfig(
    vocab_size=61, dim=64, layers=3, heads=6, kv_heads=2, head_dim=16, hidden_dim=80, context=128
)
FITTING = {
    "llama": LLAMA,
    "tied": replace(LLAMA, tie_embeddings=True),
    "biases": replace(LLAMA, qkv_bias=True, out_bias=True, mlp_bias=True, head_bias=True),
    "yarn": replace(LLAMA, rope_scaling=RopeScaling("yarn", 4.0, 32), attention_scale=0.3),
}


@pytest.fixture(scope="module")
def kernels() -> Library:
    found = load()
    if isinstance(found, str):
        pytest.skip(f"no compiled kernels on this machine: {found}")
    return found


def model_of(config: ModelConfig) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(config).eval()
    for weight in model.parameters():
        weight.data.mul_(2.0)  # scores that differ, so that attention matters
    return model


def mixed(vocab: int) -> tuple[Batch, int]:
    """A prompt, a later piece of another, decodes, one with drafts: and how many pages of 4."""
    draw, works, pages = random.Random(0), [], 0
    for number, (start, count, drafts, wanted) in enumerate(
        ((0, 9, 0, 1), (5, 7, 0, 0), (11, 1, 0, 1), (3, 1, 0, 1), (6, 4, 3, 4), (19, 1, 0, 1))
    ):
        own = -(-(start + count) // 4)
        tokens = [draw.randrange(vocab) for _ in range(count)]
        works.append(Work(number, start, tokens, list(range(pages, pages + own)), drafts, wanted))
        pages += own
    return Batch(tuple(works)), pages


def stores(
    config: ModelConfig, pages: int, count: int, dtype: torch.dtype = torch.float32
) -> list[PageStore]:
    """Alike, with a past of random numbers."""
    made = [PageStore(config, pages, 4, dtype=dtype) for _ in range(count)]
    shape = made[0].keys.shape
    k, v = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4))
    for store in made:
        for layer in range(config.layers):
            store.write(layer, torch.arange(shape[1]), k[layer], v[layer])
    return made


@pytest.mark.parametrize("name", FITTING)
def test_fast_equals_packed(kernels: Library, name: str) -> None:
    model = model_of(FITTING[name])
    batch, pages = mixed(61)
    one, two = stores(model.config, pages, 2)
    got, right = FastExecutor(model, one, kernels, "fp32").run(batch), run_packed(model, two, batch)
    assert got.shape == right.shape == (8, 61)
    # fp32, other orders of sums, in three layers: logits keep 1e-5 of the largest.
    torch.testing.assert_close(got, right, atol=1e-5 * float(right.abs().max()), rtol=0)
    torch.testing.assert_close(one.keys, two.keys, atol=1e-5, rtol=1e-5)


def test_fast_equals_packed_over_whole_numbers(kernels: Library) -> None:
    """Keys and values of both are rounded alike, but for the few that stand next to a rounding's edge."""
    model = model_of(LLAMA)
    batch, pages = mixed(61)
    one, two = stores(LLAMA, pages, 2, torch.int8)
    got, right = FastExecutor(model, one, kernels, "fp32").run(batch), run_packed(model, two, batch)
    torch.testing.assert_close(got, right, atol=2e-3 * float(right.abs().max()), rtol=0)
    assert int((one.keys.int() - two.keys.int()).abs().max()) <= 1
    assert float((one.keys != two.keys).float().mean()) < 1e-2


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8])
def test_company_changes_no_bit(kernels: Library, precision: Precision, dtype: torch.dtype) -> None:
    model = model_of(replace(LLAMA, hidden_dim=96))
    batch, pages = mixed(61)
    one, two = stores(LLAMA, pages, 2, dtype)
    together = FastExecutor(model, one, kernels, precision).run(batch)
    executor = FastExecutor(model, two, kernels, precision)
    each = torch.cat([executor.run(Batch((work,))) for work in batch.work])
    assert torch.equal(together, each)
    assert torch.equal(one.keys, two.keys)


@pytest.mark.parametrize("name", FITTING)
def test_a_crowded_machine_says_what_each_says_alone(kernels: Library, name: str) -> None:
    model = model_of(FITTING[name])
    draw = random.Random(5)
    pages, size, swap = 22, 4, 6
    scheduler = Scheduler(Pages(pages, size), Limits(tokens=24, running=6, swap=swap, watermark=0.0))
    executor = FastExecutor(model, PageStore(model.config, pages, size, swap), kernels, "fp32")
    prompts, said = {}, {}
    for number in range(12):
        prompt = [7, 8, 9, 10, 11, 12, 13, 14, 15][: draw.randint(0, 9)]
        prompt += [draw.randrange(61) for _ in range(draw.randint(1, 20))]
        scheduler.add(Request(id=str(number), prompt=prompt, max_tokens=draw.randint(1, 16)))
        prompts[str(number)] = prompt
    while len(scheduler):
        batch = scheduler.step()
        for event in scheduler.done(batch, greedy(batch, executor.run(batch))):
            said.setdefault(event.request, []).extend(event.tokens)
    assert len(said) == 12
    for request, tokens in said.items():
        assert tokens == alone(model, prompts[request], len(tokens))
    assert scheduler.counts.preempted
    assert scheduler.counts.swapped


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_the_twin_in_torch(kernels: Library, dtype: torch.dtype) -> None:
    """Equal; over int8 pages but for what falls on the other side of a rounding: one of 127 steps in a few of
    many terms, and on through the layers."""
    config = replace(LLAMA, hidden_dim=128, qkv_bias=True, out_bias=True, mlp_bias=True, head_bias=True)
    model, (batch, pages) = model_of(config), mixed(61)
    one, two = stores(config, pages, 2, dtype)
    right, twin = FastExecutor(model, one, kernels, "int8").run(batch), TwinExecutor(model, two)
    got = twin.run(batch)
    most = 0.05 if dtype == torch.int8 else 1e-5
    torch.testing.assert_close(got, right, atol=most * float(right.abs().max()), rtol=0)
    twin.release()
    assert twin.run(Batch(())).shape == (0, 61)
    assert model.device.type == "meta"


def test_the_model_is_not_needed_once_it_is_packed(kernels: Library) -> None:
    model, (batch, pages) = model_of(LLAMA), mixed(61)
    one, two = stores(LLAMA, pages, 2)
    right = FastExecutor(model, one, kernels, "fp32").run(batch)
    executor = FastExecutor(model, two, kernels, "fp32")
    assert executor.best(batch) == right.argmax(dim=-1).tolist()
    assert executor.best(Batch(())) == []
    executor.release()
    assert torch.equal(executor.run(batch), right)
    assert executor.best(batch) == right.argmax(dim=-1).tolist()
    assert (model.device.type, model.dtype, model.config) == ("meta", torch.float32, LLAMA)
    with pytest.raises(ValueError, match="weights were released"):
        pick(model, one)


def test_a_batch_without_work(kernels: Library) -> None:
    executor = FastExecutor(model_of(LLAMA), PageStore(LLAMA, 4, 4), kernels)
    assert executor.run(Batch(())).shape == (0, 61)


def test_what_is_picked_and_why(kernels: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(LLAMA)
    choice = pick(model, PageStore(LLAMA, 2, 4))
    assert isinstance(choice.executor, FastExecutor)
    assert choice.why == f"compiled kernels, int8 products, float32 cache, {kernels.lanes().decode()}"
    monkeypatch.setattr(fast, "load", lambda: "no C++ compiler here")
    for pay, precision, kind, why in (
        (True, "int8", TwinExecutor, "torch, int8 products, float32 cache"),
        (True, "bf16", TorchExecutor, "torch, float32"),
        (False, "int8", TorchExecutor, "torch, float32"),
    ):
        monkeypatch.setattr(fast, "whole_numbers_pay", lambda pay=pay: pay)
        choice = pick(model, PageStore(LLAMA, 2, 4), precision)  # type: ignore[arg-type]
        assert type(choice.executor) is kind
        assert choice.why == f"{why}: no C++ compiler here"


@pytest.mark.parametrize("name", CONFIGS)
def test_what_does_not_fit_runs_on_torch(kernels: Library, name: str) -> None:
    config = CONFIGS[name]
    assert unfit(config)  # heads of 8 at the least
    choice = pick(model_of(config), PageStore(config, 2, 4))
    assert isinstance(choice.executor, TorchExecutor)
    with pytest.raises(ValueError, match="don't compute"):
        FastExecutor(choice.executor.model, PageStore(config, 2, 4), kernels)


def test_faults_are_told(kernels: Library) -> None:
    wide = replace(LLAMA, head_dim=112, heads=2, kv_heads=1)
    with pytest.raises(ValueError, match="heads of 112"):
        FastExecutor(model_of(wide), PageStore(wide, 2, 4), kernels)
    with pytest.raises(ValueError, match="float16"):
        FastExecutor(model_of(LLAMA), PageStore(LLAMA, 2, 4, dtype=torch.float16), kernels)
    with pytest.raises(ValueError, match="int4 wants widths of 32, got 64 and 80"):
        FastExecutor(model_of(LLAMA), PageStore(LLAMA, 2, 4), kernels, "int4")


@pytest.fixture(scope="module")
def smollm2(smollm2_path: object, model_settings: object) -> Loaded:
    return load_model("smollm2-135m-instruct", model_settings)  # type: ignore[arg-type]


# Mean over 200 tokens of English of the KL divergence from the decoder in fp32; measured 1e-7, 2e-4 and 6e-3;
# int4 5e-3, because the file is of 4 bits and its weights come back as they were; an int8 cache alone 9e-4.
@pytest.mark.models
@pytest.mark.parametrize(
    ("precision", "dtype", "most"),
    [
        ("fp32", torch.float32, 1e-6),
        ("bf16", torch.bfloat16, 1e-3),
        ("int8", torch.bfloat16, 1e-2),
        ("int4", torch.bfloat16, 1e-2),
        ("fp32", torch.int8, 1e-2),
    ],
)
@torch.inference_mode()
def test_a_real_model_stays_itself(
    kernels: Library, smollm2: Loaded, precision: Precision, dtype: torch.dtype, most: float
) -> None:
    text = (fast.__doc__ or "") + (unfit.__doc__ or "") + (random.__doc__ or "")
    ids = smollm2.tokenizer.encode(text, special=False)[:200]
    assert len(ids) == 200
    right = smollm2.model(torch.tensor([ids]))[0].log_softmax(dim=-1)
    store = PageStore(smollm2.config, 13, 16, dtype=dtype)
    executor = FastExecutor(smollm2.model, store, kernels, precision)
    work = Work(0, 0, ids, range(13), len(ids) - 1, len(ids))
    got = executor.run(Batch((work,))).log_softmax(dim=-1)
    divergence = float((right.exp() * (right - got)).sum(dim=-1).mean())
    assert -1e-6 < divergence < most


def test_an_engine_keeps_no_logits_that_nobody_wants(
    kernels: Library, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy requests alone take the shorter way, and say the same in the company of one that samples."""
    config = replace(LLAMA, vocab_size=loaded.config.vocab_size)
    loaded = replace(loaded, model=model_of(config), config=config)
    ways: list[str] = []
    for way in ("run", "best"):
        inner = getattr(FastExecutor, way)
        spy = lambda self, batch, way=way, inner=inner: (ways.append(way), inner(self, batch))[1]  # noqa: E731
        monkeypatch.setattr(FastExecutor, way, spy)
    said = []
    for company in (None, Sampling(temperature=1.0, seed=3), Sampling(repetition_penalty=1.2)):
        ways.clear()
        engine, pieces = Engine(loaded, memory=1 << 20, precision="fp32"), []
        engine.ask("a", [5, 6, 7], Sampling(temperature=0, max_tokens=12), pieces.append, past_stops=True)
        if company is not None:
            engine.ask("b", [5, 6, 8], replace(company, max_tokens=20), lambda piece: None, past_stops=True)
        while engine.busy:
            engine.step()
        assert set(ways) == ({"best"} if company is None else {"run"})
        said.append("".join(piece.text for piece in pieces))
    assert said[0]
    assert said[0] == said[1] == said[2]


def test_an_engine_with_whole_numbers_in_its_cache(kernels: Library, loaded: Loaded) -> None:
    """More pages of the same memory, and the scales are counted."""
    engines = [Engine(loaded, memory=1 << 16, precision="int8", kv=kv) for kv in (None, "bf16", "int8")]  # type: ignore[arg-type]
    stores = [engine.executor.store for engine in engines]  # type: ignore[attr-defined]
    assert [store.keys.dtype for store in stores] == [torch.bfloat16, torch.bfloat16, torch.int8]
    assert all(store.nbytes <= 1 << 16 for store in stores)
    assert engines[2].pages.count > engines[0].pages.count


def test_an_engine_of_a_precision(loaded: Loaded, kernels: Library) -> None:
    """Heads of 8 have no kernel: torch computes, over pages of the kind that was asked for."""
    for precision, dtype in ((None, torch.float32), ("fp32", torch.float32), ("int8", torch.bfloat16)):
        engine = Engine(loaded, memory=1 << 16, precision=precision)  # type: ignore[arg-type]
        assert isinstance(engine.executor, TorchExecutor)
        assert engine.executor.store.keys.dtype == dtype
        assert engine.executor.store.nbytes <= 1 << 16
