"""The fine-tuning chapter's arithmetic by hand, recomputed, with the code that it teaches where it can."""

import math
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

from handbook.engine.work import Request
from handbook.model.adapters import Factors
from handbook.quantize.nf4 import NF4, dequantize, quantize_nf4
from handbook.train.cleaning import band_rows
from handbook.train.examples import Example
from handbook.train.logprobs import token_logprobs
from handbook.train.lora import LoRALinear
from handbook.train.lora_config import LoRAConfig, pissa
from handbook.train.packing import IGNORE, bins, document_mask, pack
from handbook.train.schedules import rate
from handbook.train.sft import sft_loss

FOLDER = Path(__file__).parents[2] / "book" / "model-training" / "fine-tuning-strategies"
SHAPES = [(4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (14336, 4096), (14336, 4096), (4096, 14336)]
LINEAR = 32 * sum(o * i for o, i in SHAPES)  # Llama 3 8B, the linear layers of its blocks
OTHER = 2 * 128256 * 4096 + 65 * 4096  # embedding, head, norms
TRAINED = 32 * sum(16 * (o + i) for o, i in SHAPES)  # of a LoRA of rank 16


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits."""
    text = FOLDER.with_suffix(".md").read_text(encoding="utf-8").replace("{,}", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def unsaid(*wanted: str) -> list[str]:
    """Those pieces that the chapter does not have."""
    return [w for w in wanted if w not in prose()]


def test_packed_row() -> None:
    documents = [((11, 12, 13), (0, 1, 1)), ((21, 22), (0, 1)), ((31, 32, 33, 34), (0, 1, 1, 1))]
    row = pack([Example(tokens, tuple(map(bool, counted))) for tokens, counted in documents])
    cells = {
        "token": row.tokens.tolist(),
        "position": row.positions.tolist(),
        "target": ["–" if t == IGNORE else t for t in row.targets.tolist()],  # noqa: RUF001
        "sees from place": document_mask(row.bounds).int().argmax(dim=1).tolist(),
    }
    assert unsaid(*(f"| {name} | {' | '.join(map(str, row))} |" for name, row in cells.items())) == []
    assert (row.weight, int(document_mask(row.bounds).sum()), 9 * 10 // 2) == (6, 19, 45)
    rows = [sorted(row) for row in bins([5, 3, 4, 2, 2], 8, seed=0, epoch=0)]
    assert sorted(rows) == [[0, 1], [2, 3, 4]]


def test_two_tokens_three_words() -> None:
    weight = torch.tensor([[1.0, 0], [0, 1], [-1, -1]])
    hidden = torch.tensor([[1.0, 0], [0, 2]], requires_grad=True)
    logprobs = token_logprobs(hidden, weight, torch.tensor([0, 0]), chunk=1)
    assert logprobs.tolist() == pytest.approx([-0.4076, -2.1429], abs=5e-5)
    (-logprobs.mean()).backward()
    assert hidden.grad is not None
    assert hidden.grad.flatten().tolist() == pytest.approx([-0.2124, 0.0773, -0.4493, 0.4255], abs=5e-5)
    assert -logprobs.mean().item() == pytest.approx(1.2753, abs=5e-5)
    assert unsaid("= 1.2753$", "$(-0.2124, 0.0773)$", "$(-0.4493, 0.4255)$", "$(0.8986, -0.8509)$") == []
    assert (round(256 * 49152 * 4 / 1e6), round(2048 * 49152 * 4 / 1e6)) == (50, 403)


def test_memory_lines() -> None:
    whole = LINEAR + OTHER
    nf4 = LINEAR * (4 + 8 / 64 + 32 / (64 * 256)) / 8
    lines = {
        "full": 16 * whole,
        "lora": 2 * whole + 16 * TRAINED,
        "qlora": nf4 + 2 * OTHER + 16 * TRAINED,
        "with 8-bit moments": 10.03 * whole,
        "layers in nf4": nf4,
        "other": 2 * OTHER,
        "scales": LINEAR * (0.5 - 8 / 64 - 32 / (64 * 256)) / 8,
        "activations": 32 * 34 * 4096 * 2048,
        "inputs": 32 * 2 * 4096 * 2048,
        "logits": 4096 * 128256 * 4,
        "three of them": 3 * 4096 * 128256 * 4,
        "trained": 4 * TRAINED,
        "adapter's checkpoint": 12 * TRAINED,
        "all of the checkpoint": 12 * whole,
    }
    assert {name: float(f"{size / 1e9:.3g}") for name, size in lines.items()} == {
        "full": 128,
        "lora": 16.7,
        "qlora": 6.37,
        "with 8-bit moments": 80.5,
        "layers in nf4": 3.6,
        "other": 2.1,
        "scales": 0.325,
        "activations": 9.13,
        "inputs": 0.537,
        "logits": 2.1,
        "three of them": 6.3,
        "trained": 0.168,
        "adapter's checkpoint": 0.503,
        "all of the checkpoint": 96.4,
    }
    assert (f"{TRAINED / 1e6:.1f}", f"{100 * TRAINED / whole:.2f}") == ("41.9", "0.52")
    assert unsaid("128 GB in full, 16.7 with LoRA, 6.4 with QLoRA", "41.9 million, 0.52%", "325 MB") == []
    assert round((OTHER - 65 * 4096) / (TRAINED / 16), -1) == 400
    assert unsaid("1.05 billion numbers for Llama 3 8B, as many as an adapter of rank 400") == []
    block = 8 + 2 + 2 * (1 + 2 * 1024 / 4096) + 4 * 2 * 14336 / 4096  # norms and residual, attention, gated
    assert block == 41
    assert unsaid("keeps about $40\\,C$") == []


def test_lora_by_hand() -> None:
    base = nn.Linear(3, 2, bias=False)
    base.weight.data = torch.tensor([[2.0, 0, 1], [0, 1, 1]])
    a, b = torch.tensor([[1.0, -1, 2]]), torch.tensor([[1.0], [-0.5]])
    layer, x = LoRALinear(base, Factors(a, b, LoRAConfig(r=1, alpha=2).scale)), torch.ones(3)
    assert (base(x).tolist(), layer(x).tolist()) == ([3, 2], [7, 0])
    assert layer.weight.tolist() == [[4, -2, 5], [-1, 2, -1]]
    layer.merge()
    assert layer(x).tolist() == [7, 0]


def test_first_step_of_lora() -> None:
    base = nn.Linear(3, 2, bias=False)
    a = torch.tensor([[1.0, -1, 2]])
    layer, x = LoRALinear(base, Factors(a, torch.zeros(2, 1), 2.0)), torch.ones(3)
    (layer(x) * torch.tensor([1.0, -1])).sum().backward()
    assert layer.a.grad is not None
    assert layer.b.grad is not None
    assert (layer.b.grad.flatten().tolist(), layer.a.grad.abs().max().item()) == ([4, -4], 0)
    step = -0.1 * 2 * layer.b.grad @ a
    assert step.flatten().tolist() == pytest.approx([-0.8, 0.8, -1.6, 0.8, -0.8, 1.6])
    assert round((step.norm() / (0.1 * torch.ones(2, 3)).norm()).item()) == 11
    doubled = [
        2 * LoRAConfig(r=32, alpha=a, rslora=rs).scale for a, rs in ((32, False), (32, True), (64, False))
    ]
    once = [LoRAConfig(r=16, alpha=32, rslora=rs).scale for rs in (False, True, False)]
    moved = [more / less for more, less in zip(doubled, once, strict=True)]  # how far Adam's first step goes
    assert moved == pytest.approx([1, math.sqrt(2), 2])
    scales = [LoRAConfig(r=r, alpha=32, rslora=rs).scale for r in (16, 64, 256) for rs in (False, True)]
    assert scales == [2, 8, 0.5, 4, 0.125, 2]


def test_pissa_and_dora() -> None:
    a, b = pissa(1, torch.diag(torch.tensor([3.0, 1])), 1.0, torch.Generator())
    assert (b @ a).flatten().tolist() == pytest.approx([3, 0, 0, 0])
    assert b.abs().max().item() == pytest.approx(math.sqrt(3))
    row, change = torch.tensor([[3.0, 4]]), Factors(torch.tensor([[1.0, -1]]), torch.ones(1, 1), 1.0)
    for length, wanted in ((5.0, [4, 3]), (10.0, [8, 6])):
        dora = Factors(change.a, change.b, 1.0, torch.tensor([length]))
        assert dora.weight(row).flatten().tolist() == pytest.approx(wanted)


def test_rounding_to_bf16() -> None:
    def rounded(value: float) -> float:
        return torch.tensor(value).to(torch.bfloat16).item()

    assert (rounded(1.001), rounded(0.5015), rounded(0.502)) == (1, 0.5, 0.50390625)
    assert rounded(1 + 2**-7) == 1.0078125
    weight = rounded(0.49805)
    there = rounded(weight + 0.003)
    assert (there, round(rounded(there - 0.003), 5)) == (0.5, 0.49609)
    weights = torch.rand(100_000, generator=torch.Generator().manual_seed(0)).mul(0.02).bfloat16()
    moved = weights[(weights.float() + 1e-5).bfloat16() != weights]
    assert round(moved.max().item(), 4) == 0.0039
    assert unsaid("Steps of $10^{-5}$ move only weights below 0.0039") == []


def test_nf4_by_hand() -> None:
    weight = torch.tensor([[0.3, -0.9, 0.05, 0.6]])
    quantized = quantize_nf4(weight, block=4, double=False)
    assert quantized.packed.tolist() == [176, 142]
    back = dequantize(quantized)
    assert back.flatten().tolist() == pytest.approx([0.3041, -0.9, 0.0716, 0.6507], abs=5e-5)
    even = (weight / 0.9 * 7).round() / 7 * 0.9
    errors = [(each - weight).square().sum().item() for each in (back, even)]
    assert errors == pytest.approx([0.0031, 0.0062], abs=5e-5)
    normal = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0))
    codes = (quantize_nf4(normal, double=False).packed[:, None] >> torch.tensor([4, 0])) & 15
    share = codes.flatten().bincount(minlength=len(NF4)) / normal.numel()
    assert [round(100 * share[n].item(), 1) for n in (0, 15)] == pytest.approx([1.8, 1.8], abs=0.15)
    assert share.max().item() == pytest.approx(0.09, abs=0.005)


def test_steps_and_bands() -> None:
    steps = math.ceil(1000 * 3 / 16)
    halfway = [rate(kind, 103, steps, 19, 2e-4, 2e-5) for kind in ("cosine", "linear")]
    assert (steps, halfway) == (188, pytest.approx([1.1e-4, 1.1e-4]))
    missed = {(s, b): (1 - s**b) ** (128 / b) for s in (0.8, 0.5) for b in (8, 4)}
    assert round(missed[0.8, 8], 3) == 0.053
    assert 1 / missed[0.8, 4] == pytest.approx(2.1e7, rel=0.02)
    assert [round(1 - missed[0.5, b], 2) for b in (8, 4)] == [0.06, 0.87]
    assert band_rows(0.8) == 4


def test_pages_of_adapters() -> None:
    asked = [Request(id="x", prompt=[1], max_tokens=1, salt=b"s", adapter=n).apart for n in (0, 1, 2)]
    assert len(set(asked)) == 3


def test_out_of_memory_by_hand() -> None:
    """Batch 8 of 2,048 tokens through Llama 3 8B."""
    tokens = 8 * 2048
    sizes = [32 * 34 * 4096 * tokens, 4 * 128256 * tokens, 32 * 2 * 4096 * tokens, 34 * 4096 * tokens]
    assert [round(size / 1e9, 1) for size in sizes] == [73.0, 8.4, 4.3, 2.3]
    assert (
        unsaid("checkpointing are 73 GB and fp32 logits 8.4", "checkpointing, 4.3 GB and one block of 2.3")
        == []
    )


def test_accumulation_and_batches_of_one() -> None:
    counted, means = torch.tensor([10.0, 30]), torch.tensor([2.0, 1.0])
    assert [((counted * means).sum() / counted.sum()).item(), means.mean().item()] == [1.25, 1.5]
    weights = torch.tensor([[1.0, 0], [0, 1], [-1, -1]])
    hidden, targets = torch.tensor([[1.0, 0], [0, 2], [1, 1]]), torch.tensor([0, 0, 2])
    logprobs = token_logprobs(hidden, weights, targets)
    together = sft_loss(logprobs, targets)
    apart = torch.stack([sft_loss(logprobs[:1], targets[:1]), sft_loss(logprobs[1:], targets[1:])])
    assert together.item() != pytest.approx(apart.mean().item(), abs=0.1)
    assert together.item() == pytest.approx(((apart * torch.tensor([1.0, 2])).sum() / 3).item())


def test_three_hundred_cases() -> None:
    assert round(100 * 1.96 * math.sqrt(0.5 * 0.5 / 300)) == 6
