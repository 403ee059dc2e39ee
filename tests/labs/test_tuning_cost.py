"""What the fine-tuning lab counts and times, by arithmetic done here; and broken code, which it notices."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import pytest
import torch
from torch import nn

from handbook.engine.work import Batch
from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2, published
from handbook.lab.tuning import adapters, fourbits, looks, memory, packed, sides, steps, updates
from handbook.lab.tuning.looks import Asked
from handbook.lab.tuning.sides import Side, row
from handbook.model.transformer import Transformer
from handbook.quantize import layers
from handbook.quantize.layers import NF4Linear
from handbook.train import adam8, qlora
from handbook.train.adam8 import AdamW8
from handbook.train.forward import hidden
from handbook.train.loop import begin
from handbook.train.lora import LoRAConfig, add_lora, lora_layers
from handbook.train.packing import pack

TINY = replace(memory.DEEP, layers=3, context=128)
LLAMA = published("llama-3.1-8b")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """What is measured once per process must not outlive code that a test broke."""
    kept = (memory.trained_bytes, packed.examples, steps.steps, updates.update, updates.loss_of_rank)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def test_the_share_of_a_lora_by_hand() -> None:
    block = (576 + 576) * 2 + (576 + 192) * 2 + (576 + 1536) * 3
    assert memory.adapter_parameters(SMOLLM2, 16) == 30 * 16 * block
    assert memory.lora_share() == pytest.approx(30 * 16 * block / 134_515_008)
    assert memory.adapter_parameters(LLAMA, 16) == 41_943_040


@pytest.mark.parametrize("targets", looks.MODULES.values(), ids=list(looks.MODULES))
def test_adapters_are_counted_as_they_are_made(targets: memory.Targets) -> None:
    model = Transformer(TINY)
    add_lora(model, LoRAConfig(r=4, targets=targets))
    trains = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert memory.adapter_parameters(TINY, 4, targets) == trains


def test_sixteen_bytes_and_a_state_that_has_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.full_bytes_per_parameter() == pytest.approx(16, abs=0.01)
    monkeypatch.setattr("handbook.train.optimizers.torch.optim.AdamW", lambda groups, lr, **_: eight(groups))
    assert memory.full_bytes_per_parameter() < 12


def eight(groups: list[dict[str, object]]) -> AdamW8:
    return AdamW8(groups)


def test_logits_by_hand() -> None:
    assert memory.logits_megabytes() == pytest.approx(2048 * 49152 * 4 / 1e6)


def test_the_largest_tensor_by_hand() -> None:
    x = torch.ones(10, 10, requires_grad=True)

    def work() -> None:
        wide = x[:, :, None] * torch.ones(7)
        wide.relu_().sum().backward()  # type: ignore[no-untyped-call]

    assert memory.largest_bytes(work) == 4 * 10 * 10 * 7
    assert memory.largest_bytes(lambda: x.view(100)) == 0


def test_chunks_that_hold_everything_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.chunked_logits_peak() == 256 / 2048
    monkeypatch.setattr(memory, "token_logprobs", memory.token_logprobs_plain)
    assert memory.chunked_logits_peak() == 1


def test_checkpointing_that_keeps_everything_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.08 < memory.checkpointing_memory() < 0.3  # twelve inputs and one block, of twelve blocks
    monkeypatch.setattr(memory, "hidden", lambda model, packed, _: hidden(model, packed, checkpointing=False))
    assert memory.checkpointing_memory() == 1


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_bytes_by_blocks_are_those_of_the_whole(kind: str) -> None:
    config = replace(TINY, vocab_size=640, layers=5)
    model = Transformer(config)
    if kind == "lora":
        add_lora(model.to(torch.bfloat16), sides.LORA)
    else:
        qlora.add_qlora(model, sides.LORA)
    state = begin(model, sides.CONFIG)
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    state.optimizer.step()
    assert memory.trained_bytes(config, kind) == qlora.held(model, state.optimizer).weights_and_optimizer


def test_a_base_that_stays_in_16_bits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.5 < memory.qlora_memory() < 0.54
    memory.trained_bytes.cache_clear()
    monkeypatch.setattr(qlora, "quantize_model", lambda model, double: [])
    assert memory.qlora_memory() == 1


def test_8_bit_moments_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = 576 * (576 * 2 + 192 * 2 + 1536 * 3)
    fewer = 2 * matrices * (1 + 4 / 256) + 2 * 4 * 2 * 576  # the norms' moments stay in fp32
    full = 8 * (matrices + 2 * 576) + 4 * 9  # and a count of steps each
    assert memory.adam8_memory() == pytest.approx(fewer / full)
    monkeypatch.setattr(adam8, "SMALL", 1 << 30)
    assert memory.adam8_memory() > 0.99


def test_bits_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fourbits.nf4_bits() == pytest.approx(looks.NF4_BITS, abs=2e-4)
    right = fourbits.quantize_nf4
    monkeypatch.setattr(fourbits, "quantize_nf4", lambda weight: right(weight, double=False))
    assert fourbits.nf4_bits() == pytest.approx(4.5, abs=1e-3)


def test_a_block_by_hand() -> None:
    rows = fourbits.by_hand([0.3, -0.9, 0.05, 0.6])
    assert [found["code"] for found in rows] == [11, 0, 8, 14]
    assert [round(found["comes back"], 4) for found in rows] == [0.3041, -0.9, 0.0716, 0.6507]
    assert [round(found["even steps"], 4) for found in rows] == [0.2571, -0.9, 0, 0.6429]
    assert fourbits.bytes_of([0.3, -0.9, 0.05, 0.6]) == [176, 142]
    assert fourbits.bytes_of([0.1, 0.0, -3.0]) == [7 * 16 + 7, 0 * 16 + 7]
    assert fourbits.by_hand([0.0])[0]["comes back"] == 0
    assert fourbits.by_hand([0.0, 0.0, 0.0])[2]["divided"] == 0


def test_even_steps_of_a_ragged_end() -> None:
    weight = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    found = fourbits.even_steps(weight, 64)
    for start in (0, 64, 128):
        piece, got = (x.flatten()[start : start + 64] for x in (weight, found))
        step = piece.abs().max() / 7
        assert torch.allclose(got, (piece / step).round() * step)


def test_outer_values_are_seldom_taken() -> None:
    shares = fourbits.usage(64)
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == pytest.approx(0.018, abs=0.002)
    assert max(shares) == pytest.approx(0.09, abs=0.005)


def test_an_error_that_is_no_smaller_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    block = nn.Sequential(nn.Linear(128, 64, bias=False), nn.ReLU())
    block[0].weight.data = torch.randn(64, 128, generator=draw)
    assert 0.7 < fourbits._block_error(block) < 0.9
    monkeypatch.setattr(fourbits, "dequantize", lambda _: fourbits.even_steps(block[0].weight.detach()))
    assert fourbits._block_error(block) == 1


def test_padding_by_hand() -> None:
    lengths = [4, 4, 8, 2, 6]
    (first, second) = packed.batches(lengths, 2, seed=3)
    rows = [[lengths[i] for i in batch] for batch in (first, second)]
    places = sum(2 * max(found) for found in rows)
    assert packed.padding(lengths, 2, seed=3) == pytest.approx(1 - sum(map(sum, rows)) / places)
    assert packed.padding([7] * 9, 3, seed=0) == 0
    assert packed.unfilled([5, 3, 4, 2, 2], 8, seed=0) == 0
    assert packed.unfilled([5, 5], 8, seed=0) == 1 - 10 / 16


def test_the_padded_batch_learns_the_same() -> None:
    documents = packed.drawn_examples(5)
    found = []
    for made in (pack(documents), packed.padded_row(documents)):
        model = sides.random_model()
        found.append(packed.loss_of(model, made))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    padded = packed.padded_row(documents)
    assert set(padded.lengths) == {max(map(len, documents))}
    assert padded.weight == pack(documents).weight


def test_packed_rows_are_faster_and_sides_that_are_swapped_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert median(packed.packing_speed()) > 1.15
    right = sides.in_turns
    monkeypatch.setattr(
        packed,
        "in_turns",
        lambda named, rounds, warm: right(
            dict(zip(named, [*named.values()][::-1], strict=True)), rounds, warm
        ),
    )
    assert median(packed.packing_speed()) < 0.95


def test_a_leak_changes_the_loss_and_a_lost_one_does_not() -> None:
    made = pack(packed.drawn_examples(3))
    model = sides.random_model()
    right, leaky = packed.loss_of(model, made), packed.loss_of(model, packed.leaking(made))
    assert abs(right - leaky) > 1e-5
    assert packed.leaking(made, again=False).positions.tolist() == list(range(len(made.tokens)))
    first = pack(packed.drawn_examples(3)[:1])  # of one document there is nothing to see
    assert packed.loss_of(model, first) == packed.loss_of(model, packed.leaking(first))


def test_turns_alternate_and_the_first_does_not_count() -> None:
    order: list[str] = []
    taken = sides.in_turns({name: lambda name=name: order.append(name) for name in "ab"}, 2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(found) for name, found in taken.items()} == {"a": 2, "b": 2}
    assert sides.ratios({"a": [6.0, 8.0], "b": [2.0, 4.0]}, "a", "b") == [3.0, 2.0]


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
def test_a_side_trains_what_it_says_and_not_the_model(kind: str) -> None:
    model = sides.random_model(TINY)
    before = {name: p.clone() for name, p in model.named_parameters()}
    side = Side(model, kind)
    trains = sum(p.numel() for p in side.model.parameters() if p.requires_grad)
    whole = sum(p.numel() for p in model.parameters())
    assert trains == (whole if kind == "full" else memory.adapter_parameters(TINY, 16))
    quantized = sum(isinstance(module, NF4Linear) for module in side.model.modules())
    assert quantized == (len(lora_layers(side.model)) if kind == "qlora" else 0)
    packed_row = row(TINY.vocab_size, [20, 30])
    first = side.step(packed_row)
    assert side.step(packed_row, checkpointing=True) < first
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert not any(p.requires_grad for p in model.parameters())


def test_steps_are_measured_once_and_divided_the_right_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"lora": [2.0], "full": [3.0], "full again": [4.0], "qlora": [5.0]}
    calls = []
    monkeypatch.setattr(steps, "in_turns", lambda named, rounds, warm: calls.append(list(named)) or taken)
    monkeypatch.setattr(steps, "subject", lambda small: sides.random_model(TINY))
    found = steps.lora_step_speed(), steps.checkpointing_cost(), steps.qlora_step()
    assert found == ([2 / 3], [4 / 3], [2.5])
    assert calls == [list(taken)]


def test_what_sides_step_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name's call is a step of that kind, with checkpointing where it says so."""
    seen = []
    monkeypatch.setattr(steps, "subject", lambda small: sides.random_model(TINY))
    monkeypatch.setattr(
        Side, "step", lambda self, row, checkpointing=False: seen.append((self.kind, checkpointing))
    )
    monkeypatch.setattr(steps, "in_turns", lambda named, rounds, warm: [call() for call in named.values()])
    steps.steps(small=True)
    assert seen[:3] == [("lora", False), ("full", False), ("qlora", False)]  # before the clock runs
    assert seen[3:] == [("lora", False), ("full", False), ("full", True), ("qlora", False)]


def test_counted_targets_of_a_drawn_row() -> None:
    found = row(50, [10, 20], counted=0.5)
    assert found.weight == 5 + 10
    assert found.lengths == (10, 20)


def test_adapters_of_a_batch_change_only_their_rows() -> None:
    bench = adapters.Mixed(small=True, most=2)
    keys = bench.store.keys.clone(), bench.store.values.clone()
    with kit.quiet():
        without = bench.step(0)()
        bench.store.keys.copy_(keys[0])
        bench.store.values.copy_(keys[1])
        works = tuple(bench.work(n, adapters.CONTEXT, 1) for n in range(4))
        mixed = bench.run(Batch((*works[:2], works[2]._replace(adapter=2), works[3])))
    assert torch.allclose(without[[0, 1, 3]], mixed[[0, 1, 3]], atol=1e-4)
    assert not torch.allclose(without[2], mixed[2], atol=1e-4)


def test_the_batches_that_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = adapters.Mixed(small=True, most=1)
    seen: list[list[int]] = []
    bench.run = lambda batch: seen.append([work.adapter for work in batch.work])
    monkeypatch.setattr(adapters, "Mixed", lambda small, most: bench)
    monkeypatch.setattr(kit, "paired", lambda slow, fast, pairs: [slow(), fast()])
    adapters.adapters_batch_cost()
    assert seen == [[1, 2, 3, 4, 1, 2, 3, 4], [0] * 8]


def test_adapters_in_bytes() -> None:
    base, more = adapters.step_bytes(LLAMA, 8, 128, 4, 16)
    assert more == 4 * 2 * 41_943_040  # 84 MB each
    assert adapters.step_bytes(LLAMA, 2, 128, 4, 16)[1] == more / 2  # two texts have two of them
    assert 16.0e9 < base < 16.3e9


@pytest.mark.parametrize(("method", "gigabytes"), [("full", 128.5), ("lora", 16.7), ("qlora", 6.4)])
def test_llama_line_by_line(method: str, gigabytes: float) -> None:
    """As the chapter calculates it: what is held from step to step."""
    lines = looks.memory(LLAMA, Asked(method=method))
    held = sum(lines[name] for name in ("base", "adapter", "gradients", "moments"))
    assert held / 1e9 == pytest.approx(gigabytes, abs=0.06)


def test_activations_and_logits_by_hand() -> None:
    kept = looks.memory(LLAMA, Asked(again=False, chunked=False, tokens=2048))
    again = looks.memory(LLAMA, Asked(tokens=2048))
    assert kept["activations"] == 34 * 4096 * 2048 * 32
    assert again["activations"] == 2 * 4096 * 2048 * 32 + 34 * 4096 * 2048
    assert kept["logits"] == 8 * again["logits"] == 2 * 4 * 2048 * 128_256
    small = looks.memory(LLAMA, Asked(optimizer="adamw8bit", targets="attention"))
    assert small["moments"] / small["gradients"] == pytest.approx(2.03 / 4)


def test_drawn_lengths_and_what_they_waste() -> None:
    drawn = looks.lengths(160, 0.7)
    assert sorted(drawn)[256] == pytest.approx(160, rel=0.1)
    found = looks.waste(drawn, 8)
    assert found.packed < found.sorted < found.padded
    assert looks.waste(looks.lengths(128, 0.0), 8).padded == 0


def test_the_mask_that_is_shown() -> None:
    assert looks.mask_rows([2, 1], masked=True) == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert looks.mask_rows([2, 1], masked=False)[2] == [0.3, 0.3, 1]


def test_an_update_and_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "FIRST", 40)
    monkeypatch.setattr(updates, "THEN", 20)
    found = updates.update()
    assert found.after < found.before
    assert updates.loss_of_rank(0) == pytest.approx(found.before, rel=1e-5)
    assert updates.loss_of_rank(64) == pytest.approx(found.after, rel=1e-4)
    assert updates.loss_of_rank(4) < found.before
    shares = [found.kept(r) for r in (0, 1, 8, 64)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, pytest.approx(1))
    change = next(iter(found.changes.values()))
    part = updates.best_part(change, 2)
    assert torch.linalg.matrix_rank(part) == 2
    lost = torch.linalg.svdvals(change)[2:].square().sum()
    assert (change - part).square().sum() == pytest.approx(float(lost), rel=1e-3)


def test_held_out_letters_are_not_learnt() -> None:
    first, then, held_out = updates.parts()
    assert len(then) + len(held_out) == len(updates.PASSAGE)
    assert len(first) == 2 * len(then)


def test_rounding_blocks_is_what_quantize_model_does() -> None:
    model = Transformer(TINY)
    assert len(layers.quantize_model(model.blocks[0])) == 7
    assert not any(isinstance(module, NF4Linear) for module in model.blocks[1].modules())
