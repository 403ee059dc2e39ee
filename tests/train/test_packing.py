"""Packed rows hold what the plain, padded form holds, and documents stay apart."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.train.examples import Example
from handbook.train.packing import IGNORE, Rows, bins, document_mask, pack, padded

THREE = [
    Example((5, 6, 7), (False, True, True)),
    Example((8,), (True,)),
    Example((9, 5), (True, False)),
]


def test_a_packed_row_by_hand():
    packed = pack(THREE)
    assert packed.tokens.tolist() == [5, 6, 7, 8, 9, 5]
    assert packed.targets.tolist() == [6, 7, IGNORE, IGNORE, IGNORE, IGNORE]
    assert packed.positions.tolist() == [0, 1, 2, 0, 0, 1]
    assert packed.bounds == (0, 3, 4, 6)
    assert packed.lengths == (3, 1, 2)
    assert packed.weight == 2
    assert packed.tokens.dtype == packed.targets.dtype == packed.positions.dtype == torch.int64


def test_packed_and_padded_hold_the_same():
    packed, (tokens, targets, mask) = pack(THREE), padded(THREE, pad=77)
    assert torch.equal(tokens[mask], packed.tokens)
    assert torch.equal(targets[mask], packed.targets)
    assert (tokens[~mask] == 77).all()
    assert (targets[~mask] == IGNORE).all()
    assert (packed.targets != IGNORE).sum() == packed.weight == sum(example.weight for example in THREE)


def test_the_mask_lets_a_token_see_its_own_document_up_to_itself():
    assert document_mask((0, 3, 4, 6)).int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]


def test_an_example_has_a_mark_for_each_token():
    for tokens, counted in (((), ()), ((1, 2), (True,))):
        with pytest.raises(ValueError, match="as many marks"):
            Example(tokens, counted)
    with pytest.raises(ValueError, match="at least one"):
        pack([])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 32), max_size=80),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([4, 1024]),
)
def test_every_example_is_in_one_row_that_holds_it(lengths, seed, epoch, window):
    rows = bins(lengths, 32, seed, epoch, window)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(row and sum(lengths[index] for index in row) <= 32 for row in rows)
    assert rows == bins(lengths, 32, seed, epoch, window)
    if window > len(lengths):  # first fit leaves at most one row half empty or emptier
        assert sum(2 * sum(lengths[index] for index in row) <= 32 for row in rows) <= 1


def test_what_just_fits_shares_a_row():
    assert sorted(map(sorted, bins([20, 12, 12, 20, 8], 32, 0, 0))) in (
        [[0, 1], [2, 3], [4]],
        [[0, 2], [1, 3], [4]],
    )


def test_order_depends_on_seed_and_epoch():
    lengths = [1 + n * 7 % 20 for n in range(200)]
    orders = {str(bins(lengths, 64, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_what_fits_no_row_is_named():
    with pytest.raises(
        ValueError, match=r"1 to 8 tokens of a row, 2 don't, by index \(length\): 1 \(9\), 2 \(0\)"
    ):
        bins([8, 9, 0], 8, 0, 0)


def test_rows_are_a_function_of_the_step():
    examples = [Example((n,) * (1 + n % 5), (True,) * (1 + n % 5)) for n in range(40)]
    rows = Rows(examples, pack, budget=16, micros=3, seed=1)
    per_epoch = len(bins([len(example) for example in examples], 16, 1, 0))
    steps = [rows(step) for step in range(3 * per_epoch)]  # nine epochs
    assert rows.steps_per_epoch == -(-per_epoch // 3)
    for step in (17, 0, 9):  # asked for later, in another order, of another object
        for again in (rows, Rows(examples, pack, budget=16, micros=3, seed=1)):
            for one, two in zip(steps[step], again(step), strict=True):
                assert torch.equal(one.tokens, two.tokens)
                assert one.bounds == two.bounds
    first = torch.cat([micro.tokens for step in steps for micro in step][:per_epoch])
    assert torch.equal(first.sort().values, pack(examples).tokens.sort().values)
    with pytest.raises(ValueError, match="nothing to train on"):
        Rows([], pack, 8)


def test_a_row_goes_to_a_device_whole():
    packed = pack(THREE)
    moved = packed.to("meta")
    assert {moved.tokens.device.type, moved.targets.device.type, moved.positions.device.type} == {"meta"}
    assert (moved.bounds, moved.weight) == (packed.bounds, packed.weight)
