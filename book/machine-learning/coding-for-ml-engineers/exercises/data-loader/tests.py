"""Visible tests: the worked example, a new order in each epoch, shards, resuming, settings that cannot be."""

import json

from handbook.practice.checks import equal, raises


def test_worked_example(submission):
    """The statement's loader, alone and as two ranks."""
    loader = submission.DataLoader(5, 2, 7)
    equal(list(loader), [[2, 0], [4, 1], [3]], "epoch 0")
    equal(list(loader), [[3, 0], [2, 1], [4]], "epoch 1")
    equal(list(submission.DataLoader(5, 2, 7, 0, 2)), [[2, 4], [3]], "rank 0 of 2")
    equal(list(submission.DataLoader(5, 2, 7, 1, 2)), [[0, 1], [2]], "rank 1 of 2")


def test_ranks_cover_all_with_equally_many(submission):
    """Every example comes at least once, and all ranks get the same numbers of batches and examples."""
    for count, world in ((12, 3), (10, 4), (7, 2), (3, 5), (1, 4)):
        parts = [list(submission.DataLoader(count, 2, 1, rank, world)) for rank in range(world)]
        shapes = [[len(batch) for batch in part] for part in parts]
        equal(shapes, [shapes[0]] * world, f"sizes of batches of {world} ranks over {count}")
        seen = sorted({number for part in parts for batch in part for number in batch})
        equal(seen, list(range(count)), f"examples seen by {world} ranks over {count}")


def test_resumes_in_the_middle(submission):
    """A fresh loader with a restored state, by way of JSON, gives exactly what was left."""
    whole = submission.DataLoader(20, 3, 5)
    first, second = list(whole), list(whole)
    loader = submission.DataLoader(20, 3, 5)
    batches = iter(loader)
    equal([next(batches), next(batches)], first[:2], "two batches")
    state = json.loads(json.dumps(loader.state()))
    expected = {"count": 20, "batch": 3, "seed": 5, "world": 1, "epoch": 0, "done": 2}
    equal(state, expected, "the state after two batches")
    fresh = submission.DataLoader(20, 3, 5)
    fresh.restore(state)
    equal(list(fresh), first[2:], "the rest of epoch 0")
    equal(list(fresh), second, "epoch 1")


def test_state_of_another_loader_is_refused(submission):
    """Another count, batch, seed or world raises ValueError; another rank does not."""
    state = submission.DataLoader(20, 3, 5, 0, 2).state()
    for args in ((21, 3, 5, 0, 2), (20, 4, 5, 0, 2), (20, 3, 6, 0, 2), (20, 3, 5, 0, 1)):
        raises(
            ValueError,
            submission.DataLoader(*args).restore,
            state,
            what=f"a state of (20, 3, 5, 0, 2) in {args}",
        )
    equal(submission.DataLoader(20, 3, 5, 1, 2).restore(state), None, "restored by the other rank")


def test_settings_that_cannot_be_are_refused(submission):
    """Counts, batches and worlds below 1 and ranks out of range raise ValueError."""
    for args in ((0, 1), (1, 0), (5, 1, 0, 0, 0), (5, 1, 0, 2, 2), (5, 1, 0, -1, 2)):
        raises(ValueError, submission.DataLoader, *args, what=f"DataLoader{args}")
    equal(list(submission.DataLoader(1, 1)), [[0]], "one example")
