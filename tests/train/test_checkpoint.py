"""Checkpoints: whole, resumable bit for bit, never lost, never mistaken."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from handbook.errors import CheckpointError, DiskFull
from handbook.train import checkpoint
from handbook.train.characters import Corpus
from handbook.train.runs import Run, Stopped, Trained, train
from tests.train.conftest import TEXT, TINY, tiny_run


def curve(found: Trained) -> list[dict[str, float]]:
    return [
        {"step": p.step, "rate": p.rate, "norm": p.norm, "tokens": p.tokens} | p.losses for p in found.curve
    ]


def lines(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("seconds")
    return rows


def stop_after(step: int):
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= step


def assert_equal(a: Trained, b: Trained) -> None:
    assert curve(a) == curve(b)
    first, second = a.model.state_dict(), b.model.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert a.held_out == b.held_out


@pytest.mark.parametrize("name", ["dense", "mixture", "mixture-bias"])
@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_stopped_run_goes_on_bit_for_bit(name: str, step: int, tmp_path: Path, corpus: Corpus) -> None:
    whole = train(tiny_run(name, tmp_path / "whole"), corpus)
    plan = tiny_run(name, tmp_path / "parts")
    with pytest.raises(Stopped, match=f"step {step}"):
        train(plan, corpus, stop=stop_after(step))
    torch.manual_seed(99)  # another process has other random state
    found = train(plan, corpus)
    assert (found.resumed_from, whole.resumed_from) == (step, 0)
    assert_equal(found, whole)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole") == curve(whole)


def test_optimizer_and_random_state_come_back(tmp_path: Path, corpus: Corpus) -> None:
    plan = tiny_run("mixture", tmp_path)
    state = plan.start()
    train(plan, corpus)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    done = plan.start()
    torch.manual_seed(5)
    plan.save(done)
    torch.manual_seed(6)
    again = plan.start()
    assert torch.equal(torch.rand(3), drawn)
    first, second = done.optimizer.state_dict()["state"], again.optimizer.state_dict()["state"]
    assert first.keys() == second.keys()
    assert first
    for key in first:
        assert all(torch.equal(first[key][name], second[key][name]) for name in first[key])
    assert state.step == 0
    assert done.step == again.step == 12


CHILD = """
import sys, time
from pathlib import Path
import torch
from handbook.train.characters import Corpus
from handbook.train.runs import train
from tests.train.conftest import TEXT, TINY, tiny_run
torch.set_num_threads(1)
def slowly(point):
    print(point.step, flush=True)
    time.sleep(0.02 if point.step < int(sys.argv[2]) + 3 else 60)  # it never comes to its end
train(tiny_run("mixture", Path(sys.argv[1]), steps=40), Corpus.of(TEXT, TINY.length), slowly)
"""


def test_killed_at_any_moment_it_goes_on_with_the_same_curve(tmp_path: Path, corpus: Corpus) -> None:
    """kill -9, twice, of a real process; between checkpoints, so steps are done again."""
    whole = train(tiny_run("mixture", tmp_path / "whole", steps=40), corpus)
    folder = tmp_path / "killed"
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    for until in (7, 22):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), str(until)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= until:
                break
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        assert len((folder / "metrics.jsonl").read_text().splitlines()) >= until
    found = train(tiny_run("mixture", folder, steps=40), corpus)
    assert 20 <= found.resumed_from < 40
    assert found.resumed_from % 4 == 0, "checkpoints come every four steps here"
    assert_equal(found, whole)
    assert lines(folder) == lines(tmp_path / "whole")


def test_a_kill_while_writing_leaves_the_old_one(tmp_path: Path, corpus: Corpus) -> None:
    plan = tiny_run("dense", tmp_path)
    with pytest.raises(Stopped):
        train(plan, corpus, stop=stop_after(5))
    stands = plan.checkpoint.read_bytes()
    code = """
import os, sys, signal
from pathlib import Path
import handbook.train.whole as whole
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
with whole.written_whole(Path(sys.argv[1])) as file:
    file.write(b"half")
"""
    done = subprocess.run([sys.executable, "-c", code, str(plan.checkpoint)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert plan.checkpoint.read_bytes() == stands
    assert train(plan, corpus).resumed_from == 5


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, corpus: Corpus, monkeypatch) -> None:
    plan = tiny_run("dense", tmp_path)
    with pytest.raises(Stopped):
        train(plan, corpus, stop=stop_after(5))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space left"):
        train(plan, corpus)
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "metrics.jsonl"}
    assert train(plan, corpus).resumed_from == 5


def test_any_damage_is_noticed_and_the_file_stays(tmp_path: Path, corpus: Corpus) -> None:
    plan = tiny_run("dense", tmp_path, steps=2)
    whole = train(plan, corpus)
    good = plan.checkpoint.read_bytes()
    noticed = 0
    for place in range(0, len(good), len(good) // 97):
        bad = bytearray(good)
        bad[place] ^= 0x55
        plan.checkpoint.write_bytes(bad)
        try:
            found = train(plan, corpus)
        except CheckpointError as error:
            noticed += "--fresh" in error.remedy
            assert plan.checkpoint.read_bytes() == bytes(bad)  # the file, not the error
        else:
            assert_equal(found, whole)  # that byte was padding between records
    assert noticed > 80
    for size in (0, 1, 100, len(good) // 2, len(good) - 1):
        plan.checkpoint.write_bytes(good[:size])
        with pytest.raises(CheckpointError, match="can't be read"):
            plan.start()


class Evil:
    def __reduce__(self):
        return (os.system, ("touch evil",))


def test_a_foreign_file_is_no_checkpoint_and_runs_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tiny_run("dense", tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="can't be read"):
        plan.start()
    torch.save({"format": checkpoint.FORMAT, "model": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="can't be read"):
        plan.start()
    for other in ({"model": {}}, [1, 2], {"format": "handbook.checkpoint/99"}, torch.zeros(2)):
        torch.save(other, tmp_path / "checkpoint.pt")
        with pytest.raises(CheckpointError, match="should be a handbook"):
            plan.start()
    assert not (tmp_path / "evil").exists()


def test_other_settings_are_an_error_that_names_them_all(tmp_path: Path, corpus: Corpus) -> None:
    plan = tiny_run("dense", tmp_path)
    train(plan, corpus)
    before = plan.checkpoint.read_bytes()
    other: Run = replace(
        tiny_run("mixture", tmp_path, steps=99, seed=7), text="u", shape=replace(TINY, batch=3)
    )
    with pytest.raises(CheckpointError) as caught:
        train(other, corpus)
    for name in ("model: there 'dense', now 'mixture'", "steps: there 12, now 99", "seed", "text", "batch"):
        assert name in caught.value.what
    assert "layers" not in caught.value.what, "what is equal is not named"
    assert "--fresh" in caught.value.remedy
    assert plan.checkpoint.read_bytes() == before


def test_a_model_that_does_not_fit_is_an_error(tmp_path: Path, corpus: Corpus) -> None:
    dense, mixture = tiny_run("dense", tmp_path), tiny_run("mixture")
    train(dense, corpus)
    with pytest.raises(CheckpointError, match="doesn't fit"):
        checkpoint.restore(checkpoint.read(tmp_path / "checkpoint.pt"), mixture.start())


def test_forgetting_removes_what_it_knows(tmp_path: Path, corpus: Corpus) -> None:
    plan = tiny_run("dense", tmp_path)
    train(plan, corpus)
    (tmp_path / "notes.txt").write_text("mine")
    plan.forget()
    plan.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_finished_run_trains_no_more(tmp_path: Path) -> None:
    corpus = Corpus.of(TEXT, TINY.length)
    plan = tiny_run("dense", tmp_path)
    first = train(plan, corpus)
    steps: list[object] = []
    again = train(plan, corpus, steps.append)
    assert steps == []
    assert again.resumed_from == 12
    assert_equal(first, again)
