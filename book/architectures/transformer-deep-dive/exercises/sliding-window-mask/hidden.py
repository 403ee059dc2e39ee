"""Hidden tests: the definition key by key, sinks, offsets, decoding, memory, cache and mask together."""

import torch

from handbook.practice.checks import inside


def rows(mask):
    """One string of 0 and 1 a query, for messages."""
    return ["".join("1" if seen else "0" for seen in row) for row in mask.tolist()]


def by_hand(T, S, window, sinks, offset):
    """Plain Python, one query and one key at a time."""
    lines = []
    for position in range(offset, offset + T):
        near = range(max(0, position - window + 1), position + 1)
        kept = range(min(sinks, position + 1))
        lines.append("".join("1" if key in near or key in kept else "0" for key in range(S)))
    return lines


def check(submission, T, S, window, sinks, offset):
    got = submission.window_mask(T, S, window, sinks, offset)
    expected = by_hand(T, S, window, sinks, S - T if offset is None else offset)
    what = f"T = {T}, S = {S}, window = {window}, sinks = {sinks}, offset = {offset}"
    assert got.dtype == torch.bool, f"{what}: expected dtype torch.bool, got {got.dtype}"
    assert got.shape == (T, S), f"{what}: expected shape {(T, S)}, got {tuple(got.shape)}"
    assert rows(got) == expected, f"{what}: expected {expected}, got {rows(got)}"


def refused(what, function, *args, **options):
    try:
        function(*args, **options)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what}: expected ValueError, got a result")


def test_equals_the_definition(submission):
    for T, S in ((1, 1), (1, 7), (4, 4), (3, 7), (7, 7)):
        for window in (1, 2, 3, S, S + 5):
            for sinks in (0, 1, 2, S, S + 3):
                for offset in {None, 0, (S - T) // 2, S - T}:
                    check(submission, T, S, window, sinks, offset)


def test_sinks_are_not_seen_ahead(submission):
    check(submission, 6, 6, 2, 3, None)
    check(submission, 3, 8, 1, 4, 0)


def test_sinks_add_to_the_window(submission):
    """The window does not shrink for them, and where both overlap a position stays seen."""
    check(submission, 1, 12, 4, 2, None)
    check(submission, 5, 5, 3, 2, None)


def test_offset_says_where_the_queries_stand(submission):
    """Three pieces of a text, in a buffer of ten, give the rows of the whole."""
    whole = rows(submission.window_mask(9, 10, 3, 1, 0))
    pieces = []
    for start, end in ((0, 4), (4, 8), (8, 9)):
        pieces += rows(submission.window_mask(end - start, 10, 3, 1, start))
    assert pieces == whole, f"pieces of 4, 4 and 1 at offsets 0, 4, 8: expected {whole}, got {pieces}"


def test_empty_slots_of_a_buffer_are_not_seen(submission):
    got = submission.window_mask(2, 9, 4, 1, 3)
    late = got[:, 5:].any().item()
    assert not late, f"queries at 3 and 4 of 9 slots: expected nobody to see slots 5 to 8, got {rows(got)}"


def test_every_query_sees_itself(submission):
    for window in (1, 2, 5):
        got = submission.window_mask(6, 11, window, 0, 4)
        own = got[torch.arange(6), torch.arange(4, 10)].tolist()
        assert all(own), f"window = {window}: expected every query to see its own position, got {own}"


def test_queries_outside_of_the_keys_are_refused(submission):
    for T, S, offset in ((3, 2, None), (1, 4, 4), (3, 4, 2), (2, 4, -1)):
        refused(f"T = {T}, S = {S}, offset = {offset}", submission.window_mask, T, S, 2, 0, offset)


def test_sizes_of_a_real_model(submission):
    """A window of 8 with 4 sinks, as in decoding, in a chunk, and over a whole text."""
    for T, S, window, sinks, offset in ((1, 40, 8, 4, None), (12, 40, 8, 4, 20), (40, 40, 16, 0, None)):
        check(submission, T, S, window, sinks, offset)
    for tokens, window, sinks, expected in ((10, 4, 2, 6), (5, 4, 2, 5), (100, 64, 0, 64)):
        got = submission.held_positions(tokens, window, sinks)
        assert got == expected, (
            f"held_positions({tokens}, {window}, sinks={sinks}): expected {expected}, got {got}"
        )


def largest(submission, *args):
    """A driver: the size of the largest tensor that an operation gives, and the mask."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes = [0]

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.numel())
            return out

    with Sizes():
        got = submission.window_mask(*args)
    return max(sizes), got


def test_decode_step_builds_one_row(submission):
    seen, got = inside(submission, largest, 1, 2000, 64, 4)
    assert got.sum().item() == 68, f"T = 1, S = 2000: expected 68 keys in sight, got {got.sum().item()}"
    assert seen <= 8000, f"T = 1, S = 2000: expected no tensor above 8000 elements, got one of {seen}"


def test_cache_holds_what_the_mask_sees(submission):
    for tokens in (1, 2, 5, 9):
        for window in (1, 2, 4, 9, 20):
            for sinks in (0, 1, 3, 12):
                for chunk in {1, min(2, tokens), (tokens + 1) // 2, tokens}:
                    seen = by_hand(chunk, tokens, window, sinks, tokens - chunk)
                    expected = sum("1" in column for column in zip(*seen, strict=True))
                    got = submission.held_positions(tokens, window, sinks, chunk)
                    assert got == expected, (
                        f"held_positions({tokens}, {window}, sinks={sinks}, chunk={chunk}): "
                        f"expected {expected}, got {got}"
                    )


def test_cache_stops_growing(submission):
    """Mistral 7B's window of 4,096: a text eight times as long needs no more."""
    for tokens, chunk, expected in ((1000, 1, 1000), (4096, 1, 4096), (32768, 1, 4096), (32768, 512, 4607)):
        got = submission.held_positions(tokens, 4096, chunk=chunk)
        assert got == expected, (
            f"{tokens} tokens, window 4096, chunk {chunk}: expected {expected} positions, got {got}"
        )


def test_chunk_that_cannot_be_is_refused(submission):
    for tokens, chunk in ((5, 0), (5, 6), (0, 1)):
        refused(f"{tokens} tokens, chunk {chunk}", submission.held_positions, tokens, 4, 0, chunk)
