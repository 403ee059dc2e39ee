"""Hidden tests: stale timers, cancelled on the way, slow batches, lost results, close, storms."""

import random

from handbook.practice.checks import equal, inside


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


def test_timer_of_a_full_batch_is_off(submission):
    """A batch that left by size takes its timer with it: the next one has its whole time."""
    actions = [(0, "submit", "a"), (5, "submit", "b"), (6, "submit", "c")]
    batches, _ = run(submission, 2, 10, actions)
    equal(batches, [(5.0, ["a", "b"]), (16.0, ["c"])], "batches")


def test_wait_is_that_of_the_oldest_who_is_left(submission):
    """Where the oldest caller goes away, the next oldest's time counts."""
    actions = [(0, "submit", "a"), (4, "submit", "b"), (6, "submit", "c"), (8, "cancel", "a")]
    batches, _ = run(submission, 5, 10, actions)
    equal(batches, [(14.0, ["b", "c"])], "batches")
    batches, ends = run(submission, 5, 10, [(0, "submit", "a"), (3, "cancel", "a")])
    equal((batches, ends["a"]), ([], (3.0, "cancelled", "")), "batches and end where the only caller goes")


def test_cancelled_on_the_way_disturbs_nobody(submission):
    """The first of a batch is cancelled while the handler works; the others get their results."""
    actions = [(0, "submit", "a", "b", "c"), (0.5, "cancel", "a")]
    batches, ends = run(submission, 3, 10, actions)
    equal(batches, [(0.0, ["a", "b", "c"])], "batches")
    expected = {"a": (0.5, "cancelled", ""), "b": (1.0, "result", "B"), "c": (1.0, "result", "C")}
    equal(ends, expected, "ends")
    _, ends = run(submission, 3, 10, [(0, "submit", "a", "boom", "c"), (0.5, "cancel", "a")])
    equal(ends["c"], (1.0, "KeyError", "the model failed"), "end of c where the handler fails as well")


def test_slow_batch_holds_up_nobody(submission):
    """Batches are on their way at the same time."""
    actions = [(0, "submit", "slow", "b"), (1, "submit", "c", "d")]
    batches, ends = run(submission, 2, 10, actions, seconds=1.0, slow={"slow": 50.0})
    equal(batches, [(0.0, ["slow", "b"]), (1.0, ["c", "d"])], "batches")
    equal((ends["c"][0], ends["slow"][0]), (2.0, 50.0), "times at which c and slow came back")


def test_lost_results_are_an_error(submission):
    """A handler that returns too few results fails its whole batch with RuntimeError."""
    _, ends = run(submission, 3, 10, [(0, "submit", "a", "few", "c"), (1, "submit", "d", "e", "f")])
    kinds = [ends[name][:2] for name in ("a", "few", "c")]
    equal(kinds, [(1.0, "RuntimeError")] * 3, "ends of the batch")
    equal(ends["d"], (2.0, "result", "D"), "end of the next batch's first")


def test_no_wait_batches_what_comes_together(submission):
    """With wait 0 items that are submitted at once leave together, and at once; size 1 never waits."""
    batches, _ = run(submission, 5, 0, [(1, "submit", "a", "b"), (2, "submit", "c")])
    equal(batches, [(1.0, ["a", "b"]), (2.0, ["c"])], "batches with wait 0")
    batches, _ = run(submission, 1, 10, [(1, "submit", "a", "b"), (2, "submit", "c")])
    equal(batches, [(1.0, ["a"]), (1.0, ["b"]), (2.0, ["c"])], "batches of size 1")


def test_close_waits_for_all_batches(submission):
    """close returns after the slowest batch on its way, also where nothing waits and where one fails."""
    actions = [(0, "submit", "slow", "b"), (1, "submit", "boom", "d"), (1.5, "close")]
    _, ends = run(submission, 2, 10, actions, seconds=1.0, slow={"slow": 20.0})
    equal(ends["close"][:2], (20.0, "result"), "end of close")
    equal(ends["boom"][:2], (2.0, "KeyError"), "end of a failing batch")
    batches, ends = run(submission, 2, 10, [(3, "close")])
    equal((batches, ends["close"][:2]), ([], (3.0, "result")), "batches and end of close where nobody came")
    actions = [(0, "submit", "a"), (1, "cancel", "a"), (2, "close")]
    equal(run(submission, 2, 10, actions)[0], [], "batches where the only caller went before close")


def leftovers(submission, count):
    """How many tasks are still held after that many batches, all done."""
    import asyncio
    import gc

    async def handler(items):
        return items

    async def work():
        queue = submission.BatchingQueue(handler, 1, 1)
        for number in range(count):
            await queue.submit(number)
        await asyncio.sleep(0)
        gc.collect(1)
        return sum(isinstance(thing, asyncio.Task) for thing in gc.get_objects())

    loop = asyncio.SelectorEventLoop()
    held = loop.run_until_complete(work())
    loop.close()
    return held


def test_finished_batches_leave_nothing(submission):
    """A hundred batches later their tasks are gone from memory."""
    got = inside(submission, leftovers, 100)
    assert got < 20, f"tasks held after 100 batches: expected a few, got {got}"


def expected_batches(size, wait, actions):
    """The definition: walks through the actions in time, with the due time of the oldest in mind."""
    waiting, batches = [], []
    for time, action, name in [*actions, (1e9, "end", "")]:
        while waiting and waiting[0][0] + wait < time:
            batches.append((round(waiting[0][0] + wait, 6), [n for _, n in waiting]))
            waiting = []
        if action == "submit":
            waiting.append((time, name))
        waiting = [(t, n) for t, n in waiting if not (action == "cancel" and n == name)]
        if len(waiting) == size:
            batches.append((round(time, 6), [n for _, n in waiting]))
            waiting = []
    return batches


def test_random_storms(submission):
    """Thirty random scripts of calls and cancellations: every item is in the batch it belongs to."""
    for seed in range(30):
        chance = random.Random(seed)
        size, wait, time, actions, names = chance.randint(1, 4), chance.choice((2.5, 7.5)), 0.0, [], []
        for number in range(25):
            time += chance.choice((1, 1, 2, 4))
            if names and chance.random() < 0.3:
                actions.append((time, "cancel", names.pop(chance.randrange(len(names)))))
            else:
                names.append(f"item {number}")
                actions.append((time, "submit", names[-1]))
        expected = expected_batches(size, wait, actions)
        batches, ends = run(submission, size, wait, actions, seconds=0.25)
        equal(batches, expected, f"seed {seed}: batches of {size} within {wait}")
        gone = {name for _, action, name in actions if action == "cancel"}
        for name in {name for _, action, name in actions if action == "submit"} - gone:
            equal(ends[name][1:], ("result", name.upper()), f"seed {seed}: end of {name}")
