"""What the serving lab measures, by arithmetic done here; and broken code, which it notices."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from handbook.book.load import open_book
from handbook.engine import drawing as engine_drawing
from handbook.engine import speculative
from handbook.engine.pages import Pages, Table
from handbook.engine.scheduler import Scheduler
from handbook.engine.work import Limits
from handbook.lab import kit
from handbook.lab.serving import (
    batching,
    capacity,
    drawing,
    fitting,
    looks,
    machine,
    paging,
    phases,
    plots,
    rounding,
    sharing,
    simulator,
    speculation,
    steps,
    streaming,
    streams,
)
from handbook.lab.serving.machine import Step
from handbook.lab.serving.simulator import STEPS, Cost, Guess, simulate
from handbook.lab.serving.streams import Job, Lengths, stream
from handbook.model.transformer import Transformer
from tests.labs.conftest import ROOT

pytestmark = pytest.mark.alone

CLAIMS = {claim.id: claim for claim in open_book(ROOT / "book").chapters["llm-serving-optimization"].claims}


def held(id: str, found: float | list[float]) -> bool:
    samples = sorted(found) if isinstance(found, list) else [found]
    return CLAIMS[id].holds(samples[len(samples) // 2])


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """What is measured once per process must not outlive code that a test broke."""
    kept = (paging.paged, paging.reserved, streaming.interrupted, capacity.saturation, fitting.judged)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def test_streams_come_again_and_keep_their_bounds() -> None:
    jobs = stream(500, rate=4.0, seed=1, shared=8)
    assert jobs == stream(500, rate=4.0, seed=1, shared=8) != stream(500, rate=4.0, seed=2, shared=8)
    assert all(8 + 32 <= len(job.prompt) <= 8 + 1024 and 16 <= job.output <= 256 for job in jobs)
    assert jobs[-1].arrival == pytest.approx(125, rel=0.15)
    assert sorted(len(job.prompt) - 8 for job in jobs)[250] == pytest.approx(160, rel=0.15)
    assert all(job.prompt[:8] == jobs[0].prompt[:8] for job in jobs)
    own = [token for job in jobs for token in job.prompt[8:]]
    assert len(own) == len(set(own))
    assert all(0 <= token < 10 for job in stream(5, vocabulary=10) for token in job.prompt)


def test_a_simulation_by_hand() -> None:
    """10 s a step, 1 s a token: a prompt of 4 in pieces of 3, beside a decode."""
    jobs = [Job(0.0, (1, 2), 3), Job(5.0, (7, 8, 9, 10), 1)]
    story = simulate(jobs, Limits(tokens=3, running=2), Pages(8, 4), Cost(10, 1, 0))
    assert [m.tokens for m in story.moments] == [2, 3, 3]
    assert [s.times for s in story.served] == [[12, 25, 38], [38]]
    assert story.firsts() == [12, 33]
    assert story.gaps() == [13, 13]
    assert story.rate == 4 / 38
    assert [(m.held, m.used) for m in story.moments] == [(1, 2), (2, 5), (2, 8)]


def test_positions_cost_too() -> None:
    story = simulate([Job(0.0, (1, 2, 3), 3)], Limits(), Pages(8, 4), Cost(0, 0, 1))
    assert story.served[0].times == [3, 3 + 4, 3 + 4 + 5]


def test_drafts_bring_what_the_formula_says() -> None:
    jobs = [Job(0.0, (1,), 4000)]
    story = simulate(jobs, Limits(), Pages(300, 16), STEPS, Guess(drafts=4, acceptance=0.8))
    assert 4000 / story.counts.steps == pytest.approx(speculative.expected_tokens(0.8, 4), rel=0.05)


def test_a_static_batch_waits_for_all_and_for_its_longest() -> None:
    jobs = [Job(0.0, (1,), 2), Job(7.0, (2,), 5), Job(8.0, (3,), 1)]
    story = simulator.simulate_static(jobs, 2, Limits(), Pages(8, 4, share=False), STEPS)
    assert [s.times for s in story.served] == [[8, 9], [8, 9, 10, 11, 12], [13]]
    assert story.counts.steps == 6


def test_intensity_by_hand() -> None:
    matrices = 49152 * 576 + 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)
    weights, kv = 2 * (matrices + 61 * 576), 30 * 2 * 3 * 64 * 2 * 256
    flops = 2 * matrices + 30 * 4 * 576 * 257
    assert phases.intensity_1() == pytest.approx(flops / (weights + kv))
    assert phases.intensity_32() == pytest.approx(32 * flops / (weights + 32 * kv))
    assert phases.intensity_limit() == pytest.approx(flops / kv)
    assert phases.tensor_parallel_bytes() == 2 * 80 * 8192 * 2
    assert phases.tensor_parallel_sent_bytes() == 2 * 80 * 8192 * 2 * 2 * 7 / 8
    device = phases.Device(flops=100, bandwidth=10)
    assert (device.ridge, device.seconds(50, 50), device.seconds(500, 5)) == (10, 5, 5)


def test_the_queue_is_the_textbooks() -> None:
    assert capacity.mean_wait(0.7, 400_000, seed=4) == pytest.approx(0.7 / 0.3, rel=0.05)


def test_replicas_are_as_few_as_meet_the_level() -> None:
    level, rate = capacity.Level(0.2, 0.03), 100.0
    found = capacity.replicas(rate, level, 0.99)
    assert found is not None
    assert found.each.good >= 0.99
    one_less = stream(600, rate / (found.servers - 1), seed=8)
    assert capacity.under(0.0, capacity.serve(one_less), level).good < 0.99
    assert capacity.replicas(rate, capacity.Level(0.001, 0.03), 0.99) is None


def test_fitting_finds_the_formula() -> None:
    cost = Cost(0.5, 0.25, 0.125)
    sizes = [(1, 5), (8, 9), (3, 100), (7, 30)]
    taken = [Step(cost.step + cost.token * t + cost.position * p, t, p, 1, ()) for t, p in sizes]
    assert fitting.fitted(taken) == pytest.approx(cost)
    falling = [Step(1 - 0.01 * p, 1, p, 1, ()) for p in (1, 10, 50)]
    assert min(fitting.fitted(falling)) == 0  # no cost is negative


def test_slots_of_both_ways() -> None:
    both = looks.batching(count=12, slots=4, spread=0.8)
    static, continuous = plots.static_bars(both.jobs, 4), plots.continuous_bars(both.continuous)
    useful = sum(job.output for job in both.jobs)
    for bars in (static, continuous):
        assert sum(b["end"] - b["start"] for b in bars if b["kind"] == "useful") == useful
        assert {b["slot"] for b in bars} == {1, 2, 3, 4}
        for slot in range(1, 5):
            mine = sorted((b["start"], b["end"]) for b in bars if b["slot"] == slot)
            assert all(end <= start for (_, end), (start, _) in pairwise(mine))
    assert max(b["end"] for b in static) == both.static.counts.steps
    for chart in plots.timeline([*static, *continuous], 4):
        assert chart.to_dict()["background"] == "transparent"


def test_what_the_sliders_ask() -> None:
    on, off = (looks.prefixed(512, 64, 40, 4096, keep) for keep in (True, False))
    assert off.share == 0
    assert on.share == pytest.approx(39 / 40 * 512 / 576, rel=0.05)
    assert on.first < off.first
    pieces, whole = looks.chunked(4000, 256), looks.chunked(4000, 0)
    assert pieces.gap < whole.gap / 5
    assert pieces.first > whole.first
    assert looks.drafted(0.5, 0.1, 2)[2] == (2, 1.75, pytest.approx(1.75 / 1.2))
    assert looks.rounding_error(100, turned=True) < looks.rounding_error(100, turned=False) / 3
    assert looks.rounding_error(1, turned=True) == pytest.approx(looks.rounding_error(1, False), rel=0.1)


def test_filters_leave_what_they_should() -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    before, after = drawing.shares(logits, temperature=1.0, k=0, p=0.6, least=0.0)
    assert before.tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert after.tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert drawing.shares(logits, 1.0, 0, 1.0, 0.4)[1].tolist() == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0])


def tied_model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(replace(machine.TINY, tie_embeddings=True)).eval().requires_grad_(False)


@pytest.mark.parametrize("turn", [rounding.straight, rounding.turned])
def test_a_model_in_8_bits_is_nearly_the_model(turn: rounding.Turn) -> None:
    model, ids = tied_model(), torch.arange(60)[None] % machine.LETTERS
    with kit.quiet():
        right, got = model(ids), rounding.rounded_model(model, turn)(ids)
        again = model(ids)
    error = float((right - got).norm() / right.norm())
    assert 1e-4 < error < 0.05  # rounded, and not wrong
    assert torch.equal(right, again)  # the model itself is as it was


def test_turning_one_side_only_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = tied_model(), torch.arange(60)[None] % machine.LETTERS
    monkeypatch.setattr(rounding, "rounded_weight", lambda w: rounding.turned(w))
    with kit.quiet():
        right, got = model(ids), rounding.rounded_model(model, rounding.turned)(ids)
    assert float((right - got).norm() / right.norm()) > 0.5


def test_a_session_says_how_long_and_how_much() -> None:
    jobs = stream(3, seed=1, prompts=Lengths(20, 20, 20, 0), answers=Lengths(5, 5, 5, 0), vocabulary=64)
    session = machine.run(machine.random_model(), jobs, limits=Limits(tokens=64, running=3))
    assert [len(times) for times in session.times] == [5, 5, 5]
    assert sum(step.given for step in session.steps) == 15
    assert session.steps[0].tokens == 60
    assert session.steps[-1].positions == 3 * 24
    assert session.now == pytest.approx(sum(step.seconds for step in session.steps))
    assert all(len(text) == 5 for text in session.texts)


def test_benches_run_what_they_say() -> None:
    bench = steps.Bench(machine.random_model(), 2, 64, swap=4)
    keys = bench.store.keys.clone()
    bench.round_trip(64)()
    assert torch.equal(bench.store.keys, keys)
    assert bench.store.away is not None
    assert torch.equal(bench.store.away[0], keys[:, :64])  # the pages were there
    assert bench.decode(2, 30, drafts=3)().shape[0] == 2 * 4
    assert len(bench.prefill(60, pieces=4)()) == 4


def test_speeds_of_every_way_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    right = steps.pick
    monkeypatch.setattr(steps, "pick", lambda model, store, precision: right(model, store, None))
    assert list(steps.roofs([1, 2], 32, small=True)) == ["torch"]  # no other way on this machine
    assert steps.roofs([1, 2], 32, small=True)["torch"][1][0] == 2


def test_in_turns_divides_the_slow_by_the_fast() -> None:
    order: list[str] = []

    def slow() -> float:
        order.append("slow")
        return 6.0

    def fast() -> float:
        order.append("fast")
        return 2.0

    assert machine.in_turns(slow, fast, 2) == [3.0, 3.0]
    assert order == ["fast", "slow", "slow", "fast"]


def test_a_batch_that_is_not_refilled_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Scheduler._admit
    monkeypatch.setattr(
        Scheduler, "_admit", lambda self, work, left: [] if self.running else right(self, work, left)
    )
    assert not held("continuous-over-static-steps", batching.continuous_over_static_steps())


def test_pages_taken_too_early_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "trim", lambda self, table: None)
    right = Pages.reserve
    monkeypatch.setattr(
        Pages, "reserve", lambda self, table, length: right(self, table, length + 2 * self.size)
    )
    assert not held("page-waste", paging.page_waste())


def test_a_queue_that_is_not_fair_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "FEW", sharing.FLOOD)
    assert not held("fair-wait", sharing.fair_wait())


def test_a_cache_that_finds_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "adopt", lambda self, names, salt=b"": Table(salt))
    assert not held("prefix-throughput", streaming.prefix_throughput())
    assert not held("prefix-ttft", streaming.prefix_ttft())


def test_chunks_that_are_whole_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "CHUNKED", streaming.WHOLE)
    assert not held("chunked-gap", streaming.chunked_gap())


def test_drafts_that_are_always_kept_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(drafts, drawn):
        return [*drafts[: len(drawn) - 1], drawn[-1]] if len(drawn) > 1 else [drafts[0]]

    monkeypatch.setattr(engine_drawing, "accept_same_draw", kept)
    assert not held("same-draw-identical", speculation.same_draw_identical())


def test_speculation_is_there_to_be_compared() -> None:
    session = machine.Session(
        machine.random_model(), sampling=speculation.Sampling(temperature=0.1), speculation="lookup"
    )
    for number, job in enumerate(speculation.small_talk()):
        session.ask(job, seed=number)
    with kit.quiet():
        session.run()
    assert sum(told.accepted for told in session.told) > 20  # and wrong ones too:
    assert sum(told.drafted - told.accepted for told in session.told) > 20


def test_randomness_that_hangs_on_the_batch_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(range(1_000_000))
    monkeypatch.setattr(engine_drawing, "randomness", lambda *place: math.modf(next(draws) * 0.618)[0])
    assert not held("batch-invariance", speculation.batch_invariance())


@pytest.mark.parametrize("fault", ["leftover", "always"])
def test_a_wrong_rejection_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "leftover":
        monkeypatch.setattr(speculative, "leftover", lambda p, q: p)
    else:
        right = speculative.accept_by_rejection
        monkeypatch.setattr(
            speculation,
            "accept_by_rejection",
            lambda drafts, q, p, uniforms: right(drafts, q, p, [0.0, *uniforms[1:]]),
        )
    assert not held("rejection-distance", speculation.rejection_distance())


def test_a_formula_that_is_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fitting.fitted
    monkeypatch.setattr(fitting, "fitted", lambda steps: Cost(*(3 * part for part in right(steps))))
    assert not held("simulator-error", fitting.simulator_error())


def test_counts_of_the_streams_module() -> None:
    assert streams.FRESH > 49_152  # no id of a prompt is one that a model says
