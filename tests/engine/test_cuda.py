"""The executor for CUDA, on a processor: all but the recording of graphs. One test runs on a GPU where there
is one."""

import random
from dataclasses import replace

import pytest
import torch
from test_executor import CONFIGS, alone, batch_of, greedy, model_of

from handbook.engine.cuda import CudaExecutor, Grid, Shape, row, shape_of
from handbook.engine.executor import packable, run_plain
from handbook.engine.pages import Pages
from handbook.engine.scheduler import Scheduler
from handbook.engine.store import PageStore
from handbook.engine.work import Batch, Limits, Request, Work
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer

PACKABLE = [name for name in CONFIGS if packable(model_of(name))]


def twin(store: PageStore, config: ModelConfig, device: str = "cpu") -> PageStore:
    """Another store with the same content."""
    other = PageStore(config, 40, 4, dtype=store.keys.dtype, device=torch.device(device))
    for there, here in zip(other.blocks, store.blocks, strict=True):
        there.copy_(here)
    return other


def decodes(batch: Batch) -> Batch:
    """Those of a batch that decode, with drafts and without."""
    return Batch(tuple(work for work in batch.work if work.wanted > work.drafts and work.start))


@pytest.mark.parametrize("name", PACKABLE)
def test_the_grid_equals_plain(name: str) -> None:
    """Two lone tokens and one with three drafts on a grid of 4 x 5; nothing else is written."""
    model = model_of(name)
    batch, store = batch_of(model, random.Random(0))
    batch, other = decodes(batch), twin(store, model.config)
    assert shape_of(batch.work) == Shape(4, 5, 8)
    executor = CudaExecutor(model, other)
    plain, grid = run_plain(model, store, batch), executor.run(batch)
    assert plain.shape == grid.shape == (7, 61)
    torch.testing.assert_close(grid, plain, atol=2e-5, rtol=2e-5)  # fp32, other order of sums
    torch.testing.assert_close(other.keys, store.keys, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.values, store.values, atol=1e-5, rtol=1e-5)
    assert list(executor._steps) == [Shape(4, 5, 8)]


def test_a_cache_of_whole_numbers() -> None:
    model = model_of("llama")
    batch, filled = batch_of(model, random.Random(0))
    batch, store = decodes(batch), PageStore(model.config, 40, 4, dtype=torch.int8)
    for slot in range(160):
        for layer in range(3):
            store.write(layer, torch.tensor([slot]), filled.keys[layer][[slot]], filled.values[layer][[slot]])
    other = twin(store, model.config)
    plain, grid = run_plain(model, store, batch), CudaExecutor(model, other).run(batch)
    torch.testing.assert_close(grid, plain, atol=2e-5, rtol=2e-5)
    for ours, theirs in zip(other.blocks, store.blocks, strict=True):
        atol = 1 if theirs.dtype == torch.int8 else 1e-5  # what lies between two numbers may go either way
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_crowded_machine_says_what_each_says_alone(name: str) -> None:
    """Prompts and decodes in turns and mixed, drafts, samples, preemption: a grid is used again and again."""
    model, draw = model_of(name), random.Random(5)
    pages, size, swap = 22, 4, 6
    scheduler = Scheduler(Pages(pages, size), Limits(tokens=24, running=6, swap=swap, watermark=0.0))
    executor = CudaExecutor(model, PageStore(model.config, pages, size, swap))
    prompts, said = {}, {}
    for number in range(10):
        prompt = [draw.randrange(61) for _ in range(draw.randint(1, 20))]
        request = Request(
            id=str(number), prompt=prompt, max_tokens=draw.randint(8, 16), samples=1 + number % 2
        )
        scheduler.add(request)
        prompts[str(number)] = prompt
    while len(scheduler):
        for sequence in scheduler.running:
            if draw.random() < 0.4:
                right = alone(model, sequence.tokens, 2)
                scheduler.propose(sequence.id, [right[0], right[1] if draw.random() < 0.5 else 3])
        batch = scheduler.step()
        for event in scheduler.done(batch, greedy(batch, executor.run(batch))):
            said.setdefault((event.request, event.sample), []).extend(event.tokens)
    assert len(said) == 15
    for (request, _), tokens in said.items():
        assert tokens == alone(model, prompts[request], len(tokens))
    assert scheduler.counts.preempted
    assert scheduler.counts.accepted
    assert (len(executor._steps) > 3) == packable(model)


def test_shapes_are_few() -> None:
    def work(tokens: int, drafts: int, wanted: int, pages: int = 3) -> Work:
        return Work(0, 5, [1] * tokens, range(pages), drafts, wanted)

    assert shape_of([work(1, 0, 1)]) == Shape(1, 1, 4)
    assert shape_of([work(1, 0, 1)] * 5) == Shape(8, 1, 4)
    assert shape_of([work(1, 0, 1), work(4, 3, 4, 9)]) == Shape(2, 5, 16)
    assert shape_of([work(1, 0, 3)]) == Shape(1, 1, 4), "several samples of one prompt"
    assert shape_of([work(17, 16, 17)]) == Shape(1, 17, 4)
    for prompt in (work(7, 0, 1), work(7, 0, 0), work(1, 0, 0), work(18, 17, 18)):
        assert shape_of([work(1, 0, 1), prompt]) is None


def test_what_is_missing_is_repeated() -> None:
    """Pages of 4; tokens at positions 7 and 8, which lie at place 3 of page 5 and place 0 of page 6."""
    line = row(Work(0, 7, [10, 11], [9, 5, 6], 1, 2), 4, 3, 4)
    tokens, positions, slots, pages = line[:3], line[3:6], line[6:9], line[9:]
    assert (tokens, positions) == ([10, 11, 11], [7, 8, 8])
    assert slots == [5 * 4 + 3, 6 * 4, 6 * 4]
    assert pages == [9, 5, 6, 6]


def test_prompts_take_the_plain_path() -> None:
    model = model_of("llama")
    batch, store = batch_of(model, random.Random(0))
    executor = CudaExecutor(model, twin(store, model.config))
    torch.testing.assert_close(executor.run(batch), run_plain(model, store, batch), atol=2e-5, rtol=2e-5)
    assert not executor._steps
    assert executor.run(Batch(())).shape == (0, 61)


def test_what_cannot_be_recorded() -> None:
    model = model_of("llama")
    with pytest.raises(ValueError, match="on a CUDA device"):
        CudaExecutor(model, PageStore(model.config, 4, 4), graphs=True)
    assert "no graphs" in CudaExecutor(model, PageStore(model.config, 4, 4)).label


@pytest.mark.parametrize("name", PACKABLE)
def test_a_step_stays_on_its_device(name: str) -> None:
    """On torch's `meta` device, which knows shapes and no values: no operation of a step mixes devices or
    asks for a value, which can't be recorded. A mixture's does."""
    config, shape = CONFIGS[name], Shape(4, 5, 8)
    with torch.device("meta"):
        model = Transformer(config).eval()
    store = PageStore(config, 40, 4, device=model.device)
    executor, grid = CudaExecutor(model, store), Grid(shape, store, config)
    with torch.inference_mode():
        if config.mixture is not None:
            with pytest.raises(NotImplementedError, match="Meta"):
                executor.compute(grid)
            return
        logits = executor.compute(grid)
    assert logits.device.type == "meta"
    assert logits.shape == (20, 61)
    executor.scale, grid.positions = torch.ones(3), torch.zeros(4, 5, dtype=torch.long)
    with pytest.raises(RuntimeError, match="device"):  # the test can tell
        executor.compute(grid)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["llama", "gemma", "mixture"])
def test_on_a_gpu(name: str) -> None:
    """Recorded steps over several shapes against the decoder alone, tokens and logits."""
    config = replace(CONFIGS[name], context=128)
    model = model_of(name)
    batch, store = batch_of(model, random.Random(0))
    batch = decodes(batch)
    right = run_plain(model, twin(store, model.config), batch)
    prompts = [[5, 6, 7], [9] * 12, [3, 4]]
    answers = [alone(model, prompt, 24) for prompt in prompts]
    model.to("cuda")
    executor = CudaExecutor(model, twin(store, model.config, "cuda"))
    for _ in range(3):
        torch.testing.assert_close(executor.run(batch).cpu(), right, atol=1e-3, rtol=1e-3)
    assert executor.graphs == (config.mixture is None)
    scheduler = Scheduler(Pages(40, 4), Limits(tokens=24, running=6, watermark=0.0))
    executor = CudaExecutor(model, PageStore(config, 40, 4, device=model.device))
    for number, prompt in enumerate(prompts):
        scheduler.add(Request(id=str(number), prompt=prompt, max_tokens=24))
    said = {}
    while len(scheduler):
        batch = scheduler.step()
        for event in scheduler.done(batch, greedy(batch, executor.run(batch))):
            said.setdefault(event.request, []).extend(event.tokens)
    assert [said[str(n)] for n in range(3)] == answers
