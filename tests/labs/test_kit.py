"""The kit and the charts that labs share, and what reads and counts models, by numbers done by hand."""

import time

import numpy as np
import pytest
import torch

from handbook.lab import charts, kit
from handbook.model import counting, reading, routing


def test_paired_takes_turns_and_divides_slow_by_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow() -> None:
        calls.append("slow")
        now[0] += 0.02

    def fast() -> None:
        calls.append("fast")
        now[0] += 0.002

    ratios = kit.paired(slow, fast, pairs=3, inner=2)
    assert calls == ["fast", "slow", "fast", "fast", "slow", "slow", "fast", "fast", "fast", "fast", "slow"]
    assert ratios == pytest.approx([10, 10, 10])


def test_quiet_gives_the_threads_back_even_after_an_error() -> None:
    before = torch.get_num_threads()

    def fails() -> None:
        with kit.quiet():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


def test_peak_bytes_counts_what_is_alive_at_once() -> None:
    x = torch.ones(1000)  # 4,000 bytes that are not made by the work

    def one_after_the_other() -> torch.Tensor:
        for _ in range(5):
            y = x + 1
            del y
        return x.view(10, 100)  # a view makes nothing

    def together() -> list[torch.Tensor]:
        return [x + i for i in range(5)]

    def in_place() -> None:
        x.add_(1)

    assert kit.peak_bytes(one_after_the_other) == 4_000
    assert kit.peak_bytes(together) == 20_000
    assert kit.peak_bytes(in_place) == 0


def test_settled_after_by_hand() -> None:
    choices = torch.tensor([[1, 5, 3], [5, 5, 3], [1, 5, 4], [1, 5, 3]])  # three blocks, three positions
    assert reading.settled_after(choices).tolist() == [2, 0, 3]


def test_head_habits_by_hand() -> None:
    looks_back = torch.tensor(
        [[1.0, 0, 0, 0], [1, 0, 0, 0], [0.25, 0.5, 0.25, 0], [0.25, 0, 0.75, 0]]  # rows sum to 1
    )
    habits = reading.head_habits(looks_back[None, None])
    assert habits[:, 0].tolist() == pytest.approx([0.25, 0.625, 0.125])


def test_lens_ends_at_the_models_own_distribution() -> None:
    torch.manual_seed(0)
    config = counting.ModelConfig(
        vocab_size=50, dim=16, layers=3, heads=2, kv_heads=1, head_dim=8, hidden_dim=32, context=32
    )
    model, ids = counting.Transformer(config), [3, 1, 4, 1, 5]
    trace = reading.trace_of(model, ids)
    depths = reading.lens(model, trace, position=2)
    with torch.inference_mode():
        expected = model(torch.tensor([ids]))[0, 2].softmax(dim=-1)
    assert depths.shape == (4, 50)
    torch.testing.assert_close(depths[-1], expected)
    assert torch.equal(reading.lens_choices(model, trace)[:, 2], depths.argmax(dim=-1))


def test_routing_by_hand() -> None:
    logits = np.array([[3.0, 1, 2], [0, 5, 4], [9, 8, 7], [1, 0, 0.5]])
    chosen = routing.route(logits, 2)
    load = routing.expert_load(chosen, 3)
    assert chosen.tolist() == [[0, 2], [1, 2], [0, 1], [0, 2]]
    assert load.tolist() == [3, 2, 3]
    assert routing.capacity(load, 1.0) == 3  # 8 / 3, rounded up
    assert routing.dropped_share(load, 0.7) == pytest.approx(2 / 8)  # room for 2 each


def test_every_chart_is_valid_and_follows_the_page() -> None:
    drawn = [
        charts.heat_map(
            [[1.0, 0], [0.5, 0.5]],
            ["a", "a"],
            ["a", "a"],
            row_title="r",
            column_title="c",
            value_title="v",
            height=99,
        ),
        charts.lines({"one": [(1, 2.0), (10, 3.0)]}, x_title="x", y_title="y", log="xy", vertical=2),
        charts.lines({"one": [(1, 2.0), (10, 3.0)]}, x_title="x", y_title="y"),
        charts.grouped_bars({"one": [1, 2], "two": [2, 1]}, x_title="x", y_title="y", level=1.5),
        charts.bars({"one": 2.0}, x_title="x"),
        charts.dial({"key": 0.5}, title="t", subtitle="s"),
    ]
    for chart in drawn:
        assert chart.to_dict()["background"] == "transparent"  # to_dict checks the schema


def test_a_table_escapes_and_aligns() -> None:
    found = charts.table([{"token": "<script>", "bytes": 1234567, "top": ("␣the", 0.25)}])
    assert "<script>" not in found
    assert "&lt;script&gt;" in found
    assert "1,234,567" in found
    assert "␣the 25%" in found
