import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.beir import Golden, Text
from handbook.rag.sweep import Point, Setting, front, grid, halves, sweep, table


def point(quality: float, seconds: float) -> Point:
    return Point({"at": f"{quality} {seconds}"}, quality, seconds)


def test_a_worked_example() -> None:
    slow, fast, beaten, same_time = point(0.7, 3), point(0.5, 1), point(0.6, 4), point(0.4, 1)
    assert front([slow, fast, beaten, same_time]) == [fast, slow]
    assert table([slow, beaten, fast]).splitlines() == [
        "* 0.5000   1000.00 ms  at 0.5 1",
        "* 0.7000   3000.00 ms  at 0.7 3",
        "  0.6000   4000.00 ms  at 0.6 4",
    ]


small = st.integers(0, 4)


@given(st.lists(st.builds(point, small, small), max_size=12))
def test_the_front_is_what_nobody_beats(points: list[Point]) -> None:
    found = front(points)
    assert sorted(map(str, found)) == sorted(
        str(one) for one in points if not any(other.beats(one) for other in points)
    )
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)


def test_grid() -> None:
    assert grid({"depth": [10, 30], "weight": [0.5]}) == [
        {"depth": 10, "weight": 0.5},
        {"depth": 30, "weight": 0.5},
    ]
    assert grid({}) == [{}]


def many(count: int = 40) -> Golden:
    ids = [str(number) for number in range(count)]
    return Golden("many", {"a": Text("", "")}, {id: f"{id}?" for id in ids}, {id: {"a": 1} for id in ids})


def test_each_setting_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def build(setting: Setting) -> object:
        def rank(text: str) -> list[str]:
            assert text.endswith("?")
            now[0] += float(setting["wait"])
            return ["a"] if float(setting["wait"]) else ["b", "a"]

        return rank

    points = sweep(build, [{"wait": 0.002}, {"wait": 0}], many(10), "RR")  # type: ignore[arg-type]
    assert [point.quality for point in points] == [1, 0.5]
    assert [point.seconds for point in points] == pytest.approx([0.002, 0])
    assert front(points) == points[::-1]


def test_halves_are_apart_and_stay_so() -> None:
    one, other = halves(many())
    assert set(one.queries) | set(other.queries) == set(many().queries)
    assert not set(one.queries) & set(other.queries)
    assert set(one.judged) == set(one.queries)
    assert 10 <= len(one.queries) <= 30
    assert set(halves(many(20))[0].queries) == set(one.queries) & set(many(20).queries)


@pytest.mark.parametrize("other", [point(1, 1), point(0, 2), point(2, 2)])
def test_beats(other: Point) -> None:
    assert point(1, 1).beats(other) is (other.quality == 0)
