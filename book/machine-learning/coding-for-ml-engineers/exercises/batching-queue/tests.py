"""Visible tests: the worked example, failures of one and of all, cancelled callers, close, bad arguments."""

from handbook.practice.checks import equal, inside, raises


def play(submission, size, wait, actions, seconds=1.0, slow=None):
    """Runs a script against a loop whose time jumps: no test waits for a clock.

    actions: (time, "submit", names...), (time, "cancel", name), (time, "close"). The handler takes `seconds`,
    or what `slow` says of an item; "boom" makes it raise, "bad..." fails by itself, "few" loses a result.
    Returns batches [(time, items)], ends {name: (time, kind, text)}, and what the loop complained about.
    """
    import asyncio
    import gc
    import selectors

    now, batches, ends, complaints = [0.0], [], {}, []

    class Jumping(selectors.DefaultSelector):
        def select(self, timeout=None):
            ready = super().select(0)
            if not ready and timeout is None:
                raise RuntimeError("everybody waits for ever")
            now[0] += 0 if ready else timeout
            return ready

    async def handler(items):
        batches.append((round(now[0], 6), list(items)))
        await asyncio.sleep(max((slow or {}).get(item, seconds) for item in items))
        if "boom" in items:
            raise KeyError("the model failed")
        results = [ValueError(item) if item.startswith("bad") else item.upper() for item in items]
        return results[1:] if "few" in items else results

    async def client(name, call):
        try:
            end = "result", await call
        except asyncio.CancelledError:
            end = "cancelled", ""
        except Exception as error:
            end = type(error).__name__, str(error.args[0]) if error.args else ""
        ends[name] = (round(now[0], 6), *end)

    async def direct():
        queue, tasks = submission.BatchingQueue(handler, size, wait), {}
        for time, action, *names in actions:
            await asyncio.sleep(time - now[0])
            for name in names or ["close"]:
                if action == "cancel":
                    tasks[name].cancel()
                else:
                    call = queue.close() if action == "close" else queue.submit(name)
                    tasks[name] = asyncio.ensure_future(client(name, call))
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await asyncio.sleep(1000)  # whatever is still armed goes off
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            complaints.append(f"{len(others)} tasks are left")

    loop = asyncio.SelectorEventLoop(Jumping())
    loop.time = lambda: now[0]
    loop.set_exception_handler(lambda loop, context: complaints.append(str(context.get("message"))))
    try:
        loop.run_until_complete(direct())
    except RuntimeError as error:
        complaints.append(str(error))
    loop.close()
    gc.collect(1)  # what fails unseen complains when it is collected
    return batches, ends, complaints


def run(submission, *args, **options):
    batches, ends, complaints = inside(submission, play, *args, *options.values())
    equal(complaints, [], "what the event loop complains about")
    return [tuple(batch) for batch in batches], {name: tuple(end) for name, end in ends.items()}


def test_worked_example(submission):
    """The statement's five calls: one batch leaves by time, one by size."""
    actions = [
        (0, "submit", "a"),
        (4, "submit", "b"),
        (12, "submit", "c"),
        (13, "submit", "d"),
        (14, "submit", "e"),
    ]
    batches, ends = run(submission, 3, 10, actions)
    equal(batches, [(10.0, ["a", "b"]), (14.0, ["c", "d", "e"])], "batches")
    expected = {name: (11.0 if name in "ab" else 15.0, "result", name.upper()) for name in "abcde"}
    equal(ends, expected, "ends of the five calls")


def test_one_bad_item_fails_alone(submission):
    """A result that is an exception is raised in the caller of that item only."""
    batches, ends = run(submission, 3, 10, [(0, "submit", "a", "bad input", "c")])
    equal(batches, [(0.0, ["a", "bad input", "c"])], "batches")
    equal(ends["bad input"], (1.0, "ValueError", "bad input"), "end of the bad one")
    equal((ends["a"], ends["c"]), ((1.0, "result", "A"), (1.0, "result", "C")), "ends of its neighbours")


def test_failing_handler_fails_its_batch(submission):
    """All callers of that batch get the exception; the next batch works."""
    _, ends = run(submission, 2, 10, [(0, "submit", "a", "boom"), (1, "submit", "c", "d")])
    for name in ("a", "boom"):
        equal(ends[name], (1.0, "KeyError", "the model failed"), f"end of {name}")
    equal((ends["c"], ends["d"]), ((2.0, "result", "C"), (2.0, "result", "D")), "ends of the next batch")


def test_cancelled_caller_leaves_its_place(submission):
    """An item whose caller has gone is not handed out and does not count."""
    actions = [(0, "submit", "a", "b"), (1, "cancel", "a"), (2, "submit", "c"), (3, "submit", "d")]
    batches, ends = run(submission, 3, 10, actions)
    equal(batches, [(3.0, ["b", "c", "d"])], "batches")
    equal(ends["a"], (1.0, "cancelled", ""), "end of a")


def test_close_sends_the_rest(submission):
    """close hands out what waits, returns when it is done, and nothing comes in afterwards."""
    actions = [(0, "submit", "a"), (2, "close"), (2.5, "submit", "late")]
    batches, ends = run(submission, 5, 100, actions)
    equal(batches, [(2.0, ["a"])], "batches")
    equal((ends["a"], ends["close"][:2]), ((3.0, "result", "A"), (3.0, "result")), "ends of a and of close")
    equal(ends["late"][:2], (2.5, "RuntimeError"), "end of a call after close")


def test_bad_arguments_are_refused(submission):
    """A size below 1 and a negative wait raise ValueError."""
    for size, wait in ((0, 1), (-1, 1), (1, -0.5)):
        raises(ValueError, submission.BatchingQueue, None, size, wait, what=f"size {size}, wait {wait}")
