"""Hidden tests: texts in a simulated memory, all or nothing, stale tables, odd numbers, time."""

import random
from collections import Counter

from handbook.practice.checks import inside


def equal(got, expected, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


def refused(kind, what, call):
    try:
        got = call()
    except kind:
        return
    except Exception as error:
        raise AssertionError(
            f"{what}: expected {kind.__name__}, got {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"{what}: expected {kind.__name__}, got the result {got}")


def played(submission, count, size, script):
    """A driver: starts, forks, writes and ends sequences, and notes all that can be seen after each."""
    blocks, tables, lengths, log = submission.Blocks(count, size), [], [], []
    try:
        for what, n, new in script:
            got, out = None, False
            if what == "start":
                tables.append([])
                lengths.append(0)
            elif what == "fork":
                tables.append(blocks.fork(tables[n]))
                lengths.append(lengths[n])
            elif what == "end":
                table, _ = tables.pop(n), lengths.pop(n)
                blocks.free(table)
                got = list(table)
            else:
                try:
                    got = blocks.extend(tables[n], lengths[n], new)
                    lengths[n] += new
                except submission.OutOfBlocks:
                    out = True
            held = [blocks.holders(block) for block in range(count)]
            log.append((got, out, [list(table) for table in tables], blocks.available, held))
    except Exception as error:
        return log, f"{type(error).__name__}: {error}"
    return log, ""


def load(chance, turns):
    """Random starts, forks, writes and ends, as (what, number of the table, new positions)."""
    script, tables = [], 0
    for _ in range(turns):
        what, n = chance.random(), chance.randrange(tables) if tables else None
        if n is None or what < 0.15:
            script.append(("start", 0, 0))
            n, tables = tables, tables + 1
        elif what < 0.35:
            script.append(("fork", n, 0))
            tables += 1
        elif what < 0.5:
            script.append(("end", n, 0))
            tables -= 1
            continue
        script.append(("write", n, chance.choice([0, 1, 1, 1, 2, 5])))
    return script


def replay(script, log, count, size):
    """A cache that really holds tokens, beside texts that know what should be read from it."""
    cells = [[None] * size for _ in range(count)]
    texts, tables, free, held = [], [], count, [0] * count
    for turn, (got, out, now, available, holders) in enumerate(log):
        what, n, new = script[turn]
        if what == "start":
            texts.append([])
        elif what == "fork":
            texts.append(list(texts[n]))
        elif what == "end":
            equal(got, [], "the table after free")
            del texts[n]
        elif out:
            equal((now, available), (tables, free), "tables and available after OutOfBlocks")
            needed = -(-(len(texts[n]) + new) // size) - len(tables[n])
            needed += bool(new and len(texts[n]) % size and held[tables[n][-1]] > 1)
            assert needed > free, f"{needed} blocks wanted: expected them, got OutOfBlocks of {free}"
        else:
            if got is not None:
                source, target = got
                cells[target] = list(cells[source])
            wanted = -(-(len(texts[n]) + new) // size)
            equal(len(now[n]), wanted, f"blocks of a table of {len(texts[n]) + new} positions")
            for i in range(new):
                place = len(texts[n])
                cells[now[n][place // size]][place % size] = (turn, i)
                texts[n].append((turn, i))
        for table, text in zip(now, texts, strict=True):
            read = [cells[table[i // size]][i % size] for i in range(len(text))]
            equal(read, text, "text read through its table, after others wrote theirs")
        counted = Counter(block for table in now for block in table)
        equal(+Counter(dict(enumerate(holders))), counted, "holders of each block")
        equal(available, count - len(counted), "available")
        tables, free, held = now, available, holders


def test_every_text_stays_as_it_was_written(submission):
    """Random starts, forks, writes and ends, with a memory behind the numbers."""
    for seed in range(6):
        chance = random.Random(seed)
        count, size = chance.choice([4, 10, 17]), chance.choice([1, 2, 3, 4])
        script = load(chance, 400)
        log, error = inside(submission, played, count, size, script)
        replay(script, log, count, size)
        assert not error, f"step {len(log)}, {script[len(log)][0]}: expected none to fail, got {error}"
        assert len(log) == len(script), f"steps that were played: expected {len(script)}, got {len(log)}"


def test_nothing_changes_when_copy_and_block_do_not_both_fit(submission):
    blocks, a = submission.Blocks(3, 2), []
    blocks.extend(a, 0, 3)
    b = blocks.fork(a)
    kept = list(b)
    refused(submission.OutOfBlocks, "a copy and a block, 1 free", lambda: blocks.extend(b, 3, 2))
    equal(b, kept, "the table after OutOfBlocks")
    equal([blocks.holders(block) for block in a], [2, 2], "holders after OutOfBlocks")
    equal(blocks.available, 1, "available after OutOfBlocks")
    copy = blocks.extend(b, 3, 1)
    assert copy is not None, "the copy alone fits: expected a copy, got None"
    refused(submission.OutOfBlocks, "a writes into no free block", lambda: blocks.extend(a, 4, 1))


def test_last_one_with_a_block_writes_in_place(submission):
    """Three share a begun block: the first two copy, the third has it alone; so does one whose twin ended."""
    blocks, a = submission.Blocks(8, 4), []
    blocks.extend(a, 0, 2)
    b, c = blocks.fork(a), blocks.fork(a)
    equal(blocks.holders(a[0]), 3, "holders of a block in three tables")
    copied = [blocks.extend(table, 2, 1) is not None for table in (a, b, c)]
    equal(copied, [True, True, False], "whether the first, second and third to write copy")
    equal(len({*a, *b, *c}), 3, "different blocks after that")
    d = blocks.fork(a)
    blocks.free(a)
    equal(blocks.extend(d, 3, 1), None, "copy when the twin has ended")


def test_no_new_position_takes_no_copy(submission):
    blocks, a = submission.Blocks(4, 4), []
    equal(blocks.extend(a, 0, 0), None, "nothing written to an empty table")
    equal((a, blocks.available), ([], 4), "table and available after that")
    blocks.extend(a, 0, 2)
    b = blocks.fork(a)
    equal(blocks.extend(b, 2, 0), None, "nothing written to a shared block")
    equal((b, blocks.available), (a, 3), "table and available after that")


def forked(submission):
    """A driver: a fork of nothing, and how long a table is after its fork grew and after it ended."""
    blocks, a = submission.Blocks(4, 2), []
    nothing = list(blocks.fork(a))
    blocks.extend(a, 0, 2)
    b = blocks.fork(a)
    blocks.extend(b, 2, 1)
    grown = len(a)
    blocks.free(b)
    return nothing, grown, len(a)


def test_fork_is_a_list_of_its_own(submission):
    nothing, grown, ended = inside(submission, forked)
    equal(nothing, [], "fork of an empty table")
    equal(grown, 1, "blocks of a after its fork grew")
    equal(ended, 1, "blocks of a after its fork ended")


def test_bad_table_changes_nothing(submission):
    """Good blocks first, the bad one last: whoever changes counts as it goes has changed some."""
    for name in ("free", "fork"):
        for kind in (
            "a block of a sequence that has ended",
            "a block in it twice",
            "a block -1",
            "a block 6",
        ):
            blocks, a, gone = submission.Blocks(6, 2), [], []
            blocks.extend(a, 0, 4)
            blocks.extend(gone, 0, 2)
            freed = gone[0]
            blocks.free(gone)
            last = {"a block in it twice": a[0], "a block -1": -1, "a block 6": 6}.get(kind, freed)
            if (
                kind == "a block -1"
            ):  # the last in Python's count: held, so that only a check of the number tells
                rest = []
                blocks.extend(rest, 0, 2 * blocks.available)
            bad, available, method = [*a, last], blocks.available, getattr(blocks, name)
            refused(ValueError, f"{name} of a table with {kind}", lambda bad=bad, f=method: f(bad))
            equal([blocks.holders(block) for block in a], [1, 1], f"holders after {name} with {kind}")
            equal(blocks.available, available, f"available after {name} with {kind}")
            equal(bad, [*a, last], f"the table after {name} with {kind}")


def test_table_twice_shared_is_freed_twice(submission):
    """Two tables, two frees; a third is one too many."""
    blocks, a = submission.Blocks(3, 2), []
    blocks.extend(a, 0, 4)
    b, stale = blocks.fork(a), list(a)
    blocks.free(b)
    equal(blocks.available, 1, "available while a still holds both blocks")
    blocks.free(a)
    equal(blocks.available, 3, "available after both have ended")
    refused(ValueError, "a third free", lambda: blocks.free(stale))
    table = []
    blocks.extend(table, 0, 6)
    equal(sorted(table), [0, 1, 2], "blocks handed out after that")


def test_numbers_that_cannot_be_are_refused(submission):
    for count, size in ((0, 4), (4, 0), (-1, 4), (4, -1)):
        refused(ValueError, f"{count} blocks of {size}", lambda c=count, s=size: submission.Blocks(c, s))
    blocks, table = submission.Blocks(8, 4), []
    blocks.extend(table, 0, 6)
    for length, new in ((4, 1), (9, 1), (0, 1), (6, -1), (6, -6)):
        what = f"a table of 2 blocks of 4, length = {length}, new = {new}"
        refused(ValueError, what, lambda length=length, new=new: blocks.extend(table, length, new))
    equal((len(table), blocks.available), (2, 6), "blocks of the table and available after that")
    equal(blocks.extend(table, 8, 1), None, "length = 8 does fit a table of 2 blocks of 4")
    one, table = submission.Blocks(1, 1), []
    equal((one.extend(table, 0, 1), table), (None, [0]), "one block of one position")


def turns(submission, most):
    """A driver: turns in 2 seconds of processor time, and the blocks that are free after them."""
    import time

    blocks, held, table, done = submission.Blocks(200_000, 1), [], [], 0
    start = time.process_time()
    while done < most and time.process_time() - start < 2.0:
        done += 1
        if done < 200:
            blocks.extend(held, len(held), 1000)
        blocks.extend(table, 0, 4)
        twin = blocks.fork(table)
        blocks.free(table)
        blocks.free(twin)
    return done, blocks.available


def test_time_does_not_grow_with_the_count(submission):
    """Takes nearly all of 200,000 blocks by thousands, then starts, forks and ends beside them."""
    done, available = inside(submission, turns, 1200)
    assert done == 1200, f"turns in 2 s beside 200,000 blocks: expected 1,200, got {done}"
    equal(available, 1000, "available after that")
