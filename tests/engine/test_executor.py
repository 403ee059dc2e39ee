"""Executors under the real scheduler: what is computed in a batch is what the decoder computes alone."""

import random
from dataclasses import replace

import psutil
import pytest
import torch

from handbook.engine.executor import TorchExecutor, packable, run_packed, run_plain
from handbook.engine.pages import Copy, Pages
from handbook.engine.scheduler import Scheduler
from handbook.engine.store import PageStore, page_bytes, zeros
from handbook.engine.work import Batch, Limits, Move, Request, Work, rows_wanted
from handbook.model.config import Latent, Mixture, ModelConfig
from handbook.model.extension import RopeScaling
from handbook.model.transformer import Transformer

LLAMA = ModelConfig(
    vocab_size=61, dim=32, layers=3, heads=4, kv_heads=2, head_dim=8, hidden_dim=48, context=128
)
CONFIGS = {
    "llama": LLAMA,
    "windows": replace(LLAMA, windows=(0, 5, 9)),
    "gemma": replace(
        LLAMA, layout="sandwich", norm="rms+1", attention_softcap=5.0, windows=(4, 0, 4), scale_embedding=True
    ),
    "phi": replace(LLAMA, layout="parallel", norm="layer", network="gelu", rotary_dim=4, head_bias=True),
    "mixture": replace(LLAMA, mixture=Mixture(experts=4, k=2, hidden_dim=16)),
    "yarn": replace(LLAMA, rope_scaling=RopeScaling("yarn", 4.0, 32)),
    "dynamic": replace(LLAMA, rope_scaling=RopeScaling("dynamic", 2.0, 64)),
    "latent": replace(
        LLAMA, kv_heads=4, head_dim=12, rotary_dim=4, latent=Latent(rank=16, rope_dim=4, value_dim=8)
    ),
}


def model_of(name: str) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(CONFIGS[name]).eval()
    for weight in model.parameters():
        weight.data.mul_(2.0)  # scores that differ, so that attention matters
    return model


@torch.inference_mode()
def alone(model: Transformer, prompt: list[int], count: int) -> list[int]:
    """Greedy, one token at a time through a cache of its own."""
    cache = model.new_cache(len(prompt) + count)
    logits = model(torch.tensor([prompt]), cache)
    said: list[int] = []
    while True:
        said.append(int(logits[0, -1].argmax()))
        if len(said) == count:
            return said
        logits = model(torch.tensor([said[-1:]]), cache)


def greedy(batch: Batch, logits: torch.Tensor) -> dict[int, list[int]]:
    sampled, at = {}, 0
    for work in batch.work:
        count = rows_wanted(work)
        best = logits[at : at + count].argmax(dim=-1).tolist()
        at += count
        if work.drafts:
            guesses = list(work.tokens[-work.drafts :])
            right = next((n for n, g in enumerate(guesses) if g != best[n]), work.drafts)
            sampled[work.sequence] = best[: right + 1]
        elif work.wanted:
            sampled[work.sequence] = best * work.wanted
    assert at == len(logits)
    return sampled


@torch.inference_mode()
def alone_in_pages(model: Transformer, prompt: list[int], count: int, dtype: torch.dtype) -> list[int]:
    """As `alone`, over pages of its own."""
    executor = TorchExecutor(model, PageStore(model.config, 32, 4, dtype=dtype), packed=False)
    start, part, said = 0, list(prompt), list[int]()
    while len(said) < count:
        logits = executor.run(Batch((Work(0, start, part, range(32), 0, 1),)))
        start, part = start + len(part), [int(logits[0].argmax())]
        said += part
    return said


@pytest.mark.parametrize(("name", "packed"), [("llama", False), ("llama", True), ("latent", False)])
def test_a_crowded_machine_with_whole_numbers_in_its_cache(name: str, packed: bool) -> None:
    """Scales move, and are copied, with what they scale."""
    model = model_of(name)
    draw = random.Random(5)
    scheduler = Scheduler(Pages(22, 4), Limits(tokens=24, running=6, swap=6, watermark=0.0))
    executor = TorchExecutor(model, PageStore(model.config, 22, 4, 6, torch.int8), packed)
    prompts, said = {}, {}
    for number in range(12):
        prompt = [7, 8, 9, 10, 11, 12, 13, 14, 15][: draw.randint(0, 9)]
        prompt += [draw.randrange(61) for _ in range(draw.randint(1, 20))]
        samples = 2 if number % 5 == 4 else 1
        scheduler.add(Request(id=str(number), prompt=prompt, max_tokens=draw.randint(1, 16), samples=samples))
        prompts[str(number)] = prompt
    while len(scheduler):
        batch = scheduler.step()
        for event in scheduler.done(batch, greedy(batch, executor.run(batch))):
            said.setdefault((event.request, event.sample), []).extend(event.tokens)
    for (request, _), tokens in said.items():
        assert tokens == alone_in_pages(model, prompts[request], len(tokens), torch.int8)
    assert scheduler.counts.preempted
    assert scheduler.counts.swapped


def test_copied_pages_bring_their_scales() -> None:
    store = PageStore(LLAMA, 4, 4, dtype=torch.int8)
    k, v = torch.randn(4, 2, 8), torch.randn(4, 2, 8)
    store.write(1, torch.arange(4, 8), k, v)
    store.prepare(Batch((), copies=(Copy(1, 3),)))
    for found, right in zip(store.read(1, torch.arange(12, 16), torch.float32), (k, v), strict=True):
        torch.testing.assert_close(found, right, atol=float(right.abs().max()) / 250, rtol=0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_crowded_machine_says_what_each_says_alone(name: str, packed: bool) -> None:
    """Few pages: sequences are preempted, moved and computed anew; drafts, samples, shared beginnings."""
    model = model_of(name)
    if packed and not packable(model):
        with pytest.raises(ValueError, match="cannot be packed"):
            TorchExecutor(model, PageStore(model.config, 2, 4), packed=True)
        return
    draw = random.Random(5)
    pages, size, swap = 22, 4, 6
    scheduler = Scheduler(Pages(pages, size), Limits(tokens=24, running=6, swap=swap, watermark=0.0))
    executor = TorchExecutor(model, PageStore(model.config, pages, size, swap), packed)
    prompts, said = {}, {}
    for number in range(12):
        prompt = [7, 8, 9, 10, 11, 12, 13, 14, 15][: draw.randint(0, 9)]
        prompt += [draw.randrange(61) for _ in range(draw.randint(1, 20))]
        samples = 2 if number % 5 == 4 else 1
        scheduler.add(Request(id=str(number), prompt=prompt, max_tokens=draw.randint(1, 16), samples=samples))
        prompts[str(number)] = prompt
    while len(scheduler):
        for sequence in scheduler.running:
            if draw.random() < 0.4:
                right = alone(model, sequence.tokens, 2)
                scheduler.propose(sequence.id, [right[0], right[1] if draw.random() < 0.5 else 3])
        batch = scheduler.step()
        for event in scheduler.done(batch, greedy(batch, executor.run(batch))):
            said.setdefault((event.request, event.sample), []).extend(event.tokens)
    assert len(said) == 14
    for (request, _), tokens in said.items():
        assert tokens == alone(model, prompts[request], len(tokens))
    counts = scheduler.counts
    assert counts.preempted
    assert counts.swapped
    assert counts.reused
    assert counts.accepted


def batch_of(model: Transformer, draw: random.Random) -> tuple[Batch, PageStore]:
    """A prompt, a later piece of another, two decodes, one with drafts; the pasts are random numbers."""
    store = PageStore(model.config, 40, 4)
    for block in (store.keys, store.values):
        block.copy_(torch.randn(block.shape, generator=torch.Generator().manual_seed(3)))
    pages = list(range(40))
    draw.shuffle(pages)
    works = []
    for number, (start, count, drafts, wanted) in enumerate(
        ((0, 9, 0, 1), (5, 7, 0, 0), (11, 1, 0, 1), (3, 1, 0, 1), (6, 4, 3, 4), (19, 1, 0, 1))
    ):
        own = [pages.pop() for _ in range(-(-(start + count) // 4))]
        tokens = [draw.randrange(61) for _ in range(count)]
        works.append(Work(number, start, tokens, own, drafts, wanted))
    return Batch(tuple(works)), store


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in ("dynamic", "latent")])
def test_packed_equals_plain(name: str) -> None:
    model = model_of(name)
    batch, store = batch_of(model, random.Random(0))
    other = PageStore(model.config, 40, 4)
    other.keys.copy_(store.keys)
    other.values.copy_(store.values)
    plain, packed = run_plain(model, store, batch), run_packed(model, other, batch)
    assert plain.shape == packed.shape == (8, 61)
    torch.testing.assert_close(packed, plain, atol=2e-5, rtol=2e-5)  # fp32, other order of sums
    torch.testing.assert_close(other.keys, store.keys, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(plain[0], plain[2], atol=1e-2)


def test_a_batch_without_work() -> None:
    model = model_of("llama")
    store = PageStore(model.config, 4, 4, swap=4)
    store.keys[:, 4:8] = 1.0
    batch = Batch((), out=(Move((1,), (3,)),))
    for run in (run_plain, run_packed):
        assert run(model, store, batch).shape == (0, 61)
    assert store.away is not None
    assert bool((store.away[0][:, 12:16] == 1).all())


def test_bytes_of_a_page() -> None:
    for config in CONFIGS.values():
        for dtype in (torch.float32, torch.bfloat16, torch.int8):
            store = PageStore(config, 6, 4, dtype=dtype)
            assert store.nbytes == 6 * page_bytes(config, 4, dtype.itemsize)


def test_pages_take_memory_when_they_are_used() -> None:
    """Zeros on the system's own pages, each row of a cache on an address that vectors can be read from."""
    before = psutil.Process().memory_info().rss
    block = zeros((4, 1 << 20, 8), torch.bfloat16, None)
    assert psutil.Process().memory_info().rss - before < block.nbytes // 4
    assert block.data_ptr() % 64 == 0
    assert not bool(block[2, 5:900].any())
