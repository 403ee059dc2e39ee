"""The transformer chapter's hand arithmetic, recomputed with the code that it teaches, and its figures."""

import math
import re
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from handbook.book import draw, modules, svg
from handbook.book.pen import WIDTH
from handbook.model.attention import attend, attend_tiled, attention_weights, causal_mask
from handbook.model.cache import cache_bytes
from handbook.model.rope import apply_rope, rope_frequencies

FOLDER = Path(__file__).parents[2] / "book" / "architectures" / "transformer-deep-dive"
FIGURES = draw.names(FOLDER / "figures.py")


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits."""
    text = FOLDER.with_suffix(".md").read_text(encoding="utf-8").replace("{,}", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def said(*numbers: float | str) -> list[str]:
    """Those numbers that the chapter does not state."""
    return [str(n) for n in numbers if not re.search(rf"(?<![\d.]){re.escape(str(n))}(?![\d])", prose())]


def test_attention_by_hand() -> None:
    q, k, v = (
        torch.tensor(x, dtype=torch.float64).view(1, 1, 3, 2)
        for x in (((1, 0), (0, 2), (1, 1)), ((1, 0), (0, 1), (1, 1)), ((1, 0), (0, 1), (2, 2)))
    )
    mask = causal_mask(3)
    weights = attention_weights(q, k, mask)[0, 0]
    assert [round(x, 3) for x in weights[1].tolist()] == [0.196, 0.804, 0.0]
    assert [round(x, 3) for x in weights[2].tolist()] == [0.248, 0.248, 0.503]
    assert attend(q, k, v, mask)[0, 0, 2].tolist() == pytest.approx([1.255, 1.255], abs=5e-4)
    assert attend_tiled(q, k, v, mask, block=2)[0, 0, 2].tolist() == pytest.approx([1.255, 1.255], abs=5e-4)
    unmasked = attention_weights(q, k)[0, 0, 1].tolist()
    assert [round(x, 3) for x in unmasked] == [0.108, 0.446, 0.446]
    assert round(unmasked[0] + unmasked[1], 3) == 0.554
    assert said(0.196, 0.804, 0.248, 0.503, 1.255, 0.108, 0.446, 0.554) == []


def test_rope_by_hand() -> None:
    def turned(x: tuple[float, float], angle: float) -> torch.Tensor:
        table = torch.tensor([[angle]], dtype=torch.float64)
        return apply_rope(torch.tensor([x], dtype=torch.float64), table.cos(), table.sin())[0]

    products = [float(turned((1, 0), 0.5 * m) @ turned((1, 1), 0.5 * n)) for m, n in ((3, 1), (7, 5))]
    assert products == pytest.approx([math.cos(1) + math.sin(1)] * 2)
    stated = [
        *turned((1, 0), 1.5),
        *turned((1, 1), 0.5),
        *turned((1, 0), 3.5),
        *turned((1, 1), 2.5),
        products[0],
    ]
    assert said(*(f"{abs(x):.4f}" for x in stated)) == []


def test_rope_pairs_of_smollm2() -> None:
    """Turns within 8,192 tokens: which pairs complete one; which YaRN leaves alone, which it stretches."""
    turns = 8192 * rope_frequencies(64, 100_000.0) / (2 * math.pi)
    assert (int((turns >= 1).sum()), int((turns > 32).sum()), int((turns < 1).sum())) == (20, 11, 12)
    assert float(turns[-1]) * 360 < 7
    assert round(8192 / float(turns[-1]), -3) == 438_000
    assert round(100_000 * 4 ** (64 / 62), -3) == 418_000
    assert round(4 ** (32 / 62), 2) == 2.05  # pair 16 of 32 under NTK-aware scaling by 4
    assert round(0.1 * math.log(4) + 1, 3) == 1.139
    assert said(438000, 418000, 2.05, 1.139) == []


def test_cache_by_hand() -> None:
    per_token = cache_bytes(30, 3, 64, tokens=1)
    llama = cache_bytes(32, 8, 128, tokens=1)
    mla, multi, grouped = 60 * 576 * 2, cache_bytes(60, 128, 128, tokens=1), cache_bytes(60, 8, 128, tokens=1)
    assert (
        said(per_token, per_token * 8192, llama, mla, multi, grouped, cache_bytes(60, 1, 128, tokens=1)) == []
    )
    assert said(round(60e9 / llama - 0.5), cache_bytes(32, 32, 128, tokens=1)) == []
    assert (int(60e9 / llama / 8192), int(60e9 / llama / 131_072), int(60e9 / llama / 4 / 8192)) == (
        55,
        3,
        13,
    )
    assert round(multi / mla, 1) == 56.9
    assert round(100 * (1 - 576 * 60 * 6 / (2048 * 95 * 16)), 1) == 93.3
    assert round(100 * (1 - 576 * 60 / (2048 * 95)), 1) == 82.2


def test_counting_by_hand() -> None:
    C, L, H, J, D, F, V = 576, 30, 9, 3, 64, 1536, 49_152
    attention, mlp = 2 * C * H * D + 2 * C * J * D, 3 * C * F
    layer = attention + mlp + 2 * C
    total = L * layer + V * C + C
    assert said(attention, mlp, layer, L * layer, V * C, total) == []
    assert [round(100 * x / total) for x in (L * mlp, V * C, L * attention)] == [59, 21, 20]
    assert round((L * (attention + mlp) + V * C) * 2 / (4 * L * H * D), -2) == 3_900
    llama = (
        32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336) + 128_256 * 4096
    )  # weights that multiply
    span = 2 * llama / (4 * 32 * 4096)
    assert (round(span, -2), round(100 * 8192 / (8192 + span))) == (28_600, 22)
    assert round(2 * 128 * (576 + 512) / 1152) == 242
    assert (
        round(
            4 * sum(f * p for f, p in zip((0.5, 0.25, 0.125, 0.125), (0.4, 0.3, 0.15, 0.15), strict=True)), 2
        )
        == 1.25
    )
    assert [round(8 * (1 - 0.75**batch), 1) for batch in (1, 4, 16)] == [2.0, 5.5, 7.9]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_safe_and_readable(name: str) -> None:
    module = modules.load(FOLDER / "figures.py", "figures_of_the_transformer_chapter")
    text = getattr(module, name.replace("-", "_"))()
    assert svg.unsafe(text) == ()
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert width == WIDTH <= 720
    words = root.findall(f".//{svg.NAMESPACE}text")
    assert words
    for word in words:
        assert float(word.attrib["font-size"]) >= 14, word.text
        assert 0 <= float(word.attrib["x"]) <= width, word.text
        assert 0 <= float(word.attrib["y"]) <= height, word.text
    for tag in ("title", "desc"):
        found = root.find(f"{svg.NAMESPACE}{tag}")
        assert found is not None
        assert found.text
