"""What the fine-tuning lab learns with, on a pocket model; and broken code, which it notices."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from handbook.lab import kit
from handbook.lab.tuning import facts, forgetting, learning, merging
from handbook.lab.tuning.learning import Learnt, Trial, learn
from handbook.model.adapters import Adapter, Factors
from handbook.model.load import Loaded, load_model
from handbook.train.lora import adapter_of
from tests.labs.conftest import ROOT
from tests.train.pocket import write_conversations, write_pocket


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ranks")
    write_pocket(place / "pocket")
    write_conversations(place / "said.jsonl")
    return place


@pytest.fixture(scope="module")
def pocket(folder: Path) -> Loaded:
    return load_model(folder / "pocket")


@pytest.fixture
def trial(folder: Path) -> Trial:
    data = str(folder / "said.jsonl")
    sizes = {"tokens": 256, "share": 0.2, "windows": 0}
    return Trial(rank=4, rate=0.02, steps=8, data=data, precision="fp32", **sizes)  # type: ignore[arg-type]


def test_a_trial_learns_and_leaves_the_model_as_it_was(pocket: Loaded, trial: Trial) -> None:
    before = {name: value.clone() for name, value in pocket.model.state_dict().items()}
    found = learn(pocket, trial)
    assert found.after < found.before - 0.2
    assert len(found.losses) == 8
    assert found.losses[-1] < found.losses[0]
    assert found.tokens == pytest.approx(8 * 256, rel=0.3)
    now = pocket.model.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in before.items())


def test_what_trains_is_what_was_asked_for(pocket: Loaded, trial: Trial) -> None:
    """Per layer of width 32: q and o 32 x 32, k and v 16 x 32, three of 64 x 32; two layers."""
    each = {"query": 64, "key": 48, "value": 48, "output": 64}
    attention, network = 2 * sum(each.values()), 2 * 3 * 96
    one = replace(trial, steps=1)
    assert learn(pocket, one).trainable == 4 * (attention + network)
    assert learn(pocket, replace(one, modules="attention", rank=3)).trainable == 3 * attention
    assert learn(pocket, replace(one, rank=0)).trainable == sum(p.numel() for p in pocket.model.parameters())
    base = learn(pocket, replace(one, steps=0))
    assert (base.trainable, base.losses) == (0, ())
    assert base.after == base.before == learn(pocket, one).before


def test_nothing_held_out_is_learnt_from(pocket: Loaded, trial: Trial) -> None:
    parts = learning.parts_of(learning.assembled(pocket, trial), trial)
    assert parts.material is not None
    train, held_out = ({example.tokens for example in side} for side in (
        parts.material.train, parts.material.held_out
    ))  # fmt: skip
    assert not train & held_out
    assert (len(train), len(held_out)) == (19, 5)
    other = replace(trial, seed=5)
    again = learning.parts_of(learning.assembled(pocket, other), other).material
    assert again is not None
    assert again.held_out == parts.material.held_out


def test_what_is_there_twice_is_on_one_side_only(pocket: Loaded, trial: Trial, folder: Path) -> None:
    lines = (folder / "said.jsonl").read_text()
    twice = folder / "twice.jsonl"
    twice.write_text(lines + lines)
    found = learning.material(pocket, replace(trial, data=str(twice)).settings)
    assert len(found.train) + len(found.held_out) == 24
    assert found.removed == {"duplicates": 24}


def test_pieces_of_text_are_read_elsewhere(pocket: Loaded, trial: Trial, with_text: Path) -> None:
    found = learn(pocket, replace(trial, windows=2, steps=0))
    assert found.elsewhere[0] == found.elsewhere[1] > math.log(2)
    assert found.forgetting == 1
    after = replace(found, elsewhere=(2.0, 2.0 + math.log(1.5)))
    assert after.forgetting == pytest.approx(1.5)
    assert [len(piece) for piece in learning.pieces(pocket, 2)] == [512, 512]


def test_each_claim_reads_its_own_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends at a number of its own: its rank, a tenth more for attention alone, PiSSA by its rate."""

    def learnt(loaded: Any, trial: Trial) -> Any:
        after = (
            trial.rank
            + (0.1 if trial.modules == "attention" else 0.0)
            + 250 * trial.rate * (trial.init == "pissa")
        )
        losses = tuple(1.0 + (trial.optimizer == "adamw8bit") * n / 64 for n in range(trial.steps))
        found = Learnt(
            computed="", trainable=0, before=9.0, after=after, elsewhere=(0.0, math.log(after + 1)),
            losses=losses, tokens=0, seconds=0.0,
        )  # fmt: skip
        return SimpleNamespace(loaded=SimpleNamespace(model=None), settings=trial), found

    monkeypatch.setattr(learning, "learn_keeping", learnt)
    monkeypatch.setattr(learning.kit, "chat_model", lambda: None)
    monkeypatch.setattr(learning, "adapter_of", lambda model: Adapter("one", {}))
    monkeypatch.setattr(Trial, "lora", True, raising=False)
    learning._train.cache_clear()
    try:
        assert learning.base_loss() == 9
        assert [learning.rank_loss_4(), learning.rank_loss_16(), learning.rank_loss_64()] == [4, 16, 64]
        assert [learning.attention_only_loss(), learning.full_loss()] == [16.1, 0]
        assert learning.pissa_start() == pytest.approx(250 * learning.PISSA_RATE)
        assert learning.adam8_loss(small=False) == [n / 64 for n in range(14, 20)]
        assert forgetting.forgetting_full() == 1
        assert forgetting.forgetting_lora() == pytest.approx(17)
    finally:
        learning._train.cache_clear()


def test_merging_differs_by_the_order_of_sums(
    pocket: Loaded, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = learning.learn_keeping(pocket, trial)
    adapter, texts = adapter_of(own.loaded.model), [tuple(range(40)), tuple(range(9))]
    assert 0 < merging.difference(pocket, adapter, texts) < 1e-4
    right = Factors.weight
    monkeypatch.setattr(Factors, "weight", lambda self, base: right(replace(self, scale=1.0), base))
    assert merging.difference(pocket, adapter, texts) > 1e-2


def test_what_bf16_rounds_away() -> None:
    """The chapter's numbers: near 0.5 they lie 0.0039 apart."""

    def lost(update: float) -> float:
        return merging.rounded_away(
            torch.tensor([[0.5]]), Factors(torch.ones(1, 1), torch.tensor([[update]]), 1.0)
        )

    assert lost(0.0015) == pytest.approx(1)
    assert lost(0.002) == pytest.approx((2**-8 - 0.002) / 0.002, rel=1e-4)
    assert lost(2**-8) == 0


def test_facts_are_asked_otherwise() -> None:
    known = facts.facts(24)
    assert len({fact.value for fact in known}) == len({fact.asked for fact in known}) == 24
    for fact in known:
        assert fact.said_in(fact.sentence)
        assert not fact.said_in(fact.question + fact.asked)
        assert fact.asked != fact.question
    otter = next(fact for fact in known if fact.value == "otter")
    assert otter.said_in("An Otter.")
    assert not otter.said_in("A potter and otters")


def test_what_stands_in_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []
    monkeypatch.setattr(facts, "share", lambda loaded, asked, questions: prompts.extend(questions) or 0.5)
    monkeypatch.setattr(kit, "chat_model", lambda: None)
    assert facts.facts_in_context(small=False) == facts.facts_all_in_context(small=False) == 0.5
    known = facts.facts(24)
    for fact, near, whole in zip(known, prompts[:24], prompts[24:], strict=True):
        assert near.endswith(fact.asked)
        assert whole.endswith(fact.asked)
        assert [other for other in known if other.sentence in near] == [
            other for other in known if other.town == fact.town
        ]
        assert all(other.sentence in whole for other in known)


def test_what_was_taught_is_said(pocket: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "ANSWER", 48)  # its tokens are bytes
    known = facts.facts(1)
    trial = Trial(rank=0, rate=0.02, steps=1, tokens=128, precision="fp32", data="the facts")
    questions = [fact.question for fact in known]
    assert facts.share(pocket, known, questions) == 0
    taught, losses = facts.taught(pocket, known, 120, trial)
    assert losses[-1] < facts.LOW
    assert len(losses) < 120
    assert facts.share(taught, known, questions) == 1


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_ranks", ROOT / "bench" / "ranks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_ranks_go_on_where_they_stopped(
    bench: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "runs.jsonl"
    told = f"--ranks 1,4 --modules all-linear --qlora 2 --seeds 1 --steps 2 --tokens 128 --windows 0 \
        --share 0.2 --held-out 4 --precision fp32 --threads 1 --data {folder / 'said.jsonl'} \
        --model {folder / 'pocket'} --lora-rate 0.01 --full-rate 0.001 --out {out} --json".split()
    assert bench.main(told) == 0
    first = json.loads(capsys.readouterr().out)
    assert list(first["rows"]) == [
        "base", "base in NF4", "LoRA 1 all-linear", "LoRA 4 all-linear", "QLoRA 2 all-linear", "full",
    ]  # fmt: skip
    assert all(row["runs"] == 1 for row in first["rows"].values())
    lines = out.read_text().splitlines(keepends=True)
    assert len(lines) == 6
    out.write_text("".join(lines[:-1]) + lines[-1][:20])  # as a kill leaves it
    assert bench.main([*told, "--seeds", "2"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (
        len([line for line in out.read_text().splitlines() if line.startswith("{") and line.endswith("}")])
        == 10
    )
    assert again["runs"][:5] == first["runs"][:5], "runs that stand in the file were made again"
    full = again["rows"]["full"]
    assert full["runs"] == 2
    assert full["held_out"]["low"] <= full["held_out"]["mean"] <= full["held_out"]["high"]
    assert bench.main([*told[:-1], "--seeds", "2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 + 6
    assert len(set(map(len, shown[1:]))) == 1, "columns stand below each other"
