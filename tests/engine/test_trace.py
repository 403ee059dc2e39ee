"""Steps as they are seen, written down and read again. Files are anybody's: what can't be is refused."""

import io
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.engine import tracefile
from handbook.engine.observer import WAITING_SHOWN, Observer
from handbook.engine.pages import Copy
from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import Knobs, run
from handbook.engine.trace import Ended, Header, Part, Recorder, Step, Text, cells
from handbook.engine.tracefile import Trace, TraceError, TraceWriter, parse, read
from handbook.engine.traceline import STATES, decode, encode, follow
from handbook.engine.work import Batch, Event, Limits, Request
from tests.engine.machine import STOP, Machine


class Watched(Machine):
    """The machine without a model, and somebody who watches it."""

    def __init__(self, pages: int, size: int, limits: Limits, seed: int = 0) -> None:
        super().__init__(pages, size, limits, seed=seed)
        self.steps: list[Step] = []
        self.observer = Observer(self.scheduler, self.steps.append, lambda: self.now + 0.25)
        self.events: list[Event] = []

    def collect(self, events: Sequence[Event]) -> None:
        self.events += events
        super().collect(list(events))

    def run(self, batch: Batch) -> dict[int, list[int]]:
        self.observer.scheduled(batch)
        self.sampled = super().run(batch)
        return self.sampled

    def step(self) -> Batch:
        self.events, began = [], self.now
        batch = super().step()
        self.now = began
        self.observer.done(batch, self.sampled, self.events, began)
        self.now = began + 1.0
        return batch

    def compare_with(self, step: Step) -> None:
        """The step against the scheduler's own tables."""
        scheduler, pages = self.scheduler, self.pages
        assert sum(each.evicted for each in self.steps) == pages.evicted
        assert sum(each.reused for each in self.steps) == scheduler.counts.reused
        assert step.running == tuple(s.id for s in scheduler.running)
        assert set(step.waiting) == {s.id for s in list(scheduler.queue)[:WAITING_SHOWN]}
        assert step.waiting_count == len(scheduler.queue)
        header = Header.of(scheduler, "machine")
        for page, cell in enumerate(cells(header, step)):
            assert len(cell.owners) == pages.holders(page)
            assert cell.state in (("held", "shared") if cell.owners else ("free", "cached"))
            for number in cell.owners:
                table = scheduler.sequence(number).table
                index = table.pages.index(page)
                assert cell.filled >= min(pages.size, max(0, table.length - index * pages.size))
        assert sum(cell.state in ("free", "cached") for cell in cells(header, step)) == pages.available


@st.composite
def loads(draw: st.DrawFn) -> Watched:
    size = draw(st.integers(1, 4))
    limits = Limits(
        tokens=draw(st.integers(4, 24)),
        running=4,
        chunk=draw(st.sampled_from([0, 3])),
        swap=draw(st.sampled_from([0, 6])),
        patience=0,
    )
    machine = Watched(draw(st.integers(6, 24)), size, limits, draw(st.integers(0, 9)))
    dice = random.Random(draw(st.integers(0, 10_000)))
    room = machine.pages.count * size
    for turn in range(40):
        if dice.random() < 0.4:
            length, most = dice.randint(1, room // 2), dice.randint(1, room // 2)
            prompt = tuple(dice.randrange(2) for _ in range(length))
            samples = dice.choice([1, 1, 1, 3])
            machine.add(
                Request(
                    id=f"r{turn}", prompt=prompt, max_tokens=most, samples=samples, stops=frozenset({STOP})
                )
            )
        if dice.random() < 0.1:
            machine.scheduler.cancel(f"r{dice.randrange(40)}")
        machine.step()
        machine.compare_with(machine.steps[-1])
    return machine


@given(loads(), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_differences_bring_back_every_step_whole(machine: Watched, every: int) -> None:
    before: Step | None = None
    back: Step | None = None
    for number, step in enumerate(machine.steps):
        line = json.dumps(encode(before if number % every else None, step))
        back = follow(back, decode(line), machine.pages.count)
        assert back == step
        before = step


numbers = st.integers(0, 9)
names = st.text(max_size=5)
reasons = st.sampled_from(["stop", "length", "cancelled", "deadline", "error"])
some_pages = st.lists(st.integers(0, 30), max_size=6, unique=True).map(tuple)
texts = st.builds(
    Text, numbers, names, numbers, numbers, numbers, numbers, numbers, numbers, numbers,
    st.sampled_from(STATES), some_pages,
)  # fmt: skip


@st.composite
def any_step(draw: st.DrawFn) -> Step:
    """Not one that a scheduler would make: whatever the shapes allow."""
    there = {text.sequence: text for text in draw(st.lists(texts, max_size=6))}
    known = st.sampled_from(sorted(there)) if there else st.nothing()
    some = st.lists(known, max_size=4).map(tuple) if there else st.just(())
    counts = sorted(draw(st.tuples(numbers, numbers, numbers)))
    part = st.builds(
        Part, known, st.sampled_from(["prefill", "decode"]), numbers, st.just(counts[2]), st.just(counts[1]),
        st.just(counts[0]), numbers,
    )  # fmt: skip
    return Step(
        n=draw(numbers),
        at=draw(st.floats(0, 100)),
        seconds=draw(st.floats(0, 100)),
        parts=tuple(draw(st.lists(part, max_size=4))) if there else (),
        texts=there,
        running=draw(some),
        waiting=draw(some),
        waiting_count=draw(numbers),
        idle=draw(st.frozensets(st.integers(0, 30), max_size=5)),
        preempted=draw(some),
        copies=tuple(draw(st.lists(st.builds(Copy, numbers, numbers), max_size=2))),
        out=draw(numbers),
        back=draw(numbers),
        evicted=draw(numbers),
        reused=draw(numbers),
        ended=tuple(draw(st.lists(st.builds(Ended, numbers, names, numbers, reasons), max_size=2))),
    )


@given(st.lists(any_step(), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_steps_come_back(steps: list[Step]) -> None:
    before = back = None
    for step in steps:
        back = follow(back, decode(json.dumps(encode(before, step))), 31)
        assert back == step
        before = step


def written(folder: Path, limit: int = 1 << 20) -> tuple[Path, Header, list[Step]]:
    header, steps = run(SCENARIOS["pressure"], replace(SCENARIOS["pressure"].knobs, swap=True))
    file = folder / "run.jsonl"
    writer = TraceWriter(file, header, limit)
    for step in steps:
        writer(step)
    writer.close()
    return file, header, steps


def test_a_file_has_all_steps_from_any_place(tmp_path: Path) -> None:
    file, header, steps = written(tmp_path)
    trace = read(file)
    assert (trace.header, trace.end, list(trace)) == (header, "closed", steps)
    for index in (150, 3, 151, 64, 63, -1):
        assert trace[index] == steps[index]
    assert trace[5:8] == steps[5:8]
    with pytest.raises(IndexError):
        trace[len(steps)]
    assert file.stat().st_size < 200 * len(steps), "differences are small"
    assert b'"gone"' not in file.read_bytes(), "that somebody ended is said once"


def test_a_trace_that_was_cut_off_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    file, _, steps = written(tmp_path)
    data = file.read_bytes()
    head = data.index(b"\n", data.index(b"\n") + 1) + 1
    for end in (head, head + 1, len(data) // 2, len(data) - 20, len(data) - 1):
        trace = parse(io.BytesIO(data[:end]), "x")
        whole = data[:end].count(b"\n") - 1
        assert trace.end == "cut"
        assert list(trace) == steps[:whole]


def test_every_line_is_on_the_disk_when_its_step_is_over(tmp_path: Path) -> None:
    header, steps = run(SCENARIOS["samples"], Knobs(memory=512))
    writer = TraceWriter(tmp_path / "x", header)
    for count, step in enumerate(steps, start=1):
        writer(step)
        assert (tmp_path / "x").read_bytes().count(b"\n") == count + 1
    writer.close()
    writer.close()
    writer(steps[0])
    assert len(read(tmp_path / "x")) == len(steps)


def test_a_trace_ends_at_its_limit_and_the_run_goes_on(tmp_path: Path) -> None:
    file, _, steps = written(tmp_path, limit=5000)
    assert 5000 <= file.stat().st_size < 8000
    trace = read(file)
    assert trace.end == "limit"
    assert list(trace) == steps[: len(trace)]


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    header, _ = run(SCENARIOS["samples"], Knobs(memory=512))
    (tmp_path / "mine").write_text("a novel")
    with pytest.raises(TraceError, match="exists already"):
        TraceWriter(tmp_path / "mine", header)
    with pytest.raises(TraceError, match="can't be written"):
        TraceWriter(tmp_path / "no" / "folder", header)
    assert (tmp_path / "mine").read_text() == "a novel"


def test_a_full_disk_ends_the_trace_and_not_the_run(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this machine")
    header, steps = run(SCENARIOS["samples"], Knobs(memory=512))
    writer = TraceWriter(tmp_path / "x", header)
    assert writer._out is not None
    writer._out.close()
    writer._out = full.open("wb", buffering=0)
    writer(steps[0])
    assert writer._out is None
    writer(steps[1])
    writer.close()


HEADER = json.loads(
    '{"schema":"handbook.engine.trace/1","model":"m","pages":4,"page":2,"tokens":8,"running":2,"chunked":true,'
    '"chunk":0,"swap":0,"speculation":"off","clock":"real","made":""}'
)
FIRST = {"n": 1, "at": 0.0, "seconds": 0.1, "key": True}
NEW = {"sequence": 0, "request": "a", "sample": 0, "prompt": 1, "most": 4}


def text(*lines: object) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({}, "schema"),
        ({**HEADER, "schema": "other/1"}, "expected 'handbook.engine.trace/1'"),
        ({**HEADER, "pages": 0}, "pages"),
        ({**HEADER, "pages": 1 << 40}, "pages"),
        ({**HEADER, "page": "2"}, "page"),
        ({**HEADER, "model": "m" * 2000}, "model"),
        ({**HEADER, "extra": 1}, "extra"),
        ([1, 2], "first line"),
    ],
)
def test_foreign_files_are_refused(header: object, fault: str) -> None:
    with pytest.raises(TraceError, match=fault):
        parse(text(header, FIRST), "x")


@pytest.mark.parametrize("data", [b"", b"\n", b"PK\x03\x04\n\xff\xfe\n", b"[" * 100_000 + b"\n", b"{}\n"])
def test_what_is_no_trace_is_refused(data: bytes) -> None:
    with pytest.raises(TraceError, match="no trace of this engine"):
        parse(io.BytesIO(data), "x")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ({}, "Line 3"),
        ({"n": 2, "at": 1.0, "seconds": -1.0}, "seconds"),
        ({"n": 2, "at": float("nan"), "seconds": 0.0}, "Line 3"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "script": "<b>"}, "script"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "work": [[7]]}, "sequence 7 goes on"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "work": [[]]}, "no share of a step"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "work": [[0, 0, 1, 2, 0, 0, 0]]}, "no share of a step"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "work": [[0, 0, 1, 0, 0, 0, 9]]}, "no share of a step"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "running": [3]}, "sequence 3"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "set": [[0, 9, 1, 1, 1, 1]]}, "no state 9"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "set": [[5, 1, 1, 1, 1, 1]]}, "sequence 5"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "pages": [[0, 0, 4]]}, "can't hold pages"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "pages": [[0, 0, 1, 1]]}, "can't hold pages"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "pages": [[0, 2, 1]]}, "can't hold pages"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "idle": [4]}, "one beyond them is idle"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "gone": [8]}, "sequence 8"),
        ({"n": 1, "at": 1.0, "seconds": 0.0}, "back in time"),
        ({"n": 2, "at": 1.0, "seconds": 0.0, "evicted": 1 << 60}, "evicted"),
    ],
)
def test_damaged_lines_are_refused_with_their_number(line: object, fault: str) -> None:
    good = {**FIRST, "new": [NEW], "set": [[0, 0, 1, 0, 0, 0]], "running": [0]}
    assert len(parse(text(HEADER, good), "x")) == 1
    with pytest.raises(TraceError, match=fault):
        parse(text(HEADER, good, line), "x")


def test_a_trace_begins_with_a_whole_step() -> None:
    with pytest.raises(TraceError, match="does not hold everything"):
        parse(text(HEADER, {**FIRST, "key": False}), "x")
    with pytest.raises(TraceError, match="without a step"):
        parse(text(HEADER, {"end": "closed"}), "x")


def test_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraceError, match="more than 0 MiB"):
        parse(text(HEADER, FIRST), "x", most=100)
    with pytest.raises(TraceError, match="more than 1 steps"):
        parse(text(HEADER, FIRST, {**FIRST, "n": 2}), "x", steps=1)
    monkeypatch.setattr(tracefile, "MOST_LINE", 300)
    with pytest.raises(TraceError, match="a line of more"):
        parse(text(HEADER, {**FIRST, "idle": [1] * 200}), "x")
    many = [{**NEW, "sequence": number} for number in range(5000)]
    monkeypatch.setattr(tracefile, "MOST_LINE", 1 << 20)
    with pytest.raises(TraceError, match="5000 sequences"):
        parse(text(HEADER, {**FIRST, "new": many}), "x")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="can't be read"):
        read(tmp_path / "none")
    with pytest.raises(TraceError, match="can't be read"):
        read(tmp_path)


def test_a_worked_example() -> None:
    """One text of three tokens in pages of two: 'what it did' and 'how it stands', by hand."""
    machine = Watched(4, 2, Limits(tokens=8, running=2))
    machine.random = random.Random(1)
    machine.add(Request(id="a", prompt=(3, 1, 2), max_tokens=2))
    machine.step()
    step = machine.steps[0]
    assert step.parts == (Part(0, "prefill", 0, 3, 0, 0, 1),)
    assert step.texts == {0: Text(0, "a", 0, 3, 2, 4, 3, 0, 0, "running", (0, 1))}
    assert (step.n, step.at, step.seconds, step.tokens, step.given) == (1, 0.0, 0.25, 3, 1)
    first, second, *free = cells(Header.of(machine.scheduler, "m"), step)
    assert (first.owners, first.filled, first.state) == ((0,), 2, "held")
    assert (second.owners, second.filled, second.state) == ((0,), 1, "held")
    assert [cell.state for cell in free] == ["free", "free"]
    machine.step()
    step = machine.steps[1]
    assert step.parts == (Part(0, "decode", 3, 1, 0, 0, 1),)
    assert step.ended == (Ended(0, "a", 0, "length"),)
    assert step.texts[0].state == "ended"
    assert [cell.state for cell in cells(Header.of(machine.scheduler, "m"), step)] == [
        "cached", "cached", "free", "free",
    ]  # fmt: skip


def test_long_queues_are_told_of_by_their_number() -> None:
    machine = Watched(8, 4, Limits(tokens=4, running=1))
    for number in range(200):
        machine.add(Request(id=f"r{number}", prompt=(1,), max_tokens=1))
    machine.step()
    step = machine.steps[0]
    assert (step.waiting_count, len(step.waiting)) == (199, WAITING_SHOWN)
    assert step.waiting == tuple(range(1, WAITING_SHOWN + 1)), "in their turn"


def test_a_watcher_that_fails_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    machine = Watched(8, 4, Limits(tokens=4, running=1))
    calls = []

    def fails(step: Step) -> None:
        calls.append(step)
        raise RuntimeError("no")

    machine.observer._watch = fails
    machine.add(Request(id="a", prompt=(1,), max_tokens=4))
    machine.step()
    machine.step()
    assert len(calls) == 1
    assert "told nothing more" in caplog.text


def test_a_recorder_keeps_the_last_steps() -> None:
    recorder = Recorder(most=5)
    assert (recorder.latest, recorder.steps()) == (None, [])
    _, steps = run(SCENARIOS["samples"], Knobs(memory=512))
    for step in steps:
        recorder(step)
    assert recorder.steps() == steps[-5:]
    assert recorder.latest is steps[-1]


def test_traces_are_sequences() -> None:
    trace = parse(text(HEADER, FIRST, {**FIRST, "n": 2}), "x")
    assert isinstance(trace, Trace)
    assert [step.n for step in reversed(trace)] == [2, 1]
