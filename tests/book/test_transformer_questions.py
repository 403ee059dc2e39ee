"""The arithmetic in the transformer chapter's questions, done again, and the shape of the set.

Each case computes figures from the dimensions named in a prompt and looks for them in the model answer.
"""

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from handbook.book.load import open_book

BOOK = open_book()
QUESTIONS = {q.id: q for q in BOOK.questions.values() if q.chapter.endswith("transformer-deep-dive")}

SOFTMAX_2 = 1 / (1 + math.exp(-2))
LLAMA_LAYER = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336
LLAMA = 32 * (LLAMA_LAYER + 2 * 4096) + 2 * 128256 * 4096 + 4096
KV_8B, KV_70B = 2 * 32 * 8 * 128 * 2, 2 * 80 * 8 * 128 * 2
EXPERT, SHARED = 3 * 4096 * 14336, 2 * 4096 * 4096 + 2 * 4096 * 1024 + 4096 * 8 + 2 * 4096
LONG = 131_072
PHONE = 24 * (2 * 2048**2 + 2 * 2048 * 512 + 3 * 2048 * 5632) + 65536 * 2048
MERGED = (math.e * 1 + math.e**3 * 2 + math.e**5 * 4) / (math.e + math.e**3 + math.e**5)


def slowest(theta: float) -> float:
    return 2 * math.pi * theta ** (126 / 128)


def touched(batch: int) -> float:
    return (3.2 + (1 - 0.75**batch) * 90.2) / 6.7


CASES: list[tuple[str, Sequence[str]]] = [
    ("why-divide-by-sqrt-d", [f"{math.sqrt(128):.1f}", f"{1 / (1 + math.exp(-8)):.4f}"]),
    (
        "attention-with-four-numbers",
        [f"{SOFTMAX_2:.4f}", f"{10 * SOFTMAX_2:.2f}", f"{1 / (1 + math.exp(-4)):.4f}"],
    ),
    ("more-heads-same-width", [f"{4 * 1024**2:,}"]),
    ("rope-by-hand", [f"{2 * math.sin(math.radians(120)):.3f}", "the product is still 1"]),
    ("rope-base-and-wavelength", [f"{round(slowest(1e4), -2):,.0f}", f"{slowest(5e5) / 1e6:.2f} million"]),
    ("rope-base-and-wavelength", [f"{LONG / slowest(1e4):.1f} turns", "50 of the 64", "only 35"]),
    ("ntk-aware-base", [f"{4 ** (128 / 126):.3f}", f"{round(1e4 * 4 ** (128 / 126), -1):,.0f}"]),
    ("yarn-hurts-short-prompts", [f"{(0.1 * math.log(16) + 1) ** 2:.2f}"]),
    ("extend-8k-to-32k", [f"{32767 / 4:,.2f}", f"{(0.1 * math.log(4) + 1) ** 2:.2f}", f"{KV_8B:,}"]),
    (
        "cache-bytes-small-model",
        [f"{2 * 30 * 3 * 64 * 2:,}", f"{2 * 30 * 3 * 64 * 2 * 2048:,}", f"{2 * 30 * 9 * 64 * 2:,}"],
    ),
    (
        "requests-per-gpu",
        [f"{KV_8B:,}", f"{2 * LLAMA / 1e9:.2f} GB", f"{(72e9 - 2 * LLAMA) / (8192 * KV_8B):.0f} requests"],
    ),
    ("requests-per-gpu", [f"{(72e9 - 2 * LLAMA) / (2000 * KV_8B):.0f}", "104", "13"]),
    (
        "returning-users-cache",
        [f"{KV_70B:,}", f"{KV_70B * LONG / 1e9:.1f} GB", f"{2 * LONG**2 * 8192 * 80:.2e}".replace("+", "")],
    ),
    (
        "latent-cache-size",
        [f"{576 * 61 * 2:,}", f"{576 * 61 * 2 * LONG / 2**30:.2f} GiB", f"{2048 * 61 * 2:,}"],
    ),
    (
        "latent-cache-size",
        [f"{2048 / 576:.2f}", f"{32768 / 576:.1f}", f"{2048 * 61 * 2 * LONG / 2**30:.1f} GiB"],
    ),
    ("swiglu-hidden-width", [f"{8 * 4096 / 3:,.1f}", f"{math.ceil(8 * 4096 / 3 / 256) * 256:,}"]),
    (
        "count-parameters",
        [
            f"{LLAMA:,}",
            f"{LLAMA_LAYER + 2 * 4096:,}",
            f"{32 * 3 * 4096 * 14336 / LLAMA:.0%}".replace("%", " per cent"),
        ],
    ),
    (
        "shape-a-phone-model",
        [
            f"{PHONE / 1e9:.3f} billion",
            f"{2 * 24 * 4 * 128 * 2:,}",
            f"{PHONE * 4.5 / 8e9 + 8192 * 49152 / 1e9:.2f} GB",
        ],
    ),
    ("shape-a-phone-model", [f"{50e9 / (PHONE * 4.5 / 8 + 8192 * 49152):.0f} tokens per second"]),
    (
        "when-attention-equals-weights",
        [f"{2 * LLAMA_LAYER / (4 * 4096):,.0f}", f"{100 / (1 + 26624 / 2048):.1f} per cent"],
    ),
    (
        "when-attention-equals-weights",
        [f"{100 / (1 + 26624 / 1024):.1f} per cent", f"{LONG / 26624:.1f} times"],
    ),
    (
        "decode-speed-bound",
        [f"{3.35e12 / (2 * LLAMA):.0f}", f"{32 * 4096 * KV_8B / 1e9:.1f} GB", "3,225", "223"],
    ),
    (
        "out-of-memory-in-the-optimizer",
        [f"{16 * 6.74:.1f}"[:3], f"{12 * 6.74:.1f} GB", f"{10 * 6.74:.0f} GB"],
    ),
    ("merge-two-softmax-blocks", [f"{MERGED:.4f}", f"{1 + math.exp(-2):.4f}"]),
    (
        "score-matrix-traffic",
        [f"{32 * 8192**2 * 2 / 1e9:.2f} GB", f"{4 * 8192**2 * 128 * 32:.2e}".replace("+", "")],
    ),
    ("kernel-for-the-wrong-phase", [f"{1000 * KV_8B / 1e9:.2f} GB"]),
    (
        "mixtral-two-counts",
        [f"{EXPERT:,}", f"{(32 * (8 * EXPERT + SHARED) + 2 * 32000 * 4096) / 1e9:.2f} billion"],
    ),
    ("mixtral-two-counts", [f"{(32 * (2 * EXPERT + SHARED) + 2 * 32000 * 4096) / 1e9:.2f} billion"]),
    ("tokens-over-capacity", [f"{1.25 * 4096 * 2 / 8:,.0f}", "220", f"{220 / 8192 * 100:.1f} per cent"]),
    ("mixture-at-medium-batch", [f"{touched(n):.1f} ms" for n in (4, 16)]),
    (
        "attention-for-a-new-model",
        [f"{60 * 4096 * LONG / 1e9:.1f} GB", f"{60 * 576 * 2 * LONG / 1e9:.1f} GB"],
    ),
    (
        "attention-for-a-new-model",
        [f"{516e9 // (60 * 4096 * LONG):.0f} requests", f"{516e9 // (60 * 576 * 2 * LONG):.0f} with"],
    ),
    ("attention-for-a-new-model", [f"{516e9 // (10 * 4096 * LONG + 50 * 4096 * 4096):.0f} with the hybrid"]),
    ("long-context-or-retrieval", ["62 times", f"{1e5 * KV_8B / 1e9:.1f} GB"]),
]


@pytest.mark.parametrize(("id", "figures"), CASES, ids=[f"{id}-{n}" for n, (id, _) in enumerate(CASES)])
def test_figures_stand_in_the_answer(id: str, figures: Sequence[str]) -> None:
    answer = " ".join(QUESTIONS[id].answer.split())
    missing = [figure for figure in figures if figure not in answer]
    assert not missing, f"{id}: computed {figures}, not found {missing}"


def test_set_covers_levels_kinds_and_sections() -> None:
    chapter = BOOK.chapters["transformer-deep-dive"]
    assert len(QUESTIONS) >= 34
    assert min(Counter(q.level for q in QUESTIONS.values()).values()) >= 8
    assert set(Counter(q.kind for q in QUESTIONS.values())) == {
        "explain", "derive", "debug", "design", "estimate", "judge-tradeoff",
    }  # fmt: skip
    section_of = {p.anchor: p.section for p in chapter.paragraphs}
    covered = {section_of[q.anchor] for q in QUESTIONS.values()}
    asked = {p.section for p in chapter.paragraphs if p.section} - {"follow-ups", "positions", "mha-to-mla"}
    assert asked <= covered, f"no question on {sorted(asked - covered)}"


@pytest.mark.parametrize("id", sorted(QUESTIONS))
def test_each_question_can_be_graded(id: str) -> None:
    question = QUESTIONS[id]
    words = len(question.answer.split())
    assert 80 <= words <= 200, f"{id}: expected an answer of 80 to 200 words, got {words}"
    must = [c.id for c in question.criteria if c.must]
    assert 1 <= len(must) < len(question.criteria), (
        f"{id}: expected some criteria to be musts and not all, got {must}"
    )
