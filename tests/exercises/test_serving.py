"""The exercises of the serving chapter beside the engine's own code, which does more."""

import importlib.util
import random
import sys
from collections import Counter
from types import ModuleType

import pytest
import torch

from handbook.book.load import open_book
from handbook.engine.pages import OutOfPages, Pages, Table
from handbook.engine.sampler import top_p_filter
from handbook.engine.scheduler import Scheduler
from handbook.engine.work import Limits, Request

BOOK = open_book()


def solution(exercise: str) -> ModuleType:
    path = BOOK.exercises[exercise].file("solution.py")
    name = f"solution_{exercise.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_counted_as_the_engine_counts_pages(seed: int) -> None:
    """Random starts, growth, forks and ends: the same copies, the same refusals, as many free."""
    chance, module = random.Random(seed), solution("block-allocator")
    size, count = chance.choice([1, 2, 4]), chance.choice([5, 12])
    blocks, pages = module.Blocks(count, size), Pages(count, size, share=False)
    tables: list[tuple[list[int], Table]] = []
    for _ in range(300):
        kind = chance.random()
        if not tables or kind < 0.2:
            tables.append(([], Table()))
        mine, theirs = chance.choice(tables)
        if kind < 0.4:
            tables.append((blocks.fork(mine), pages.fork(theirs)))
        elif kind < 0.55:
            blocks.free(mine)
            pages.release(theirs)
            tables = [pair for pair in tables if pair[0] is not mine]
        else:
            new = chance.choice([0, 1, 1, 2, 5])
            try:
                copy = pages.reserve(theirs, theirs.length + new)
            except OutOfPages:
                with pytest.raises(module.OutOfBlocks):
                    blocks.extend(mine, theirs.length, new)
            else:
                assert (blocks.extend(mine, theirs.length, new) is None) == (copy is None)
                pages.commit(theirs, (), theirs.length + new)
        assert blocks.available == pages.available
        assert [len(a) for a, _ in tables] == [len(b.pages) for _, b in tables]
        for mine, theirs in tables:
            assert [blocks.holders(b) for b in mine] == [pages.holders(p) for p in theirs.pages]
        held = Counter(block for mine, _ in tables for block in mine)
        assert all(blocks.holders(block) == times for block, times in held.items())


@pytest.mark.parametrize("seed", range(40))
def test_step_gives_the_work_that_the_scheduler_gives(seed: int) -> None:
    """Step by step as long as nobody is preempted; of the step that preempts, who has to go.

    From there on they part: the scheduler counts a token for a victim that comes later in its order.
    """
    chance, module = random.Random(seed), solution("scheduler-step")
    size, total, budget = chance.choice([1, 4]), chance.choice([20, 60]), chance.choice([4, 16])
    spare = chance.choice([0, 2])
    limits = Limits(tokens=budget, running=budget, watermark=(spare + 0.5) / total)
    theirs = Scheduler(Pages(total, size, share=False), limits)
    mine = module.State(waiting=[], running=[], free=total, size=size, budget=budget, spare=spare)
    ends, steps = {}, 0
    while steps < 400 and (steps < 100 or len(theirs)):
        if steps < 100 and chance.random() < 0.3:
            prompt, new = chance.randint(1, 20 * size // 2), chance.randint(1, 20 * size // 2)
            number = theirs.add(Request(id=str(steps), prompt=[0] * prompt, max_tokens=new))
            mine.waiting.append(module.Sequence(number, prompt))
            ends[number] = prompt + new
        batch = theirs.step()
        work, preempted = module.step(mine)
        assert preempted == list(batch.preempted)
        if preempted:
            return
        assert dict(work) == {w.sequence: len(w.tokens) for w in batch.work}
        theirs.done(batch, {w.sequence: [0] * w.wanted for w in batch.work if w.wanted})
        for sequence in list(mine.running):
            if sequence.computed == sequence.tokens:
                sequence.tokens += 1
                if sequence.tokens == ends[sequence.id]:
                    mine.running.remove(sequence)
                    mine.free += sequence.pages
        assert mine.free == theirs.pages.available
        steps += 1
    assert not len(theirs)
    assert not mine.running
    assert not mine.waiting


@pytest.mark.parametrize("seed", range(10))
def test_prefixes_are_found_as_the_engine_finds_them(seed: int) -> None:
    chance, module = random.Random(seed), solution("prefix-hashing")
    size = chance.choice([1, 2, 3])
    cache, pages = module.PrefixCache(size), Pages(1000, size)
    for _ in range(60):
        tokens = [chance.randint(0, 1) for _ in range(chance.randint(1, 10))]
        salt = chance.choice([b"", b"red"])
        table = pages.adopt(pages.names(tokens, salt), salt)
        assert cache.match(tokens, salt) == table.pages
        pages.reserve(table, len(tokens))
        pages.commit(table, tokens, len(tokens))
        cache.insert(tokens, table.pages, salt)


def test_rows_of_a_batch_are_cut_as_the_sampler_cuts_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 50, generator=generator) * 3
    p = torch.rand(64, generator=generator)
    p[:2] = torch.tensor([1.0, 0.0])
    got = solution("batched-top-p").batched_top_p(logits, p)
    expected = torch.stack(
        [top_p_filter(row, float(q)).softmax(dim=-1) for row, q in zip(logits, p, strict=True)]
    )
    torch.testing.assert_close(got, expected)
    assert torch.equal(got > 0, expected > 0)


def test_one_pass_is_attention() -> None:
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(n, 16, generator=generator) for n in (5, 40, 40))
    expected = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    scores = (q @ k.T / 4).numpy()
    blocks = ((scores[:, i : i + 16], v[i : i + 16].numpy()) for i in range(0, 40, 16))
    got = torch.from_numpy(solution("online-softmax").attend(blocks))
    torch.testing.assert_close(got, expected)
