"""Visible tests: the worked example, short and long windows, the cache, what is refused."""

import torch


def rows(mask):
    """One string of 0 and 1 a query, for messages."""
    return ["".join("1" if seen else "0" for seen in row) for row in mask.tolist()]


def check(submission, expected, what, *args, **options):
    got = submission.window_mask(*args, **options)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.dtype == torch.bool, f"{what}: expected dtype torch.bool, got {got.dtype}"
    shape = (len(expected), len(expected[0]))
    assert got.shape == shape, f"{what}: expected shape {shape}, got {tuple(got.shape)}"
    assert rows(got) == expected, f"{what}: expected {expected}, got {rows(got)}"


def held(submission, expected, *args, **options):
    function = getattr(submission, "held_positions", None)
    assert function, "expected a function held_positions beside window_mask, got none"
    got = function(*args, **options)
    given = [str(value) for value in args] + [f"{name}={value}" for name, value in options.items()]
    assert got == expected, f"held_positions({', '.join(given)}): expected {expected}, got {got}"


def refused(what, function, *args, **options):
    try:
        function(*args, **options)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what}: expected ValueError, got a result")


def test_worked_example(submission):
    expected = ["10111000", "10011100", "10001110"]
    check(submission, expected, "the example", 3, 8, window=3, sinks=1, offset=4)


def test_cache_of_the_example(submission):
    held(submission, 6, 7, window=3, sinks=1, chunk=3)
    held(submission, 4, 7, window=3, sinks=1)
    held(submission, 3, 3, window=3, sinks=1)


def test_window_counts_the_query_itself(submission):
    check(submission, ["1000", "0100", "0010", "0001"], "T = S = 4, window = 1", 4, 4, window=1)
    check(submission, ["1000", "1100", "0110", "0011"], "T = S = 4, window = 2", 4, 4, window=2)


def test_long_window_is_plain_causal(submission):
    for window in (3, 4, 100):
        check(submission, ["100", "110", "111"], f"T = S = 3, window = {window}", 3, 3, window=window)


def test_without_offset_the_queries_are_the_last_keys(submission):
    check(submission, ["001110", "000111"], "T = 2, S = 6, window = 3", 2, 6, window=3)
    check(submission, ["000011"], "T = 1, S = 6, window = 2", 1, 6, window=2)


def test_window_that_cannot_be_is_refused(submission):
    for window, sinks in ((0, 0), (-1, 2), (4, -1)):
        for name, numbers in (("window_mask", (3, 3)), ("held_positions", (3,))):
            what = f"{name} with window = {window}, sinks = {sinks}"
            refused(what, getattr(submission, name), *numbers, window=window, sinks=sinks)
