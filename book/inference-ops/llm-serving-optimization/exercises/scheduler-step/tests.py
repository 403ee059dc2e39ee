"""Visible tests: both examples, decodes first, chunks, admission by pages, who is preempted."""

from dataclasses import dataclass

from handbook.practice.checks import inside

A, B, C, D = 1, 2, 3, 4


@dataclass
class Sequence:
    id: int
    tokens: int
    computed: int = 0
    pages: int = 0


@dataclass
class State:
    waiting: list
    running: list
    free: int
    size: int
    budget: int
    spare: int = 0


def state(running=(), waiting=(), **numbers):
    """Sequences as (id, tokens, computed, pages)."""
    return State([Sequence(*w) for w in waiting], [Sequence(*r) for r in running], **numbers)


def equal(got, expected, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


def stepped(submission, waiting, running, numbers):
    """A driver: one step of a state whose sequences are (id, tokens, computed, pages).

    Gives what the step returns; the sequences afterwards, in the order given; which of them run and wait, by
    place (-1: one that was not given); and the free pages.
    """

    class Sequence:
        def __init__(self, id, tokens, computed=0, pages=0):
            self.id, self.tokens, self.computed, self.pages = id, tokens, computed, pages

    class State:
        pass

    state = State()
    vars(state).update(numbers)
    state.waiting, state.running = [Sequence(*w) for w in waiting], [Sequence(*r) for r in running]
    given = [*state.waiting, *state.running]

    def places(line):
        return [next((i for i, other in enumerate(given) if other is s), -1) for s in line]

    got = submission.step(state)
    after = [(s.tokens, s.computed, s.pages) for s in given]
    return got, after, places(state.running), places(state.waiting), state.free


def step(submission, now):
    """What the step of the submission returns; `now` is then as it left it."""
    waiting, running = (
        [(s.id, s.tokens, s.computed, s.pages) for s in x] for x in (now.waiting, now.running)
    )
    numbers = {name: getattr(now, name) for name in ("free", "size", "budget", "spare")}
    given = [*now.waiting, *now.running]
    got, after, runs, waits, now.free = inside(submission, stepped, waiting, running, numbers)
    assert min([*runs, *waits], default=0) >= 0, (
        "running and waiting: expected the sequences given, got new ones"
    )
    for sequence, numbers in zip(given, after, strict=True):
        sequence.tokens, sequence.computed, sequence.pages = numbers
    now.running, now.waiting = [given[i] for i in runs], [given[i] for i in waits]
    return got


def check(submission, now, work, preempted=(), what="the step"):
    got = step(submission, now)
    pair = isinstance(got, tuple) and len(got) == 2
    assert pair, f"{what}: expected work and preempted ids, got {got}"
    equal([tuple(pair) for pair in got[0]], work, f"{what}, work")
    equal(list(got[1]), list(preempted), f"{what}, preempted")


def lines(now):
    return [s.id for s in now.running], [s.id for s in now.waiting]


def test_first_example(submission):
    now = state([(A, 9, 8, 2), (B, 14, 4, 4)], [(C, 6), (D, 3)], free=3, size=4, budget=16)
    check(submission, now, [(A, 1), (B, 10), (C, 5)], what="first example")
    equal(lines(now), ([A, B, C], [D]), "first example, running and waiting")
    equal(now.free, 0, "first example, free pages")
    equal([(s.computed, s.pages) for s in now.running], [(9, 3), (14, 4), (5, 2)], "computed and pages")


def test_second_example(submission):
    now = state([(A, 5, 4, 1), (B, 6, 5, 2), (C, 7, 0, 2)], [(D, 2)], free=0, size=4, budget=8)
    victim = now.running[2]
    check(submission, now, [(A, 1), (B, 1)], [C], what="second example")
    equal(lines(now), ([A, B], [C, D]), "second example, running and waiting")
    equal(now.free, 1, "second example, free pages")
    equal((victim.tokens, victim.computed, victim.pages), (7, 0, 0), "tokens, computed, pages of the victim")


def test_decodes_come_before_prompts(submission):
    now = state([(A, 100, 0, 25), (B, 5, 4, 2), (C, 7, 6, 2)], free=0, size=4, budget=8)
    check(submission, now, [(B, 1), (C, 1), (A, 6)], what="a long prompt that came before two decodes")


def test_prompt_is_computed_in_chunks(submission):
    now = state(waiting=[(A, 10)], free=5, size=4, budget=4)
    for step, count in enumerate((4, 4, 2)):
        check(submission, now, [(A, count)], what=f"prompt of 10, budget 4, step {step}")
    equal(now.running[0].pages, 3, "pages of a prompt of 10 in pages of 4")
    equal(now.free, 2, "free pages after it took 3 of 5, once")


def test_admission_needs_pages_for_the_whole_prompt(submission):
    now = state([(A, 3, 2, 1)], [(B, 13), (C, 2)], free=3, size=4, budget=8)
    check(submission, now, [(A, 1)], what="B needs 4 pages, 3 are free, and C waits behind it")
    equal(lines(now), ([A], [B, C]), "running and waiting")


def test_page_is_taken_only_when_the_last_is_full(submission):
    now = state([(A, 8, 7, 2), (B, 9, 8, 2)], free=2, size=4, budget=8)
    check(submission, now, [(A, 1), (B, 1)], what="A has room for position 7, B none for position 8")
    equal([s.pages for s in now.running], [2, 3], "pages of A and B")
    equal(now.free, 1, "free pages")
