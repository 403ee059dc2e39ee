"""A real engine that is watched: its steps tell what became of everybody, and nothing changes for them."""

import pytest
import torch

from handbook.engine.engine import Engine
from handbook.engine.trace import Recorder, Step, cells
from handbook.engine.work import Batch, Limits
from handbook.model.load import Loaded
from handbook.records import Sampling

GREEDY = Sampling(max_tokens=12, temperature=0.0)


def engine_of(loaded: Loaded, **options: object) -> tuple[Engine, list[Step]]:
    steps: list[Step] = []
    return Engine(loaded, memory=1 << 18, page=4, watch=steps.append, **options), steps


def drain(engine: Engine) -> None:
    while engine.busy:
        engine.step()


def answers(loaded: Loaded, watch: Recorder | None) -> list[str]:
    engine = Engine(loaded, memory=1 << 18, page=4, watch=watch)
    pieces: list[str] = []
    for number in range(3):
        engine.ask(str(number), [number + 1] * 9, GREEDY, lambda piece: pieces.append(piece.text))
    drain(engine)
    return pieces


def test_watching_changes_no_token(loaded: Loaded) -> None:
    recorder = Recorder()
    assert answers(loaded, None) == answers(loaded, recorder)
    assert recorder.latest is not None


def test_steps_are_the_scheduler_s_own(loaded: Loaded) -> None:
    engine, steps = engine_of(loaded, limits=Limits(tokens=8, running=4))
    for number in range(3):
        engine.ask(str(number), [number + 1] * 9, GREEDY, lambda piece: None, samples=number + 1)
    while engine.busy:
        batch = engine.step()
        step = steps[-1]
        assert step.tokens == batch.tokens
        assert step.running == tuple(sequence.id for sequence in engine.scheduler.running)
        for page, cell in enumerate(cells(engine.header, step)):
            assert len(cell.owners) == engine.pages.holders(page)
    assert sum(step.given for step in steps) == 6 * 12
    assert sum(step.tokens for step in steps) == engine.scheduler.counts.computed
    assert sum(part.accepted for step in steps for part in step.parts) == engine.scheduler.counts.accepted
    assert sorted(each.reason for step in steps for each in step.ended) == ["length"] * 6
    assert all(step.seconds > 0 for step in steps)


def test_a_stop_string_and_a_cancelled_one(loaded: Loaded) -> None:
    engine, steps = engine_of(loaded)
    text: list[str] = []
    engine.ask("probe", [65] * 5, GREEDY, lambda piece: text.append(piece.text))
    drain(engine)
    steps.clear()
    whole = "".join(text)
    stopped = Sampling(max_tokens=12, temperature=0.0, stop=(whole[2:4],))
    engine.ask("stopped", [65] * 5, stopped, lambda piece: None)
    engine.ask("gone", [66] * 5, GREEDY, lambda piece: None)
    engine.step()
    engine.cancel("gone")
    drain(engine)
    ended = {each.request: each.reason for step in steps for each in step.ended}
    assert ended == {"stopped": "stop", "gone": "cancelled"}
    assert sum(len(step.ended) for step in steps) == 2, "each ends once"


def test_nobody_listens_any_more(loaded: Loaded, caplog: pytest.LogCaptureFixture) -> None:
    engine, steps = engine_of(loaded)

    def fails(piece: object) -> None:
        raise RuntimeError("closed")

    engine.ask("deaf", [65] * 5, GREEDY, fails)
    drain(engine)
    engine.step()
    assert sum(len(step.ended) for step in steps) == 1
    assert "nobody takes the answer" in caplog.text


class Fails:
    """An executor that can't."""

    def run(self, batch: Batch) -> torch.Tensor:
        raise RuntimeError("no")


def test_a_step_that_fails_ends_all_with_an_error(loaded: Loaded) -> None:
    engine, steps = engine_of(loaded, executor=Fails())
    engine.ask("a", [65] * 5, GREEDY, lambda piece: None)
    engine.ask("b", [65] * 5, GREEDY, lambda piece: None)
    with pytest.raises(RuntimeError):
        engine.step()
    engine.fail()
    assert {each.request: each.reason for each in steps[-1].ended} == {"a": "error", "b": "error"}
    assert len(steps) == 1


def test_who_comes_late_sees_the_rest(loaded: Loaded) -> None:
    engine = Engine(loaded, memory=1 << 18, page=4)
    engine.ask("a", [65] * 5, GREEDY, lambda piece: None)
    engine.step()
    steps: list[Step] = []
    engine.watch(steps.append)
    engine.step()
    engine.watch(None)
    drain(engine)
    assert len(steps) == 1
    assert steps[0].parts[0].kind == "decode"
    assert steps[0].n == 1


def test_watching_from_inside_a_step_begins_with_the_next(loaded: Loaded) -> None:
    engine = Engine(loaded, memory=1 << 18, page=4)
    steps: list[Step] = []
    engine.ask("a", [65] * 5, GREEDY, lambda piece: steps or engine.watch(steps.append))
    drain(engine)
    assert steps
