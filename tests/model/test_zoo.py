"""The zoo: configurations that load, numbers that agree with what is published and with plain arithmetic."""

import json
import re
import subprocess
import sys
from typing import get_args

import pytest

from handbook.model import count
from handbook.model.config import Layout, Network, Norm
from handbook.model.zoo.columns import COLUMNS, LAYOUTS, NETWORKS, NORMS, VIEWS, sort
from handbook.model.zoo.entries import FOLDER, MOST, address, entries
from handbook.model.zoo.rows import config_of, row_of, rows
from handbook.model.zoo.shown import billions, flops, memory, tokens
from handbook.model.zoo.sums import sums

B = 1e9
# Billions of weights in all and active, as printed, and where. A figure is held within half a unit of its
# last digit and 1 %: 3.3 admits 3.25 to 3.35, and 1 %.
PUBLISHED = {
    "smollm2-135m": ("0.135", "0.135", "model card"),
    "llama-2-7b": ("6.74", "6.74", "safetensors of the model card, 6.74 B"),
    "llama-3.1-8b": ("8.03", "8.03", "safetensors of the model card, 8.03 B"),
    "llama-3.1-70b": ("70.6", "70.6", "safetensors of the model card, 70.6 B"),
    "llama-3.1-405b": ("405", "405", "arXiv:2407.21783, abstract and table 3"),
    "mistral-7b": ("7.24", "7.24", "safetensors of the model card, 7.24 B; arXiv:2310.06825 says 7"),
    "mixtral-8x7b": ("46.7", "12.9", "mistral.ai/news/mixtral-of-experts; arXiv:2401.04088 says 47 and 13"),
    "mixtral-8x22b": ("141", "39", "mistral.ai/news/mixtral-8x22b"),
    "qwen2.5-7b": ("7.61", "7.61", "model card"),
    "qwen2.5-72b": ("72.7", "72.7", "model card"),
    "qwen3-8b": ("8.2", "8.2", "model card"),
    "qwen3-30b-a3b": ("30.5", "3.3", "model card; arXiv:2505.09388, table 2"),
    "qwen3-235b-a22b": ("235", "22", "model card; arXiv:2505.09388, table 2"),
    "gemma-2b": (
        "2.506",
        "2.506",
        "arXiv:2403.08295, table 2: 524,550,144 embedded and 1,981,884,416 others",
    ),
    "gemma-7b": (
        "8.538",
        "8.538",
        "arXiv:2403.08295, table 2: 786,825,216 embedded and 7,751,248,896 others",
    ),
    "gemma-2-9b": (
        "9.242",
        "9.242",
        "arXiv:2408.00118, table 2: 917,962,752 embedded and 8,324,201,984 others",
    ),
    "phi-2": ("2.78", "2.78", "safetensors of the model card, 2.78 B"),
    "phi-3-mini-4k": ("3.8", "3.8", "arXiv:2404.14219, abstract"),
    "olmoe-1b-7b": ("6.9", "1.3", "arXiv:2409.02060, table 1"),
    "qwen1.5-moe-a2.7b": ("14.3", "2.7", "qwenlm.github.io/blog/qwen-moe"),
    "deepseek-v2-lite": ("15.7", "2.4", "arXiv:2405.04434, appendix B"),
    "deepseek-v2": ("236", "21", "arXiv:2405.04434, abstract"),
    "deepseek-v3": ("671", "37", "arXiv:2412.19437, abstract"),
}
# DeepSeek's active figures leave the embedding out, which multiplies nothing (README_WEIGHTS of DeepSeek-V3:
# 36.6 B "including 0.9B for the output Head").
WITHOUT_EMBEDDING = ("deepseek-v2-lite", "deepseek-v2", "deepseek-v3")
# Counts that are known to the weight.
EXACT = {
    "smollm2-135m": 134_515_008,
    "llama-2-7b": 6_738_415_616,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
}


def tolerance(printed: str) -> float:
    digits = len(printed.partition(".")[2])
    return 0.5 * 10**-digits * B + 0.01 * float(printed) * B


def test_there_are_enough_and_each_has_its_source():
    assert len(entries()) >= 14
    assert set(PUBLISHED) == set(entries())
    for entry in entries().values():
        assert entry.sources
        assert all(re.match(r"github\.com/\S+/\S+ [0-9a-f]{7} \S+|transformers 5", s) for s in entry.sources)
        assert all(url.startswith("https://github.com/") or not url for _, url in entry.source_urls)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub)
    assert {path.stem for path in FOLDER.glob("*.json")} == set(entries()), "a file that the index leaves out"


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_as_published(name):
    total, active, _ = PUBLISHED[name]
    row = row_of(name)
    assert row.parameters == pytest.approx(float(total) * B, abs=tolerance(total))
    met = row.active_parameters - (name in WITHOUT_EMBEDDING) * row.embedding_parameters
    assert met == pytest.approx(float(active) * B, abs=tolerance(active))


@pytest.mark.parametrize("name", EXACT)
def test_sizes_to_the_weight(name):
    assert row_of(name).parameters == EXACT[name]


def test_gemmas_tables_to_the_weight():
    """Table 2 of both papers parts the embedding from the rest; their embeddings have 128 rows more than
    config.json says, which no token names."""
    for name, rest in {
        "gemma-2b": 1_981_884_416,
        "gemma-7b": 7_751_248_896,
        "gemma-2-9b": 8_324_201_984,
    }.items():
        row = row_of(name)
        assert row.parameters - row.embedding_parameters == rest, name


@pytest.mark.parametrize(
    ("name", "each", "at_32k"),
    [
        ("llama-2-7b", 2 * 32 * 32 * 128 * 2, None),
        ("llama-3.1-8b", 2 * 32 * 8 * 128 * 2, 2 * 32 * 8 * 128 * 2 * 32768),
        ("gemma-2b", 2 * 18 * 1 * 256 * 2, None),
        ("mistral-7b", 2 * 32 * 8 * 128 * 2, 2 * 32 * 8 * 128 * 2 * 4096),  # its window
        ("deepseek-v2", 60 * (512 + 64) * 2, 60 * (512 + 64) * 2 * 32768),
        ("deepseek-v3", 61 * (512 + 64) * 2, 61 * (512 + 64) * 2 * 32768),
        ("qwen3-30b-a3b", 2 * 48 * 4 * 128 * 2, 2 * 48 * 4 * 128 * 2 * 32768),
    ],
)
def test_cache_against_arithmetic(name, each, at_32k):
    row = row_of(name)
    assert (row.cache_per_token, row.cache_32k) == (each, at_32k)


def test_a_window_in_every_other_layer():
    """Gemma 2 9B at its 8,192 tokens: 21 layers keep them all, 21 keep 4,096."""
    row = row_of("gemma-2-9b")
    assert (row.window, row.windowed_layers) == (4096, 21)
    assert row.cache_full == 2 * 8 * 256 * 2 * (21 * 8192 + 21 * 4096)
    assert row.cache_beyond == row.cache_per_token // 2
    assert row_of("mistral-7b").cache_beyond == 0


def test_what_a_model_is():
    kinds = {
        name: row_of(name).attention for name in ("llama-2-7b", "llama-3.1-8b", "gemma-2b", "deepseek-v3")
    }
    assert list(kinds.values()) == ["MHA", "GQA", "MQA", "MLA"]
    assert (row_of("phi-2").rotary_dim, row_of("phi-2").head_dim) == (32, 80)
    llama = row_of("llama-3.1-8b")
    assert (llama.context_method, llama.context_factor, llama.trained_context) == ("llama3", 8.0, 8192)
    deepseek = row_of("deepseek-v3")
    assert (deepseek.experts, deepseek.active_experts, deepseek.shared_dim, deepseek.dense_layers) == (
        256,
        8,
        2048,
        3,
    )
    assert (deepseek.context_method, deepseek.context) == ("yarn", 163840)
    assert row_of("gemma-2-9b").softcaps == (50.0, 30.0)
    assert row_of("qwen2.5-7b").biases == ("qkv",)


def test_beyond_the_context_there_is_nothing():
    row = row_of("phi-2", 2049)
    assert (row.cache_at, row.cache_8k, row.prefill_flops, row.decode_flops) == (None, None, None, None)
    assert row_of("phi-2", 2048).decode_flops == count.decode_flops(config_of("phi-2"), 2048)


@pytest.mark.parametrize("at", [1, 2048])
@pytest.mark.parametrize("name", PUBLISHED)
def test_sums_come_to_what_is_counted(name, at):
    lines = sums(config_of(name), row_of(name, at))
    assert len(lines) >= 8
    for line in lines:
        assert re.fullmatch(r"[\d+*/() -]+", line.sum), line
        got = eval(line.sum)
        assert got == pytest.approx(
            line.value, rel=1e-12, abs=1 if line.title.startswith("Weights") else 0
        ), line


def test_every_column_has_a_text_for_every_model():
    assert {key for view in VIEWS.values() for key in view} <= set(COLUMNS)
    for row in rows():
        for column in COLUMNS.values():
            assert column.text(row), (row.name, column.key)


def test_every_norm_network_and_block_has_its_name():
    for choice, named in ((Norm, NORMS), (Network, NETWORKS), (Layout, LAYOUTS)):
        assert set(get_args(choice)) == set(named)


@pytest.mark.parametrize("key", COLUMNS)
def test_sorting_puts_what_is_missing_last(key):
    value = COLUMNS[key].value
    up, down = ([value(row) for row in sort(rows(), sign + key)] for sign in ("", "-"))
    assert len(up) == len(down) == len(entries())
    there = [each for each in up if each not in (None, "")]
    assert there == sorted(there)
    assert [each for each in down if each not in (None, "")] == sorted(there, reverse=True)
    for listed in (up, down):
        assert all(each in (None, "") for each in listed[len(there) :])


def test_how_numbers_are_printed():
    plain = [text.replace("\N{NO-BREAK SPACE}", " ") for text in (billions(8030261248), billions(134515008))]
    assert plain == ["8.03 B", "135 M"]
    assert memory(131072) == "128\N{NO-BREAK SPACE}KiB"
    assert memory(1342052808704).startswith("1.22")
    assert flops(15.04e9) == "15.0\N{NO-BREAK SPACE}GFLOP"
    assert (tokens(131072), tokens(40960), tokens(2047)) == ("128K", "40K", "2\N{NARROW NO-BREAK SPACE}047")
    assert billions(999_600_000) == "1.00\N{NO-BREAK SPACE}B", "no 1000 M"


def test_addresses():
    assert [address(names) for names in ([], ["phi-2"], ["phi-2", "gemma-2b"])] == [
        "/zoo",
        "/zoo/phi-2",
        "/zoo?compare=phi-2,gemma-2b",
    ]
    assert MOST == 4


def test_nothing_of_it_loads_torch():
    code = (
        "import sys; from handbook.model.zoo import columns, own, rows, sums; rows.rows(); "
        "sums.sums(rows.config_of('phi-2'), rows.row_of('phi-2')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_configurations_are_plain_facts():
    """Numbers, names and switches; nothing of a tokenizer, a trainer or a machine."""
    for entry in entries().values():
        text = json.dumps(entry.config)
        assert len(text) < 1500
        assert not re.search(r"torch_dtype|_token_id|dropout|initializer|version|path", text)
