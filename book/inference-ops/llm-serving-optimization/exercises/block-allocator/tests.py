"""Visible tests: the worked example, blocks that come back, full blocks, no memory, double free."""


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


def test_worked_example(submission):
    """Whichever free blocks are taken, they play the parts of 0 to 3."""
    blocks, a = submission.Blocks(4, 2), []
    equal([blocks.holders(block) for block in range(4)], [0] * 4, "holders before anything is taken")
    equal(blocks.extend(a, 0, 3), None, "copy when a takes its first 3 positions")
    equal(len(set(a)), 2, "different blocks of a after 3 positions of 2 a block")
    equal(blocks.available, 2, "available after a took 2 of 4 blocks")
    first, second = a
    b = blocks.fork(a)
    equal(b, [first, second], "table of the fork")
    equal([blocks.holders(first), blocks.holders(second)], [2, 2], "holders of the shared blocks")
    equal(blocks.available, 2, "available after a fork, which takes none")
    copy = blocks.extend(b, 3, 1)
    assert copy is not None, f"b writes into block {second}, which a holds too: expected a copy, got None"
    source, target = copy
    equal(source, second, "source of the copy")
    equal(b, [first, target], "b after its copy")
    equal(a, [first, second], "a after b's copy")
    equal([blocks.holders(block) for block in (*a, b[1])], [2, 1, 1], "holders of a's blocks and b's own")
    equal(blocks.available, 1, "available after the copy")
    equal(blocks.extend(a, 3, 2), None, "copy when a goes on in a block that is its own by now")
    equal(a[:2], [first, second], "a's first blocks after it went on")
    equal(len(set(a) | set(b)), 4, "different blocks in both tables")
    equal(blocks.available, 0, "available when all is taken")
    refused(submission.OutOfBlocks, "b needs a block and none is free", lambda: blocks.extend(b, 4, 1))
    gone = a[1:]
    blocks.free(a)
    equal(a, [], "the table after free")
    equal(blocks.available, 2, "available after a has ended; its first block is b's too")
    equal([blocks.holders(block) for block in (first, *gone)], [1, 0, 0], "holders after a has ended")


def test_blocks_come_back(submission):
    blocks = submission.Blocks(3, 4)
    for turn in range(5):
        table = []
        blocks.extend(table, 0, 12)
        equal(sorted(table), [0, 1, 2], f"blocks of a table that takes all, turn {turn}")
        blocks.free(table)
        equal(blocks.available, 3, f"available after free, turn {turn}")


def test_full_block_is_never_copied(submission):
    blocks, a = submission.Blocks(8, 2), []
    blocks.extend(a, 0, 4)
    b = blocks.fork(a)
    equal(blocks.extend(b, 4, 1), None, "copy when b opens a new block behind two full ones")
    equal(b[:2], a, "the full blocks, still shared")
    equal(blocks.available, 5, "available: 2 shared blocks and 1 of b's own out of 8")


def test_out_of_blocks(submission):
    blocks, table = submission.Blocks(2, 4), []
    refused(submission.OutOfBlocks, "9 positions in 2 blocks of 4", lambda: blocks.extend(table, 0, 9))
    equal(table, [], "the table after OutOfBlocks")
    equal(blocks.available, 2, "available after OutOfBlocks")
    equal(blocks.extend(table, 0, 8), None, "8 positions in 2 blocks of 4")


def test_double_free_is_refused(submission):
    blocks, table = submission.Blocks(4, 2), []
    blocks.extend(table, 0, 3)
    stale = list(table)
    blocks.free(table)
    refused(ValueError, "the same blocks freed twice", lambda: blocks.free(stale))
    equal(blocks.available, 4, "available after a double free")
