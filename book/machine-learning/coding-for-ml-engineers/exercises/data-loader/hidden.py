"""Hidden tests: the definition, states at every place, early ends, kinds, states that cannot be."""

import json

import numpy as np

from handbook.practice.checks import equal, raises


def expected(count, batch, seed, rank, world, epoch):
    order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    while len(order) % world:
        order += order[: world - len(order) % world]
    part = order[rank::world]
    return [part[i : i + batch] for i in range(0, len(part), batch)]


def test_definition_for_many_settings(submission):
    """Three epochs of 40 random settings, and their lengths."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        count, batch, seed, world = (int(n) for n in rng.integers(1, (30, 7, 100, 6)))
        args = (count, batch, seed, int(rng.integers(world)), world)
        loader = submission.DataLoader(*args)
        for epoch in range(3):
            want = expected(*args, epoch)
            equal(len(loader), len(want), f"length of DataLoader{args}")
            equal(list(loader), want, f"epoch {epoch} of DataLoader{args}")


def test_defaults(submission):
    """One rank of one, and seed 0."""
    equal(list(submission.DataLoader(9, 4)), expected(9, 4, 0, 0, 1, 0), "DataLoader(9, 4)")


def test_state_after_every_batch(submission):
    """Wherever the state is taken, a fresh loader of any rank goes on behind the batch in hand."""
    for world in (1, 3):
        loader = submission.DataLoader(11, 2, 3, 0, world)
        length = len(loader)
        for place in range(2 * length + 1):
            state = json.loads(json.dumps(loader.state()))
            for rank in range(world):
                fresh = submission.DataLoader(11, 2, 3, rank, world)
                fresh.restore(state)
                epoch, done = divmod(place, length)
                want = expected(11, 2, 3, rank, world, epoch)[done:]
                equal(list(fresh), want, f"rank {rank} of {world} after {place} batches")
            next(iter(loader))


def test_left_early_goes_on(submission):
    """A loop that breaks off leaves the rest to the next loop; state does not move by looking."""
    loader = submission.DataLoader(10, 2, 4)
    whole = expected(10, 2, 4, 0, 1, 0)
    got = []
    for batch in loader:
        got.append(batch)
        if len(got) == 2:
            break
    equal(loader.state(), loader.state(), "the state, twice")
    equal(got + list(loader), whole, "two batches, and those of the next loop")
    equal(list(loader), expected(10, 2, 4, 0, 1, 1), "the loop after that")


def test_other_generators_change_nothing(submission):
    """Global random state neither steers the loader nor is moved by it."""
    np.random.seed(0)
    first = list(submission.DataLoader(9, 2, 1))
    np.random.seed(99)
    equal(list(submission.DataLoader(9, 2, 1)), first, "the same loader after another seed of np.random")
    loaders = [submission.DataLoader(9, 2, 1, rank, 2) for rank in range(2)]
    mixed = [batch for pair in zip(*loaders, strict=True) for batch in pair]
    apart = [
        batch for pair in zip(*(expected(9, 2, 1, r, 2, 0) for r in range(2)), strict=True) for batch in pair
    ]
    equal(mixed, apart, "two ranks that take turns")


def test_seeds_and_epochs_are_different_orders(submission):
    """Epoch 1 of seed 0 is not epoch 0 of seed 1."""
    loader = submission.DataLoader(50, 50, 0)
    orders = [next(iter(loader)) for _ in range(3)]
    orders += [next(iter(submission.DataLoader(50, 50, seed))) for seed in (1, 2)]
    equal(len({tuple(order) for order in orders}), 5, "different orders")


def test_places_that_cannot_be_are_refused(submission):
    """Negative epochs, too many batches and missing keys raise ValueError and move nothing."""
    loader = submission.DataLoader(10, 3, 2)
    next(iter(loader))
    state = dict(loader.state())
    for value in (-1, 4, 100):
        raises(ValueError, loader.restore, {**state, "done": value}, what=f"done = {value} of 4 batches")
    raises(ValueError, loader.restore, {**state, "epoch": -1}, what="epoch = -1")
    for missing in state:
        rest = {name: value for name, value in state.items() if name != missing}
        raises(ValueError, loader.restore, rest, what=f"a state without {missing}")
    equal(list(loader), expected(10, 3, 2, 0, 1, 0)[1:], "what is left after refusals")
    epochs = submission.DataLoader(10, 10, 2)
    next(iter(epochs))
    equal(epochs.state()["epoch"], 1, "epoch after the only batch of the first")


def test_plain_numbers(submission):
    """Example numbers are int, and the state is made of what JSON holds."""
    loader = submission.DataLoader(4, 2)
    equal({type(number).__name__ for batch in loader for number in batch}, {"int"}, "kinds of numbers")
    state = dict(loader.state())
    equal(json.loads(json.dumps(state)), state, "the state by way of JSON")
