"""Hidden tests: every order by brute force, cycles anywhere, repeated needs, long chains, what is kept."""

import itertools
import random

from handbook.practice.checks import equal, unchanged


def growth_input(n):
    chance = random.Random(n)
    names = [f"s{i:07d}" for i in range(n)]
    chance.shuffle(names)
    return ({names[i]: [names[i // 2], names[i // 3]] if i else [] for i in range(n)},)


def check_cycle(got, needs):
    order, cycle = got
    equal(order, [], f"the order of {needs}, which has a cycle")
    assert cycle, f"the cycle of {needs}: expected stages, got {cycle}"
    equal(len(set(cycle)), len(cycle), f"different stages on the cycle {cycle}")
    for stage, need in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        before = needs.get(stage, [])
        assert need in before, (
            f"the cycle {cycle}: expected {stage!r} to need {need!r}, got its needs {before}"
        )


def first_order(needs):
    """The alphabetically first of all orders, by trying them; None where there is none."""
    stages = sorted({*needs, *itertools.chain(*needs.values())})
    for order in itertools.permutations(stages):
        place = {stage: i for i, stage in enumerate(order)}
        if all(place[need] < place[stage] for stage, before in needs.items() for need in before):
            return list(order)
    return None


def test_equals_trying_every_order(submission):
    """Random pipelines of up to five stages, with and without cycles."""
    for seed in range(150):
        chance = random.Random(seed)
        names = "abcde"[: chance.randint(1, 5)]
        needs = {n: [m for m in names if chance.random() < 0.25] for n in names if chance.random() < 0.8}
        expected = first_order(needs)
        got = submission.run_order(needs)
        if expected is None:
            check_cycle(got, needs)
        else:
            equal(got, (expected, []), f"needs {needs}")


def test_cycle_far_behind(submission):
    """A long way into a cycle, and stages that wait behind it."""
    needs = {f"w{i}": [f"w{i + 1}"] for i in range(50)} | {"w50": ["x"], "x": ["y"], "y": ["z"], "z": ["x"]}
    check_cycle(submission.run_order(needs), needs)


def test_part_without_a_cycle_does_not_help(submission):
    """One cycle anywhere, and there is no order."""
    needs = {"a": [], "b": ["a"], "p": ["q"], "q": ["p", "b"]}
    check_cycle(submission.run_order(needs), needs)


def test_need_that_stands_twice(submission):
    """The same need, once."""
    equal(
        submission.run_order({"b": ["a", "a"], "c": ["b", "b", "a"]}), (["a", "b", "c"], []), "repeated needs"
    )


def test_stages_without_an_entry(submission):
    """What is only needed runs too."""
    equal(submission.run_order({"z": ["y", "x"]}), (["x", "y", "z"], []), "needs {'z': ['y', 'x']}")
    equal(submission.run_order({"a": [], "b": []}), (["a", "b"], []), "two stages that need nothing")


def test_long_chain(submission):
    """20,000 stages, each of which needs the next: recursion would not come back."""
    names = [f"s{i:05d}" for i in range(20_000)]
    needs = {name: [need] for name, need in itertools.pairwise(names)}
    equal(submission.run_order(needs), (names[::-1], []), "a chain of 20,000 stages")
    order, cycle = submission.run_order(needs | {names[-1]: [names[0]]})
    equal((order, sorted(cycle)), ([], names), "the order, and the stages of a cycle of 20,000")


def test_wide_pipeline(submission):
    """One stage that needs 20,000 others."""
    names = [f"s{i:05d}" for i in range(20_000)]
    equal(submission.run_order({"last": names[::-1]}), ([*names, "last"], []), "a stage with 20,000 needs")


def test_needs_stay_as_they_were(submission):
    """The argument is not changed, and no entries are added to it."""
    needs = {"b": ["a", "a"], "c": ["b"]}
    submission.run_order(needs)
    unchanged(needs, {"b": ["a", "a"], "c": ["b"]}, "needs")
