"""Visible tests: the example, a cycle, a stage that needs itself, free choice, nothing."""

from handbook.practice.checks import equal

NEEDS = {"train": ["split", "tokenize"], "split": ["clean"], "tokenize": ["clean"], "eval": ["train"]}


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


def test_worked_example(submission):
    """The example of the statement."""
    expected = (["clean", "split", "tokenize", "train", "eval"], [])
    equal(submission.run_order(NEEDS), expected, f"needs {NEEDS}")


def test_cycle_is_named(submission):
    """What leads to the cycle is not on it."""
    needs = {"a": ["b"], "b": ["c"], "c": ["b"]}
    check_cycle(submission.run_order(needs), needs)


def test_stage_that_needs_itself(submission):
    """A cycle of one."""
    needs = {"a": [], "b": ["a", "b"]}
    equal(submission.run_order(needs), ([], ["b"]), f"needs {needs}")


def test_smallest_name_first(submission):
    """Where several could run, the smallest name does, also if it became ready only now."""
    needs = {"d": [], "b": [], "a": ["b"], "c": []}
    equal(submission.run_order(needs), (["b", "a", "c", "d"], []), f"needs {needs}")


def test_no_stages(submission):
    """Nothing runs, and there is no cycle."""
    equal(submission.run_order({}), ([], []), "no stages")
