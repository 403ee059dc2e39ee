"""The scripted loads show what they say they show, on the real scheduler."""

from dataclasses import replace

import pytest

from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import Knobs, Scenario, ask, fitted, run, token_at
from handbook.engine.trace import Step, cells
from handbook.errors import HandbookError

EVERY = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


def said(steps: list[Step]) -> dict[tuple[str, int], int]:
    """Tokens that each text had said when it ended."""
    texts = [step.texts[each.sequence] for step in steps for each in step.ended]
    return {(text.request, text.sample): text.tokens - text.prompt for text in texts}


@EVERY
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"page": 4},
        {"chunked": False},
        {"drafts": 4},
        {"memory": 256, "swap": True},
        {"share": False},
        {"tokens": 1, "running": 1},
    ],
)
def test_whatever_the_knobs_every_text_is_said_whole(scenario: Scenario, change: dict[str, int]) -> None:
    _, steps = run(scenario, replace(scenario.knobs, **change))
    wanted = {
        (request.id, sample): request.max_tokens
        for _, request in scenario.load
        for sample in range(request.samples)
    }
    assert said(steps) == wanted
    assert sum(step.given for step in steps) == sum(wanted.values())
    assert not steps[-1].running
    assert steps[-1].waiting_count == 0


@EVERY
def test_the_same_knobs_are_the_same_run(scenario: Scenario) -> None:
    assert run(scenario, scenario.knobs) == run(scenario, scenario.knobs)


def steps_of(name: str, **change: object) -> list[Step]:
    scenario = SCENARIOS[name]
    return run(scenario, replace(scenario.knobs, **change))[1]


def test_each_scenario_shows_its_thing() -> None:
    header, steps = run(SCENARIOS["prefix"], Knobs())
    assert sum(step.reused for step in steps) == 9 * 128
    assert any(len(cell.owners) > 2 for step in steps for cell in cells(header, step))
    assert sum(step.reused for step in steps_of("prefix", share=False)) == 0
    assert sum(len(step.preempted) for step in steps_of("pressure")) > 0
    assert sum(len(step.preempted) for step in steps_of("pressure", memory=4096)) == 0
    moved = steps_of("pressure", swap=True)
    assert sum(step.out for step in moved) == sum(step.back for step in moved) > 0
    assert any(step.swapped for step in moved)
    assert sum(step.out for step in steps_of("pressure")) == 0
    assert sum(len(step.copies) for step in steps_of("samples")) > 0
    assert max(len(step.running) for step in steps_of("mixed")) > 5


def test_a_long_prompt_in_pieces_leaves_the_others_their_turn() -> None:
    pieces, whole = (max(step.seconds for step in steps_of("long-prompt", chunked=c)) for c in (True, False))
    assert whole > 3 * pieces


def test_guesses_that_are_right_save_steps() -> None:
    assert len(steps_of("copying")) < 0.5 * len(steps_of("copying", drafts=0))
    parts = [part for step in steps_of("copying") for part in step.parts]
    share = sum(part.accepted for part in parts) / sum(part.drafts for part in parts)
    assert 0.5 < share < 0.85, "a wrong guess ends its row, so fewer than 85 % count"


def test_knobs_are_fitted_aloud() -> None:
    scenario = SCENARIOS["long-prompt"]
    knobs, notes = fitted(scenario, Knobs(memory=16, chunked=False))
    assert (knobs.memory, knobs.tokens) == (scenario.longest + 16, scenario.longest)
    assert len(notes) == 2
    assert fitted(scenario, scenario.knobs) == (scenario.knobs, [])
    knobs, notes = fitted(SCENARIOS["samples"], Knobs(tokens=1, running=1))
    assert (knobs.running, knobs.tokens) == (4, 4)
    assert notes


def test_all_faults_of_knobs_at_once() -> None:
    with pytest.raises(HandbookError, match=r"page is 0.*memory is 9.*drafts is 99"):
        run(SCENARIOS["mixed"], Knobs(page=0, memory=9, drafts=99))


def test_what_is_said_hangs_on_the_place_alone() -> None:
    assert token_at("a", 0, 3) == token_at("a", 0, 3) != token_at("a", 0, 4)


def test_the_same_load_on_a_real_engine(loaded: object) -> None:
    from handbook.engine.engine import Engine
    from handbook.engine.work import Limits, Request

    now = [0.0]

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    steps: list[Step] = []
    engine = Engine(loaded, memory=1 << 20, page=4, limits=Limits(running=4), clock=clock, watch=steps.append)
    load = [(0.0, Request(id="a", prompt=(9000, 7, 7), max_tokens=5, samples=2))]
    load += [(0.02, Request(id="b", prompt=(1, 2), max_tokens=3))]
    ask(engine, Scenario("x", "X", "", load, Knobs()))
    assert said(steps) == {("a", 0): 5, ("a", 1): 5, ("b", 0): 3}
