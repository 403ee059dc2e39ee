"""Hidden tests: preemption in all its cases, spare pages, the budget's edge, runs of random load."""

import random
from dataclasses import dataclass

from handbook.practice.checks import inside

A, B, C, D, E = 1, 2, 3, 4, 5


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
    equal([tuple(pair) for pair in got[0]], work, f"{what}, work")
    equal(list(got[1]), list(preempted), f"{what}, preempted")


def lines(now):
    return [s.id for s in now.running], [s.id for s in now.waiting]


def test_needy_sequence_may_be_the_latest_itself(submission):
    now = state([(A, 4, 3, 1), (B, 9, 8, 2)], [(C, 1)], free=0, size=4, budget=8)
    victim = now.running[1]
    check(submission, now, [(A, 1)], [B], what="B is the latest and needs a page")
    equal(lines(now), ([A], [B, C]), "running and waiting")
    equal((now.free, victim.tokens, victim.computed, victim.pages), (2, 9, 0, 0), "free pages, B after it")


def test_order_is_that_of_the_lists_and_not_of_the_ids(submission):
    now = state([(E, 5, 4, 1), (B, 9, 8, 2), (A, 4, 3, 1)], [(C, 1), (D, 1)], free=0, size=4, budget=9)
    check(submission, now, [(E, 1)], [A, B], what="ids 5, 2, 1 arrived in this order; 2 needs a page last")
    equal(lines(now), ([E], [B, A, C, D]), "running and waiting")
    now = state([(E, 9, 4, 3), (A, 5, 4, 2)], [(D, 2), (B, 2)], free=2, size=4, budget=10)
    check(submission, now, [(A, 1), (E, 5), (D, 2), (B, 2)], what="ids 5 and 1 run, 4 and 2 wait")


def test_several_are_preempted_in_one_step(submission):
    """A and B need a page each and their victims hold one each; both wait in order of arrival."""
    now = state([(A, 5, 4, 1), (B, 9, 8, 2), (C, 3, 2, 1), (D, 2, 0, 1)], [(E, 1)], free=0, size=4, budget=9)
    check(submission, now, [(A, 1), (B, 1)], [D, C], what="two pages wanted, two victims of one page")
    equal(lines(now), ([A, B], [C, D, E]), "running and waiting")
    equal(now.free, 0, "free pages")


def test_victim_that_would_decode_gets_no_work(submission):
    now = state([(A, 5, 4, 1), (B, 4, 3, 1), (C, 3, 2, 1)], free=0, size=4, budget=8)
    check(submission, now, [(A, 1), (B, 1)], [C], what="C decodes and makes room")
    now = state([(A, 5, 4, 1), (B, 9, 8, 2)], free=0, size=4, budget=8)
    check(submission, now, [(A, 1)], [B], what="B needs a page too and makes room for A")
    equal(now.free, 1, "free pages: B's two, less A's one")


def test_victim_is_the_latest_and_not_the_largest(submission):
    now = state([(A, 5, 4, 1), (B, 40, 0, 10), (C, 2, 1, 1)], free=0, size=4, budget=8)
    check(submission, now, [(A, 1), (B, 7)], [C], what="B holds ten pages, C came last")
    equal(lines(now), ([A, B], [C]), "running and waiting")


def test_prompt_that_was_begun_goes_on_in_a_preempting_step(submission):
    now = state([(A, 10, 2, 3), (B, 5, 4, 1), (C, 6, 2, 2)], [(D, 2)], free=0, size=4, budget=20)
    check(submission, now, [(B, 1), (A, 8)], [C], what="C makes room for B, and A's prompt goes on")
    equal(lines(now), ([A, B], [C, D]), "running and waiting")


def test_preempted_one_computes_all_again(submission):
    """It had drawn 3 tokens to a prompt of 5: all 8 are computed, once there are pages for 8."""
    now = state([(A, 5, 4, 1), (B, 8, 7, 2)], free=0, size=4, budget=16)
    victim = now.running[1]
    check(submission, now, [(A, 1)], [B], what="no page free, A needs one")
    equal((victim.tokens, victim.computed, victim.pages), (8, 0, 0), "tokens, computed, pages of B")
    equal(now.free, 1, "free pages")
    now.running[0].tokens = 6
    check(submission, now, [(A, 1)], what="B waits for its 2 pages")
    now.running.clear()
    now.free = 3
    check(submission, now, [(B, 8)], what="A has ended")
    equal((victim.computed, victim.pages, now.free), (8, 2, 1), "computed and pages of B, free pages")


def test_nobody_is_let_in_while_somebody_is_preempted(submission):
    """B held a page for guesses beside its own, so it would fit again at once."""
    now = state([(A, 5, 4, 1), (B, 3, 2, 3)], [(C, 1)], free=0, size=4, budget=8)
    check(submission, now, [(A, 1)], [B], what="B makes room for A")
    equal(lines(now), ([A], [B, C]), "running and waiting")
    equal(now.free, 2, "free pages")
    now.running[0].tokens = 6
    check(submission, now, [(A, 1), (B, 3), (C, 1)], what="one step later")


def test_spare_pages_only_while_others_run(submission):
    now = state([(A, 2, 1, 1)], [(B, 8)], free=3, size=4, budget=16, spare=2)
    check(submission, now, [(A, 1)], what="B needs 2 pages, 3 are free, 2 are to stay so")
    now = state([(A, 2, 1, 1)], [(B, 8)], free=4, size=4, budget=16, spare=2)
    check(submission, now, [(A, 1), (B, 8)], what="B needs 2 pages, 4 are free, 2 are to stay so")
    now = state(waiting=[(A, 12)], free=3, size=4, budget=16, spare=2)
    check(submission, now, [(A, 12)], what="nobody runs: the spare pages don't count")
    now = state(waiting=[(A, 4), (B, 4)], free=3, size=4, budget=16, spare=2)
    check(submission, now, [(A, 4)], what="A was let in and runs: 2 of 2 pages are to stay free")
    now = state([(A, 5, 4, 1)], free=1, size=4, budget=16, spare=1)
    check(submission, now, [(A, 1)], what="a decode may take the spare page")


def test_page_taken_by_a_decode_is_gone_for_admission(submission):
    now = state([(A, 5, 4, 1)], [(B, 5)], free=2, size=4, budget=16)
    check(submission, now, [(A, 1)], what="A takes one of 2 pages, B needs 2")


def test_last_token_of_a_prompt_is_a_decode_like_any(submission):
    """One token pending goes first, also where it is the end of a prompt that was read in chunks."""
    now = state([(A, 20, 4, 5), (B, 9, 8, 3)], free=0, size=4, budget=4)
    check(submission, now, [(B, 1), (A, 3)], what="one token of B's prompt is left")
    now = state(waiting=[(A, 1), (B, 1)], free=2, size=4, budget=4)
    check(submission, now, [(A, 1), (B, 1)], what="two prompts of one token")
    equal([(s.computed, s.pages) for s in now.running], [(1, 1), (1, 1)], "computed and pages")


def test_budget_to_the_last_token(submission):
    now = state([(A, 5, 4, 2), (B, 9, 4, 3), (C, 9, 4, 3)], [(D, 1)], free=4, size=4, budget=6)
    check(submission, now, [(A, 1), (B, 5)], what="nothing is left for C and D")
    equal(lines(now), ([A, B, C], [D]), "running and waiting")
    equal(now.free, 4, "free pages")
    now = state([(A, 5, 4, 2), (B, 3, 2, 1)], [(C, 2)], free=4, size=4, budget=2)
    check(submission, now, [(A, 1), (B, 1)], what="two decodes are all the budget")
    equal(lines(now), ([A, B], [C]), "running and waiting")


def test_several_are_let_in_until_one_does_not_fit(submission):
    now = state(waiting=[(A, 4), (B, 5), (C, 9), (D, 1)], free=4, size=4, budget=50)
    check(submission, now, [(A, 4), (B, 5)], what="A takes 1 page, B 2, C needs 3 of 1, D waits behind it")
    equal(lines(now), ([A, B], [C, D]), "running and waiting")
    equal(now.free, 1, "free pages")


def test_nothing_to_do(submission):
    check(submission, state(free=4, size=4, budget=8), [], what="nobody there")


def load(seed):
    """Numbers of a cache, and arrivals by chance: (step, id, tokens of the prompt, tokens at the end)."""
    chance = random.Random(seed)
    size, total, budget = chance.choice([1, 2, 4]), chance.choice([8, 12, 20]), chance.choice([1, 3, 8, 64])
    numbers = {"free": total, "size": size, "budget": budget, "spare": chance.choice([0, 0, 1, 2])}
    arrivals, turn = [], 0
    while len(arrivals) < 25:
        while len(arrivals) < 25 and chance.random() < 0.3:
            prompt = chance.randint(1, size * total // 2)
            arrivals.append((turn, len(arrivals), prompt, prompt + chance.randint(1, size * total - prompt)))
        turn += 1
    return numbers, arrivals


def driven(submission, numbers, arrivals, turns):
    """A driver: a load from arrival to end, and what each step did; behind it, an error's words."""

    class Sequence:
        def __init__(self, id, tokens, computed=0, pages=0):
            self.id, self.tokens, self.computed, self.pages = id, tokens, computed, pages

    class State:
        pass

    now, log, coming = State(), [], list(arrivals)
    vars(now).update(numbers)
    now.waiting, now.running = [], []
    ends = {id: end for _, id, _, end in arrivals}
    for turn in range(turns):
        while coming and coming[0][0] == turn:
            _, id, prompt, _ = coming.pop(0)
            now.waiting.append(Sequence(id, prompt))
        given = [*now.running, *now.waiting]
        before = [(s.id, s.tokens, s.computed, s.pages) for s in given]
        runs = len(now.running)
        try:
            work, preempted = submission.step(now)
        except Exception as error:
            return log, f"{type(error).__name__}: {error}"
        after = [(s.tokens, s.computed, s.pages) for s in given]
        lines = [
            [next((i for i, other in enumerate(given) if other is s), -1) for s in line]
            for line in (now.running, now.waiting)
        ]
        log.append((before, runs, list(work), list(preempted), after, *lines, now.free))
        for sequence in list(now.running):
            if sequence.computed == sequence.tokens:
                sequence.tokens += 1
                if sequence.tokens >= ends[sequence.id]:
                    now.running.remove(sequence)
                    now.free += sequence.pages
        if not coming and not now.running and not now.waiting:
            break
    return log, ""


def drive(submission, seed):
    """A random load from arrival to end. Yields what each step did, for the invariants below."""
    numbers, arrivals = load(seed)
    log, error = inside(submission, driven, numbers, arrivals, 3000)
    left = []
    for turn, (before, runs, work, preempted, after, running, waiting, free) in enumerate(log):
        what = f"seed {seed}, step {turn}"
        new = -1 in running or -1 in waiting
        assert not new, f"{what}, running and waiting: expected the sequences given, got new ones"
        given = [Sequence(s[0], *values) for s, values in zip(before, after, strict=True)]
        now = State([given[i] for i in waiting], [given[i] for i in running], **{**numbers, "free": free})
        everybody, was = {s.id: s for s in given}, {s[0]: s[1:] for s in before}
        yield what, now, numbers["free"], everybody, was, [s[0] for s in before[:runs]], work, preempted
        left = [s.id for s in given]
    assert not error, f"seed {seed}, step {len(log)}: expected none to fail, got {error}"
    assert len(log) < 3000, f"seed {seed}: expected all 25 to end within 3,000 steps, got {left} left over"


def test_no_page_is_lost_and_no_budget_passed(submission):
    for seed in range(12):
        for what, now, total, everybody, _, _, work, _ in drive(submission, seed):
            held = sum(s.pages for s in now.running) + now.free
            equal(held, total, f"{what}: pages held and free")
            assert now.free >= 0, f"{what}: expected no fewer than 0 free pages, got {now.free}"
            given = sum(count for _, count in work)
            assert given <= now.budget, f"{what}: expected at most {now.budget} tokens, got {given}"
            for s in now.running:
                fits = s.computed <= s.pages * now.size
                assert fits, f"{what}: expected {s.computed} positions within {s.pages} pages, got more"
            ids = [s.id for s in (*now.running, *now.waiting)]
            equal(ids, sorted(everybody), f"{what}: running and waiting, in order of arrival")


def test_work_is_what_the_rules_give(submission):
    """Each decode that still runs gets its token; prompts share the rest; the waiting get in only in turn."""
    for seed in range(12):
        for what, now, _, everybody, before, running, work, preempted in drive(submission, seed):
            counts = dict(work)
            equal(len(counts), len(work), f"{what}: different sequences with work")
            still = [i for i in running if i not in preempted]
            equal(running[len(still) :][::-1], list(preempted), f"{what}: preempted, the latest first")
            decodes = [i for i in still if before[i][0] - before[i][1] == 1]
            equal([i for i, _ in work[: len(decodes)]], decodes, f"{what}: decodes, first in the work")
            left = now.budget - len(decodes)
            for i in (i for i in still if i not in decodes):
                expected = min(before[i][0] - before[i][1], left)
                equal(counts.get(i, 0), expected, f"{what}: tokens of the prompt {i}")
                left -= expected
            admitted = [s.id for s in now.running if s.id not in running]
            equal(bool(preempted and admitted), False, f"{what}: somebody let in while somebody is preempted")
            for i in admitted:
                expected = min(before[i][0], left)
                equal(counts.get(i), expected, f"{what}: tokens of {i}, which was let in")
                left -= expected
            for i, (tokens, computed, _) in before.items():
                start = 0 if i in preempted else computed
                now_has = everybody[i].tokens, everybody[i].computed
                equal(now_has, (tokens, start + counts.get(i, 0)), f"{what}: tokens and computed of {i}")
            if left and now.waiting and not preempted:
                need = -(-now.waiting[0].tokens // now.size)
                room = now.free - (now.spare if now.running else 0)
                assert need > room, (
                    f"{what}: expected the next to be let in ({need} of {room} pages), got none"
                )
