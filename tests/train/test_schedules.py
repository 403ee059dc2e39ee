"""Learning rates: each shape begins at the peak, ends where it should, and is as named between."""

from itertools import pairwise

import pytest

from handbook.errors import SettingsError
from handbook.train.loop import TrainConfig, rate_at
from handbook.train.schedules import SHAPES, rate


def rates(kind: str, steps: int = 101, warmup: int = 0, cooldown: float = 0.2) -> list[float]:
    return [rate(kind, step, steps, warmup, 1.0, 0.1, cooldown) for step in range(steps)]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("warmup", [0, 1, 10])
def test_all_rise_in_a_line_and_never_rise_again(kind: str, warmup: int) -> None:
    found = rates(kind, warmup=warmup)
    assert found[:warmup] == pytest.approx([(n + 1) / warmup for n in range(warmup)])
    assert found[warmup] == 1.0
    assert found[-1] == pytest.approx(1.0 if kind == "constant" else 0.1)
    assert all(a >= b for a, b in pairwise(found[warmup:]))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates(kind: str, steps: int) -> None:
    assert all(0 < each <= 1 for each in rates(kind, steps, warmup=1))


def test_a_line_is_halfway_in_the_middle_and_so_is_a_cosine() -> None:
    assert rates("linear")[50] == rates("cosine")[50] == pytest.approx(0.55)
    assert rates("linear")[25] == pytest.approx(0.775)
    assert rates("cosine")[25] == pytest.approx(0.1 + 0.9 * (1 + 2**-0.5) / 2)


@pytest.mark.parametrize("cooldown", [0.0, 0.1, 0.5, 1.0])
def test_wsd_is_stable_and_then_falls_in_a_line(cooldown: float) -> None:
    found = rates("wsd", cooldown=cooldown)
    stable = round(100 * (1 - cooldown))
    assert found[: stable + 1] == [1.0] * (stable + 1)
    if cooldown:
        falls = [b - a for a, b in pairwise(found[stable:])]
        assert falls == pytest.approx([-0.9 / (100 * cooldown)] * len(falls))
        assert found[-1] == pytest.approx(0.1)


def test_the_loop_takes_its_numbers_from_the_settings() -> None:
    config = TrainConfig(steps=11, rate=2.0, warmup=0, floor=0.25, schedule="wsd", cooldown=0.5)
    assert [rate_at(step, config) for step in (0, 5, 10)] == pytest.approx([2.0, 2.0, 0.5])


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="cosine, linear, constant, wsd, got 'step'"):
        rate("step", 0, 1, 0, 1.0, 0.1)


def test_all_faults_of_settings_are_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        TrainConfig(
            steps=-1, rate=0.0, warmup=-2, floor=2.0, decay=-0.1, betas=(0.9, 1.0), clip=-1.0,
            schedule="step", cooldown=1.5, optimizer="sgd", precision="fp8",
        )  # fmt: skip
    for name in TrainConfig.__slots__:
        assert f"{name}: expected" in caught.value.what
    with pytest.raises(SettingsError, match="rate: expected more than 0, got nan"):
        TrainConfig(steps=1, rate=float("nan"), warmup=0)
