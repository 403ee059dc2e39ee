"""The serving benchmark: all sides are asked the same, times become figures, a model goes all the way."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The benchmark's modules by name; none stays imported."""
    folder = BENCH / "peers"
    names = [path.stem for path in folder.glob("*.py")]
    for path in (BENCH, folder):
        monkeypatch.syspath_prepend(str(path))
    before = {name: sys.modules.pop(name) for name in [*names, "serving"] if name in sys.modules}
    modules = {name: importlib.import_module(name) for name in [*names, "serving"]}
    yield SimpleNamespace(**modules)
    for name in modules:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def tiny(tmp_path: Path, peers: SimpleNamespace) -> Path:
    """A random model over bytes with a long context, as a folder that every side can read."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    from handbook.model.config import ModelConfig
    from handbook.model.transformer import Transformer

    torch.manual_seed(4)
    config = ModelConfig(
        vocab_size=256, dim=32, layers=1, heads=4, kv_heads=2, head_dim=8, hidden_dim=64, context=2048
    )
    folder: Path = peers.export.hub_folder(Transformer(config), tmp_path / "tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.save(str(folder / "tokenizer.json"))
    return folder


def test_figures_by_hand(peers: SimpleNamespace) -> None:
    asks = [peers.talk.Ask(0.0, [1] * 30, 3), peers.talk.Ask(1.0, [1] * 10, 2)]
    times = [[0.5, 1.0, 2.0], [1.25, 4.0]]
    batch = peers.figures.closed(asks, times)
    assert batch["output_tokens_per_s"] == 5 / 4
    assert batch["prefill_tokens_per_s"] == 40 / 1.25
    assert batch["decode_tokens_per_s"] == 2 / (4 - 1.25)  # those at 2.0 and 4.0
    row = peers.figures.stream(asks, times)
    assert (row["ttft_p50_s"], row["ttft_p99_s"]) == (0.25, 0.5)
    assert (row["tpot_p50_s"], row["tpot_p99_s"]) == (0.75, 2.75)
    assert row["gap_p99_s"] == 2.75
    assert row["good_share"] == 0
    assert peers.figures.stream(asks[:1], [[0.5, 0.51, 0.52]])["good_share"] == 1
    with pytest.raises(SystemExit, match="1 requests got other than they wanted; 1: 1 of 2"):
        peers.figures.closed(asks, [times[0], [1.0]])


def test_percentiles_are_ranks(peers: SimpleNamespace) -> None:
    values = list(range(1, 101))
    assert peers.figures.percentile(values, 0.5) == 50
    assert peers.figures.percentile(values, 0.99) == 99
    assert peers.figures.percentile(values[:7], 0.99) == 7
    assert peers.figures.percentile([3], 0.01) == 3


def test_requests_are_let_in_when_they_come(peers: SimpleNamespace) -> None:
    asks = [peers.talk.Ask(0.05, [1], 2), peers.talk.Ask(0.0, [1], 1)]
    admitted: list[int] = []
    given = {0: 0, 1: 0}

    def step() -> dict[int, int]:
        came = {n: 1 for n in admitted if given[n] < asks[n].tokens}
        for n in came:
            given[n] += 1
        return came

    times = peers.talk.drive(asks, lambda n, _: admitted.append(n), step)
    assert admitted == [1, 0]
    assert [len(each) for each in times] == [2, 1]
    assert times[1][0] < 0.05 <= times[0][0]


def test_streams_are_long_tailed_and_the_same_again(peers: SimpleNamespace) -> None:
    work = peers.workload
    tokens = list(range(5000))
    once, again = (work.Prompts(tokens).stream(200, False) for _ in range(2))
    assert once == again
    lengths = sorted(len(ask.prompt) for ask in once)
    assert lengths[0] >= 32
    assert lengths[-1] <= 1024
    assert lengths[-1] > 4 * lengths[100]
    assert {16 <= ask.tokens <= 256 for ask in once} == {True}
    shared = work.Prompts(tokens).stream(20, True, most=100)
    assert len({tuple(ask.prompt[:512]) for ask in shared}) == 1
    assert len({tuple(ask.prompt[512:]) for ask in shared}) == 20
    assert max(len(ask.prompt) for ask in shared) <= 612
    later = work.arriving(once, 4.0)
    assert 35 < later[-1].at < 65  # 200 at 4 a second
    assert [ask.at for ask in later] == sorted(ask.at for ask in later)


def test_what_was_promised_is_compared(peers: SimpleNamespace) -> None:
    def row(rate: float) -> dict[str, Any]:
        return {key: {"median": rate} for key in ("output_tokens_per_s", "decode_tokens_per_s")}

    batch = {"handbook": row(300.0), "vllm": row(100.0), "llama-Q4_0": row(50.0), "llama-Q8_0": row(60.0)}
    values = {each["figure"]: each["value"] for each in peers.targets.compare({"batch": {"32": batch}})}
    assert values == {
        "output tokens/s at 32 over vllm": 3.0,
        "output tokens/s at 32 over llama.cpp's best": 5.0,
    }


def test_a_tiny_model_goes_all_the_way(
    peers: SimpleNamespace, tiny: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.parts, "bandwidth", lambda threads: 1e9)
    monkeypatch.setattr(peers.parts, "undisturbed", lambda run, pids: (run(), 0.0))
    options = ["--model", str(tiny), "--threads", "1", "--rounds", "1", "--sequences", "1,2", "--prompt", "8"]
    options += ["--tokens", "4", "--prefill", "16", "--requests", "3", "--longest", "40", "--loads", "8"]
    assert peers.serving.main([*options, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["schema"] == "handbook.bench.serving/1"
    assert set(found["parts"]) == set(peers.parts.PARTS)
    assert set(found["sides"]) == {"handbook"}
    assert [line.partition(":")[0] for line in found["missing"]] == ["vllm", "llama", "transformers"]
    assert found["parts"]["batch"]["2"]["handbook"]["output_tokens_per_s"]["median"] > 0
    cache = found["parts"]["switches"]["cache"]
    assert 0 < cache["page_waste"] < cache["reservation_waste"] < 1
    shared = found["parts"]["switches"]["prefix"]
    assert shared["shared"]["reused"]["median"] == 2 * 512
    assert "reused" not in shared["alone"]
    told = {row["figure"] for row in found["comparison"]}
    assert {"cache wasted by pages", "shared prefix, cache on over off"} <= told


def test_static_batches_answer_the_same(peers: SimpleNamespace, tiny: Path) -> None:
    pytest.importorskip("transformers")
    asks = [peers.talk.Ask(0.0, [5, 6, 7], 2), peers.talk.Ask(0.0, [9], 4), peers.talk.Ask(0.01, [8, 8], 1)]
    side = peers.sides.Remote(sys.executable, "on_transformers.py", ["--model", tiny, "--threads", 1])
    try:
        told = side.run(asks, batch=2)
    finally:
        side.close()
    assert "transformers" in side.about["version"]
    assert [len(each) for each in told["times"]] == [2, 4, 1]
    first, second, third = told["times"]
    assert first == second[:2]  # one batch
    assert third[0] > second[-1]  # the next one, when the longest has ended


def test_disturbed_runs_are_made_again(peers: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    worked = iter([0.0, 5.0, 5.0, 13.0, 13.0, 22.9, 22.9, 30.0])  # of ten seconds that all worked, each time
    monkeypatch.setattr(peers.neighbours, "perf_counter", iter(range(0, 1000, 10)).__next__)
    monkeypatch.setattr(peers.neighbours, "busy", clock.__next__)
    monkeypatch.setattr(peers.neighbours, "used", lambda pids: next(worked))
    monkeypatch.setattr(peers.neighbours, "LONG", 100.0)
    runs = iter("abcd")
    result, others = peers.neighbours.undisturbed(lambda: next(runs), [])
    assert (result, round(others, 2)) == ("c", 0.01)
    monkeypatch.setattr(peers.neighbours, "LONG", 5.0)
    worked = iter([30.0, 31.0])
    assert peers.neighbours.undisturbed(lambda: next(runs), []) == ("d", 0.9)


def test_a_side_that_dies_says_why(peers: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(peers.sides.Gone, match="no model file"):
        peers.sides.Remote(sys.executable, "on_handbook.py", ["--model", tmp_path / "x.gguf", "--threads", 1])


def test_options_that_cannot_be(peers: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, told in (["--peer", "ollama=x"], "ollama=x"), (["--rounds", "0"], "at least 1"):
        with pytest.raises(SystemExit):
            peers.serving.main(wrong)
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit, match="No part speed"):
        peers.serving.main(["--parts", "speed"])
