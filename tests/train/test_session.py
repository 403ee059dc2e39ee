"""A run from settings to result, on a pocket model: it learns, stops and goes on, and is read back."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from handbook.errors import CheckpointError, DataError, Diverged, HandbookError
from handbook.model.adapters import read_adapter
from handbook.model.config import ModelConfig
from handbook.model.load import load_model
from handbook.settings import Settings
from handbook.train import saved
from handbook.train.assembly import assemble
from handbook.train.conversations import Prompt
from handbook.train.examples import encode_pair
from handbook.train.formats import read_pairs
from handbook.train.lora import apply_adapter
from handbook.train.material import parted
from handbook.train.methods import measured, parts_of
from handbook.train.packing import pack
from handbook.train.plan import kept_by_a_block, plan_of
from handbook.train.reward import RewardModel, load_reward
from handbook.train.rollouts import Answer
from handbook.train.runs import Stopped
from handbook.train.session import Session, forget, train
from handbook.train.settings import Method, read_settings
from train.pocket import write_conversations, write_pairs, write_pocket

ALIKE = {"precision": "fp32", "tokens": 128, "every": 4, "rate": 0.02, "held_out": 0.2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pocket")
    write_pocket(path / "pocket")
    write_conversations(path / "talk.jsonl")
    write_pairs(path / "pairs.jsonl")
    return path


def session(place: Path, folder: Path, method: Method = "sft", **told: Any) -> Session:
    data = place / ("talk.jsonl" if method == "sft" else "pairs.jsonl")
    flags = ALIKE | {"model": str(place / "pocket"), "data": str(data)} | told
    settings = read_settings(method, flags)
    assembled = assemble(settings, Settings(data=place))
    return Session(settings, folder, assembled, parts_of(assembled))


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_an_adapter_learns_and_is_read_back(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path / "sft", lora="r=4,dora=true,dropout=0.1", steps=24)
    seen: list[int] = []
    outcome = train(run, lambda point: seen.append(point.step))
    assert seen == list(range(1, 25))
    assert outcome.after["held_out"] < outcome.before["held_out"] - 0.3
    assert outcome.result == tmp_path / "sft" / "adapter"
    loaded = load_model(place / "pocket", Settings(data=place))
    apply_adapter(loaded.model, read_adapter(outcome.result, loaded.model))
    again = measured(loaded.model.eval(), run.parts.held_out, run.parts.objective, "fp32")
    assert again["held_out"] == pytest.approx(outcome.after["held_out"], abs=1e-6)
    told = about(tmp_path / "sft")
    assert (told["state"], told["method"], told["trains"]) == ("done", "sft", "DoRA r=4")
    assert told["held_out"] == {"before": outcome.before["held_out"], "after": outcome.after["held_out"]}
    rows = [json.loads(line) for line in (tmp_path / "sft/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == seen
    assert [row["step"] for row in rows if "held_out" in row] == [4, 8, 12, 16, 20, 24]


def test_whole_weights_are_read_back_by_the_loader(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path, steps=6)
    outcome = train(run)
    loaded = load_model(outcome.result, Settings(data=place))
    tokens = torch.arange(40)[None]
    ours = run.assembled.loaded
    with torch.no_grad():
        assert torch.equal(loaded.model(tokens), ours.model.eval()(tokens))
    assert (loaded.tokenizer.eos, loaded.tokenizer.stops) == (ours.tokenizer.eos, ours.tokenizer.stops)
    assert loaded.template is not None
    assert ours.template is not None
    assert loaded.template.source == ours.template.source


def test_a_model_of_a_gguf_file_gets_files_of_its_own(place: Path, tmp_path: Path) -> None:
    """There is no config.json to copy then: all is written from what was loaded."""
    loaded = load_model(place / "pocket", Settings(data=place))
    saved.write_model(tmp_path / "made", loaded, Path("model.gguf"))
    again = load_model(tmp_path / "made", Settings(data=place))
    assert again.config == loaded.config
    assert torch.equal(again.model.embed.weight, loaded.model.embed.weight)
    assert again.tokenizer.encode("<|im_end|> a") == loaded.tokenizer.encode("<|im_end|> a")
    assert again.tokenizer.stops == loaded.tokenizer.stops
    assert again.template is not None
    assert (tmp_path / "made" / "model.safetensors").stat().st_mode & 0o777 == 0o644


SMALL = {"vocab_size": 9, "dim": 8, "layers": 2, "heads": 2, "kv_heads": 1, "head_dim": 4, "hidden_dim": 8}


@pytest.mark.parametrize("switches", [{}, {"qkv_bias": True}, {"head_norm": True}, {"tie_embeddings": True}])
def test_configurations_survive_the_way_out_and_back(switches: dict[str, Any]) -> None:
    config = ModelConfig(**SMALL, context=64, **switches)
    raw = saved._config(config)
    assert raw is not None
    assert ModelConfig.from_hf(raw) == config


def test_what_cannot_be_written_whole_is_said_before_training() -> None:
    with pytest.raises(HandbookError, match="Train an adapter"):
        saved.check_writable(ModelConfig(**SMALL, context=64, layout="parallel"), None)


@pytest.mark.parametrize("method", ["dpo", "orpo", "reward"])
def test_pairs_are_learnt(place: Path, tmp_path: Path, method: Method) -> None:
    run = session(place, tmp_path, method, lora="r=4", steps=8, tokens=256)
    outcome = train(run)
    assert outcome.after["held_out"] < outcome.before["held_out"]
    assert outcome.after["held_out_accuracy"] == 1.0
    if method == "dpo":
        assert outcome.before["held_out"] == pytest.approx(0.6931, abs=1e-4), "the reference itself"
        assert outcome.after["held_out_kl"] > 0
    if method == "reward":
        loaded = load_model(place / "pocket", Settings(data=place))
        again = measured(
            load_reward(outcome.result, loaded.model), run.parts.held_out, run.parts.objective, "fp32"
        )
        assert again["held_out"] == pytest.approx(outcome.after["held_out"], abs=1e-6)


def drawn(place: Path, folder: Path, method: Method, **told: Any) -> Session:
    flags: dict[str, Any] = {"task": "digits", "prompts": 2, "group": 4, "every": 2, "lora": "r=4"}
    settings = read_settings(method, flags | {"precision": "fp32", "model": str(place / "pocket")} | told)
    assembled = assemble(settings, Settings(data=place))
    return Session(settings, folder, assembled, parts_of(assembled))


@pytest.mark.parametrize("method", ["ppo", "grpo"])
def test_drawn_answers_resume_between_rounds(place: Path, tmp_path: Path, method: Method) -> None:
    told = {"steps": 6, "passes": 2, "rate": 0.01, "every": 1}
    whole = train(drawn(place, tmp_path / "whole", method, **told))
    assert set(whole.before) == {"held_out_right", "held_out_reward"}
    assert whole.curve[-1].losses.keys() >= {"reward", "right", "length", "kl"}
    seen: list[int] = []
    with pytest.raises(Stopped) as stopped:
        train(
            drawn(place, tmp_path / "run", method, **told),
            lambda p: seen.append(p.step),
            lambda: len(seen) >= 3,
        )
    assert stopped.value.step == 4, "in the middle of a round it goes on to its end"
    done = train(drawn(place, tmp_path / "run", method, **told))
    assert done.resumed_from == 4
    assert_equal(tmp_path / "run", tmp_path / "whole")


def test_prompts_of_a_file_need_answers(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    rows = [{"prompt": f"Say {n}.", "answer": str(n)} for n in range(10)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = drawn(place, tmp_path, "grpo", task=None, data=str(file), steps=1)
    assert len(run.parts.held_out) == 1
    train(run)
    file.write_text(json.dumps({"prompt": "Say 1."}) + "\n" + file.read_text())
    with pytest.raises(DataError, match="1 prompts have no answer to compare with, the first in line 1"):
        drawn(place, tmp_path, "grpo", task=None, data=str(file), steps=1)


@pytest.mark.parametrize("method", ["ppo", "grpo"])
def test_a_reward_model_pays(place: Path, tmp_path: Path, method: Method) -> None:
    """From pairs to a reward model to a policy: answers need no right one, and the pairs' reward is found
    again in the judge's."""
    first = session(place, tmp_path / "reward", "reward", lora="r=4", steps=8, tokens=256)
    train(first)
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Say {n}."}) + "\n" for n in range(10)))
    told = {"task": None, "data": str(file), "steps": 2, "passes": 1, "answer": 6}
    run = drawn(place, tmp_path / "run", method, reward_model=str(tmp_path / "reward"), **told)
    assert run.assembled.judge is not None
    pair = read_pairs(place / "pairs.jsonl")[0]
    said = [Answer((1,), side[0].content, True) for side in (pair.chosen, pair.rejected)]
    prompt = Prompt(pair.prompt)
    found = run.assembled.judge([prompt, prompt], said)
    documents = encode_pair(run.assembled.loaded, pair)
    assert [run.assembled.judge.document(prompt, each).tokens for each in said] == [
        document.tokens for document in documents
    ]
    trained = first.assembled.trained
    assert isinstance(trained, RewardModel)
    with torch.no_grad():
        assert found == pytest.approx(trained(pack(documents)).tolist(), abs=1e-5)
    assert found[0] > found[1], "it learnt which side is liked"
    cut = replace(said[0], whole=False)
    bare = run.assembled.judge.model(pack([run.assembled.judge.document(prompt, cut)])).item()
    assert run.assembled.judge([prompt], [cut]) == [pytest.approx(bare - 1.0, abs=1e-5)]
    assert any("reward model" in line.what for line in plan_of(run).memory)
    outcome = train(run)
    assert set(outcome.after) == {"held_out_reward"}, "nobody knows what is right"
    assert "right" not in outcome.curve[-1].losses
    assert {"reward", "kl"} <= outcome.curve[-1].losses.keys()


def test_a_folder_without_a_reward_model_is_said(place: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no reward model"):
        drawn(place, tmp_path / "run", "grpo", reward_model=str(tmp_path / "nothing"))
    with pytest.raises(HandbookError, match="either reward or reward_model"):
        drawn(place, tmp_path / "run", "grpo", reward_model=str(tmp_path), reward="strict")


def test_stopped_and_gone_on_ends_bit_for_bit_as_unbroken(place: Path, tmp_path: Path) -> None:
    told = {"lora": "r=4,dropout=0.2", "steps": 11}
    whole = train(session(place, tmp_path / "whole", **told))
    seen: list[int] = []
    with pytest.raises(Stopped):
        train(
            session(place, tmp_path / "run", **told),
            lambda point: seen.append(point.step),
            lambda: len(seen) == 6,
        )
    assert about(tmp_path / "run")["state"] == "stopped"
    done = train(session(place, tmp_path / "run", **told))
    assert done.resumed_from == 6
    assert_equal(tmp_path / "run", tmp_path / "whole")
    assert (done.before, done.after) == (whole.before, whole.after)


def assert_equal(one: Path, other: Path) -> None:
    """The same adapter, byte for byte, and the same curve."""
    name = "adapter/adapter_model.safetensors"
    assert (one / name).read_bytes() == (other / name).read_bytes()
    curves = []
    for folder in (one, other):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        curves.append([{key: value for key, value in row.items() if key != "seconds"} for row in rows])
    assert curves[0] == curves[1]


UNENDING = """
import sys, time
from handbook.app.cli.main import run
from handbook.train import session
train = session.train
def until_killed(one, watch, stop):
    def told(point):
        watch(point)
        time.sleep(0 if point.step < 14 else 60)
    return train(one, told, stop)
session.train = until_killed
sys.exit(run(sys.argv[1:]))
"""


def test_killed_in_the_middle_it_goes_on_and_ends_bit_for_bit_the_same(place: Path, tmp_path: Path) -> None:
    told = [
        "--model",
        str(place / "pocket"),
        "--data",
        str(place / "talk.jsonl"),
        "--lora",
        "r=4,dropout=0.2",
    ]
    told += ["--steps", "40", "--every", "5", "--tokens", "128", "--rate", "0.02", "--precision", "fp32"]
    command = [sys.executable, "-c", UNENDING, "train", "sft", *told, "--threads", "1"]
    environment = os.environ | {"HANDBOOK_DATA": str(place)}
    child = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")], stderr=subprocess.PIPE, text=True, env=environment
    )
    assert child.stderr is not None
    for line in child.stderr:
        if "step 12" in line:
            child.send_signal(signal.SIGKILL)
            break
    child.wait(60)
    child.stderr.close()
    assert child.returncode == -signal.SIGKILL
    assert about(tmp_path / "run")["state"] == "running", "it could not say any more"
    flags = {"steps": 40, "every": 5, "lora": "r=4,dropout=0.2", "held_out": 0.05}
    done = train(session(place, tmp_path / "run", **flags))
    assert 10 <= done.resumed_from < 40
    train(session(place, tmp_path / "whole", **flags))
    assert_equal(tmp_path / "run", tmp_path / "whole")


def test_a_loss_that_is_no_number_stops_it_and_the_checkpoint_stands(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path, lora="r=4", steps=8, every=2)
    sound, calls = run.parts.objective, 0

    def breaking(model: torch.nn.Module, packed: Any) -> Any:
        nonlocal calls
        calls += torch.is_grad_enabled()
        losses = sound(model, packed)
        return losses if calls < 6 else losses | {"total": losses["total"] * float("nan")}

    run.parts.objective = breaking
    with pytest.raises(Diverged):
        train(run)
    told = about(tmp_path)
    assert told["state"] == "failed"
    assert "6" in told["what"]
    assert train(session(place, tmp_path, lora="r=4", steps=8, every=2)).resumed_from == 4


def test_another_run_in_the_folder_is_refused_until_it_is_forgotten(place: Path, tmp_path: Path) -> None:
    train(session(place, tmp_path, lora="r=4", steps=2))
    with pytest.raises(CheckpointError, match=r"seed: there 0, now 3"):
        train(session(place, tmp_path, lora="r=4", steps=2, seed=3))
    forget(tmp_path)
    assert train(session(place, tmp_path, lora="r=4", steps=2, seed=3)).resumed_from == 0


def test_another_file_under_the_same_name_is_another_run(place: Path, tmp_path: Path) -> None:
    data = write_conversations(tmp_path / "talk.jsonl")
    train(session(place, tmp_path / "run", data=str(data), lora="r=4", steps=2))
    write_conversations(data, 20)
    with pytest.raises(CheckpointError, match="data_sha256"):
        train(session(place, tmp_path / "run", data=str(data), lora="r=4", steps=2))


def test_duplicates_and_what_is_tested_on_are_left_out_and_counted(place: Path, tmp_path: Path) -> None:
    data = write_conversations(tmp_path / "talk.jsonl", 10)
    data.write_text(data.read_text() * 2)
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    test = tmp_path / "test.jsonl"
    row = {"instruction": "Count.", "output": long}
    test.write_text(json.dumps(row) + "\n")
    with data.open("a") as file:
        file.write(json.dumps(row | {"instruction": "Count now."}) + "\n")
    parts = session(place, tmp_path, data=str(data), test=str(test)).parts
    assert parts.material is not None
    assert parts.material.removed == {"duplicates": 10, "shared with a test set": 1}
    assert {each.line for each in parts.material.gone} == set(range(11, 22))
    assert (len(parts.material.train), len(parts.material.held_out)) == (10, 1)
    kept = session(place, tmp_path, data=str(data), dedupe="none").parts.material
    assert kept is not None
    assert kept.removed == {}
    lines = tmp_path / "lines.txt"
    lines.write_text(f"\nSay 3. Yes: 3.\n{long}\n")
    against = session(place, tmp_path, data=str(data), against=str(lines)).parts.material
    assert against is not None
    assert against.removed == {"duplicates": 10, "shared with a test set": 2}


def test_nothing_left_to_train_on(place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Nothing of"):
        session(place, tmp_path, length=8, long="drop")


@pytest.mark.parametrize(
    ("count", "share", "held"), [(1, 0.5, 0), (2, 0.01, 1), (10, 0.0, 0), (10, 0.3, 3), (5000, 0.5, 256)]
)
def test_a_share_is_held_out(count: int, share: float, held: int) -> None:
    items = ["x" * n for n in range(count)]
    train_on, held_out = parted(items, share, 0)
    assert len(held_out) == held
    assert sorted([*train_on, *held_out], key=len) == items
    assert parted(items, share, 0) == (train_on, held_out)


def test_the_plan_counts_what_training_takes(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path, lora="r=4", epochs=2, checkpointing=False)
    plan = plan_of(run)
    lines = {line.what: line.bytes for line in plan.memory}
    assert plan.trainable == sum(p.numel() for p in run.assembled.trained.parameters() if p.requires_grad)
    assert lines["gradients"] == 4 * plan.trainable
    assert lines["optimizer"] == 8 * plan.trainable
    assert lines["weights"] == 4 * (plan.parameters + plan.trainable)
    assert plan.steps == 2 * (plan.steps_per_epoch or 0)
    assert (plan.examples, plan.held_out) == (24, 5)
    assert 0 < plan.step_seconds * plan.steps < plan.seconds
    assert not (tmp_path / "run.json").exists()


def test_activations_grow_with_tokens_and_shrink_with_checkpointing(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path, lora="r=4")
    model = run.assembled.loaded.model
    one, two = (kept_by_a_block(model, tokens, "fp32") for tokens in (128, 256))
    assert two == pytest.approx(2 * one, rel=0.01)
    per_token = one / 128 / 4
    c = model.config
    least = (
        2 * c.dim + 2 * c.heads * c.head_dim + 2 * c.hidden_dim
    )  # both norms' outputs, attention, the network
    assert least < per_token < 4 * least


def test_settings_that_change_nothing_of_the_run_are_not_its_identity(place: Path, tmp_path: Path) -> None:
    run = session(place, tmp_path, lora="r=4", steps=2)
    elsewhere = replace(run.settings, out="there", threads=3, every=7)
    assert Session(elsewhere, tmp_path, run.assembled, run.parts).identity == run.identity
    other = replace(run.settings, seed=9)
    assert Session(other, tmp_path, run.assembled, run.parts).identity != run.identity


@dataclass
class Weighed:
    weight: float
    value: float


def test_a_look_is_the_mean_over_what_counts() -> None:
    def objective(model: torch.nn.Module, micro: Weighed) -> dict[str, torch.Tensor]:
        return {
            "total": torch.tensor(micro.value),
            "text": torch.tensor(micro.value),
            "other": torch.tensor(1.0),
        }

    found = measured(torch.nn.Linear(1, 1), [Weighed(3, 1.0), Weighed(1, 5.0)], objective, "fp32")
    assert found == {"held_out": pytest.approx(2.0), "held_out_other": pytest.approx(1.0)}
