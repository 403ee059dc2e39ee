"""The engine: many at once say what each says alone, through stop strings, samples, drafts and faults."""

import dataclasses
import random
import threading
from collections import defaultdict

import pytest
import torch

from handbook.chat import _speak
from handbook.engine.asked import Piece
from handbook.engine.engine import Engine
from handbook.engine.generate import generate, stream
from handbook.engine.served import Closing, Served
from handbook.engine.work import CannotServe, Limits, QueueFull
from handbook.errors import ChatError
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.records import Sampling

GREEDY = Sampling(temperature=0.0, max_tokens=20)
WARM = Sampling(temperature=1.5, top_p=0.9, max_tokens=20)
PAGE = 2 * 2 * 2 * 8 * 4 * 4  # layers, keys and values, heads, width, positions, bytes of fp32


class Listener:
    """Collects pieces by request and sample."""

    def __init__(self) -> None:
        self.text: dict[tuple[str, int], str] = defaultdict(str)
        self.reason: dict[tuple[str, int], str] = {}
        self.tokens: dict[tuple[str, int], int] = defaultdict(int)

    def of(self, id: str):
        def deliver(piece: Piece) -> None:
            key = id, piece.sample
            assert key not in self.reason, "it had ended"
            self.text[key] += piece.text
            self.tokens[key] += piece.tokens
            if piece.reason:
                self.reason[key] = piece.reason

        return deliver


def small(loaded: Loaded, pages: int = 20, **options) -> Engine:
    limits = options.pop("limits", Limits(tokens=24, running=6, watermark=0.0))
    return Engine(loaded, memory=pages * PAGE, page=4, limits=limits, **options)


def run(engine: Engine) -> None:
    for _ in range(3000):
        if not engine.busy:
            return
        engine.step()
    raise AssertionError("it doesn't end")


def alone(loaded: Loaded, prompt: list[int], sampling: Sampling) -> str:
    return "".join(delta.text for delta in stream(loaded, prompt, sampling))


@pytest.mark.parametrize("speculation", ["off", "lookup"])
def test_many_say_what_each_says_alone(loaded, speculation):
    """Greedy and sampled, on pages that are too few for all: preempted, computed anew, guessed ahead."""
    draw = random.Random(2)
    engine, listener, asked = small(loaded, speculation=speculation), Listener(), {}
    for number in range(24):
        beginning = [1, 2, 3, 4, 5, 6, 7, 8, 9] * (number % 2)
        prompt = beginning + [draw.randrange(256) for _ in range(draw.randint(1, 20))]
        sampling = dataclasses.replace(
            GREEDY if number % 3 else WARM,
            seed=number,
            max_tokens=draw.randint(1, 20),
            repetition_penalty=1.3 if number % 5 == 4 else 1.0,
            frequency_penalty=0.4 if number % 7 == 6 else 0.0,
        )
        engine.ask(str(number), prompt, sampling, listener.of(str(number)))
        asked[str(number)] = prompt, sampling
    copied = alone(loaded, [7] * 6, dataclasses.replace(GREEDY, max_tokens=30))
    for number, length in ((98, 12), (99, 25)):  # what it says next stands in the prompt already
        prompt = [7] * 6 + loaded.tokenizer.encode(copied)[:length] + [7] * 6
        asked[str(number)] = prompt, dataclasses.replace(GREEDY, max_tokens=20)
        engine.ask(str(number), *asked[str(number)], listener.of(str(number)))
    run(engine)
    for id, (prompt, sampling) in asked.items():
        assert listener.text[(id, 0)] == alone(loaded, prompt, sampling), id
    counts = engine.scheduler.counts
    assert counts.preempted
    assert counts.reused
    assert (counts.accepted > 0) == (speculation == "lookup")
    assert engine.pages.available == engine.pages.count


def test_what_is_told(loaded):
    engine, listener = small(loaded), Listener()
    first = engine.ask("a", list(range(13)), GREEDY, listener.of("a"))
    run(engine)
    second = engine.ask("b", list(range(13)), GREEDY, listener.of("b"))
    run(engine)
    assert (first.prompt, first.reused, second.reused) == (13, 0, 12)
    assert first.produced == listener.tokens[("a", 0)] == 20
    assert first.since <= first.first <= first.last
    assert listener.reason == {("a", 0): "length", ("b", 0): "length"}


def test_samples_of_one_prompt(loaded):
    engine, listener = small(loaded, pages=60), Listener()
    sampling = dataclasses.replace(WARM, seed=4)
    engine.ask("a", [5, 6, 7, 8, 9], sampling, listener.of("a"), samples=3)
    run(engine)
    assert len(listener.text) == 3
    assert len(set(listener.text.values())) == 3
    assert listener.text[("a", 0)] == alone(loaded, [5, 6, 7, 8, 9], sampling)
    again = Listener()
    crowd = small(loaded, pages=20)
    for number in range(5):
        crowd.ask(f"x{number}", [number] * 9, WARM, again.of(f"x{number}"))
    crowd.ask("a", [5, 6, 7, 8, 9], sampling, again.of("a"), samples=3)
    run(crowd)
    assert all(again.text[("a", n)] == listener.text[("a", n)] for n in range(3))


def test_stop_strings_end_one_continuation(loaded):
    prompt, sampling = [10, 20, 30], dataclasses.replace(WARM, seed=1)
    whole = alone(loaded, prompt, sampling)
    stop = whole[5:7]
    stopping = dataclasses.replace(sampling, stop=(stop,))
    engine, listener = small(loaded, pages=60), Listener()
    engine.ask("a", prompt, stopping, listener.of("a"), samples=2)
    run(engine)
    assert listener.text[("a", 0)] == whole[: whole.index(stop)] == alone(loaded, prompt, stopping)
    assert listener.reason[("a", 0)] == "stop"
    assert engine.pages.available == engine.pages.count


def test_stop_tokens_end_it(loaded):
    ids = list(generate(loaded, [10, 20, 30], GREEDY))
    ending = dataclasses.replace(loaded, tokenizer=Tokenizer(loaded.tokenizer.backend, stops=(ids[4],)))
    engine, listener = small(ending), Listener()
    engine.ask("a", [10, 20, 30], GREEDY, listener.of("a"))
    run(engine)
    assert listener.reason == {("a", 0): "stop"}
    assert listener.tokens[("a", 0)] == ids.index(ids[4])


def test_the_context_bounds_a_text(loaded):
    engine, listener = small(loaded, pages=60, limits=Limits(tokens=100, running=4)), Listener()
    engine.ask("a", [3] * 60, GREEDY, listener.of("a"))
    with pytest.raises(CannotServe, match="got 64, 0"):
        engine.ask("b", [3] * 64, GREEDY, listener.of("b"))
    run(engine)
    assert listener.tokens[("a", 0)] == 4
    assert engine.asked == ()


def test_cancelled_and_late(loaded):
    now = [0.0]
    engine, listener = small(loaded, clock=lambda: now[0]), Listener()
    engine.ask("late", [1, 2], GREEDY, listener.of("late"), seconds=5.0)
    engine.ask("gone", [1, 2], GREEDY, listener.of("gone"))
    engine.step()
    assert engine.cancel("gone")
    now[0] = 6.0
    engine.step()
    assert listener.reason == {("late", 0): "deadline", ("gone", 0): "cancelled"}
    assert not engine.busy
    assert not engine.cancel("gone")
    assert engine.pages.available == engine.pages.count


def test_a_faulty_listener_harms_nobody_else(loaded, caplog):
    engine, listener = small(loaded), Listener()

    def faulty(piece: Piece) -> None:
        raise RuntimeError("nobody is there")

    engine.ask("bad", [1, 2], GREEDY, faulty)
    engine.ask("good", [1, 2], GREEDY, listener.of("good"))
    run(engine)
    assert listener.text[("good", 0)] == alone(loaded, [1, 2], GREEDY)
    assert "nobody is there" in caplog.text


def test_memory_for_no_page(loaded):
    with pytest.raises(ValueError, match=r"takes 1,024 bytes, got 1,023"):
        Engine(loaded, memory=PAGE - 1, page=4)


def test_served_from_other_threads(loaded):
    served, listener = Served(small(loaded, pages=40)), Listener()
    asked = [(str(n), [n, n + 1, 3], dataclasses.replace(WARM, seed=n)) for n in range(12)]

    def client(id, prompt, sampling):
        served.ask(id, prompt, sampling, listener.of(id)).result(30)

    threads = [threading.Thread(target=client, args=each) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(CannotServe):
        served.ask("bad", [], GREEDY, listener.of("bad")).result(30)
    assert served.close(timeout=60)
    assert {id for id, _ in listener.reason} == {id for id, _, _ in asked}
    for id, prompt, sampling in asked:
        assert listener.text[(id, 0)] == alone(loaded, prompt, sampling)


def test_closing_takes_nothing_in(loaded):
    served, listener = Served(small(loaded)), Listener()
    served.ask("a", [1, 2, 3], GREEDY, listener.of("a")).result(30)
    served.closing = True
    with pytest.raises(Closing):
        served.ask("b", [1, 2, 3], GREEDY, listener.of("b")).result(30)
    assert issubclass(Closing, QueueFull)
    assert served.close(drain=False, timeout=60)
    assert set(listener.reason) == {("a", 0)}


def test_closing_twice_and_commands_that_come_at_the_end(loaded):
    for _ in range(50):
        served, refused, futures = Served(small(loaded)), [], []

        def client(served=served, refused=refused, futures=futures) -> None:
            while not refused:
                try:
                    futures.append(served.call(lambda engine: 1))
                except Closing as error:
                    refused.append(error)

        thread = threading.Thread(target=client)
        thread.start()
        assert served.close(timeout=30)
        thread.join(30)
        assert [future.result(30) for future in futures] == [1] * len(futures)  # none is left without answer
        assert served.close(drain=False, timeout=30)


def test_a_step_that_fails_ends_what_was_asked_and_nothing_else(loaded, caplog):
    engine = small(loaded)
    run_batch, broken = engine.executor.run, [True]

    class Breaks:
        def run(self, batch) -> torch.Tensor:
            if broken[0] and batch.work:
                raise RuntimeError("out of memory")
            return run_batch(batch)

    engine.executor = Breaks()
    served, listener = Served(engine), Listener()
    ended = threading.Event()

    def deliver(piece: Piece) -> None:
        listener.of("a")(piece)
        ended.set()

    served.ask("a", [1, 2, 3], GREEDY, deliver).result(30)
    assert ended.wait(30)
    assert listener.reason == {("a", 0): "error"}
    broken[0] = False
    served.ask("b", [1, 2, 3], GREEDY, listener.of("b")).result(30)
    assert served.close(timeout=60)
    assert listener.text[("b", 0)] == alone(loaded, [1, 2, 3], GREEDY)
    assert "out of memory" in caplog.text
    assert engine.pages.available == engine.pages.count


class Panic(BaseException):
    """What a parser raises that is written in another language."""


def test_who_was_cancelled_is_told_though_the_step_fails(loaded, caplog):
    engine, listener = small(loaded), Listener()
    engine.executor = None
    engine.ask("a", [1, 2, 3], GREEDY, listener.of("a"))
    engine.ask("b", [1, 2, 3], GREEDY, listener.of("b"), samples=2)
    engine.cancel("a")
    with pytest.raises(AttributeError):
        engine.step()
    engine.fail()
    assert listener.reason == {("a", 0): "cancelled", ("b", 0): "error", ("b", 1): "error"}
    assert not engine.busy


def test_texts_that_end_in_a_step_that_fails_are_told(loaded, monkeypatch):
    """Taken off the scheduler's books, and nobody heard of it: the engine would step for ever."""
    engine, listener = small(loaded), Listener()
    engine.ask("a", [1, 2, 3], dataclasses.replace(GREEDY, max_tokens=1), listener.of("a"))
    monkeypatch.setattr(engine, "_deliver", None)
    with pytest.raises(TypeError):
        engine.step()
    monkeypatch.undo()
    assert engine.busy
    engine.fail()
    assert listener.reason == {("a", 0): "error"}
    assert not engine.busy


def test_a_panic_ends_no_thread(loaded, caplog):
    engine, panics = small(loaded), [True]
    step = engine.step

    def stepping():
        if panics[0]:
            panics[0] = False
            raise Panic
        return step()

    engine.step = stepping
    served, listener = Served(engine), Listener()
    served.ask("a", [1, 2, 3], GREEDY, listener.of("a")).result(30)

    def panicking(engine: Engine) -> None:
        raise Panic

    with pytest.raises(Panic):
        served.call(panicking).result(30)
    served.ask("b", [1, 2, 3], GREEDY, listener.of("b")).result(30)
    assert served.close(timeout=60)
    assert listener.reason == {("a", 0): "error", ("b", 0): "length"}


def test_a_reply_that_is_closed_after_the_engine_has_stopped(loaded):
    served = Served(small(loaded))
    reply = _speak(served, [1, 2, 3], dataclasses.replace(GREEDY, max_tokens=50))
    next(reply)
    assert served.close(drain=False, timeout=60)
    reply.close()
    with pytest.raises(ChatError):
        next(_speak(served, [1, 2, 3], GREEDY))
