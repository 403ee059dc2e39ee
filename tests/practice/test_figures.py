"""Figures of a criterion and of an answer."""

import time

import pytest

from handbook.practice.figures import agreement, figures, wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4.3 GB", 4.3), ("8.03 billion", 8.03e9), ("1,280 slots", 1280), ("70%", 0.7), ("70 percent", 70),
        ("2.4e16 FLOP", 2.4e16), ("3 x 10^8", 3e8), ("5 \u00d7 10⁻³", 0.005), ("1/3", 1 / 3), ("47B", 47e9),
        ("forty", 40), ("twenty-five", 25), ("ten thousand", 10_000), ("128k", 128_000), ("-0.425", 0.425),
    ],
)  # fmt: skip
def test_reads(text: str, value: float) -> None:
    assert any(value == pytest.approx(one) for readings in figures(text) for one in readings)


@pytest.mark.parametrize("text", ["one can see", "K2", "layer_7", "a third way", "in v1.2.3x", ""])
def test_no_figure(text: str) -> None:
    assert not any(value in (1, 2, 7) for readings in figures(text) for value in readings)


@pytest.mark.parametrize(
    ("statement", "text", "share", "has"),
    [
        ("The result is about 4.3 GB (4 GiB).", "roughly 4.3 gigs", 1, True),
        ("The result is about 4.3 GB (4 GiB).", "four GiB", 1, True),
        ("The result is about 4.3 GB (4 GiB).", "43 GB", 0, True),
        ("The result is about 4.3 GB (4 GiB).", "some gigabytes", 0, False),
        ("The result is about 46.7 billion in total (46 to 47.5 accepted).", "47B", 1, True),
        ("The result is about 46.7 billion in total (46 to 47.5 accepted).", "45B", 0, True),
        ("The result is weights of about 0.88 and 0.12.", "0.88 / 0.12", 1, True),
        ("The result is weights of about 0.88 and 0.12.", "0.12 each", 0.5, True),
        ("The result is about 70% idle.", "0.7 of the time", 1, True),
        ("Keys are kept.", "2 things", 0, True),
    ],
)
def test_agreement(statement: str, text: str, share: float, has: bool) -> None:
    assert agreement(wanted(statement), text) == (share, has)


@pytest.mark.parametrize(
    "text", ["it takes 9999999999e300 GB", "it takes " + "9" * 400 + " GB", "9" * 310 + "%"]
)
def test_a_figure_beyond_all_measure_is_as_near_to_nothing(text: str) -> None:
    assert agreement(wanted("The result is about 4.3 GB (4 GiB)."), text)[0] == 0
    assert all(value < 1e309 for readings in figures(text) for value in readings)


@pytest.mark.alone
def test_a_row_of_digits_takes_no_longer_than_its_length() -> None:
    begun = time.perf_counter()
    wanted("1" * 20_000 + " x")
    assert time.perf_counter() - begun < 2  # it took a minute
