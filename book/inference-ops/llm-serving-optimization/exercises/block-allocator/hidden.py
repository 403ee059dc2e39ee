"""Hidden tests: texts in a simulated memory, all or nothing, stale tables, odd numbers, time."""

import random
import time
from collections import Counter


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


class Memory:
    """A cache that really holds tokens, and tables that say which text they should read."""

    def __init__(self, submission, count, size):
        self.blocks, self.size, self.count = submission.Blocks(count, size), size, count
        self.cells = [[None] * size for _ in range(count)]
        self.tables, self.texts = [], []
        self.out = submission.OutOfBlocks

    def write(self, n, tokens):
        """False where there is no room."""
        table, text = self.tables[n], self.texts[n]
        before = list(table), self.blocks.available
        try:
            copy = self.blocks.extend(table, len(text), len(tokens))
        except self.out:
            equal((list(table), self.blocks.available), before, "table and available after OutOfBlocks")
            needed = -(-(len(text) + len(tokens)) // self.size) - len(table)
            shared = len(text) % self.size and self.blocks.holders(table[-1]) > 1
            needed += bool(tokens and shared)
            assert needed > before[1], (
                f"{needed} blocks wanted: expected them, got OutOfBlocks of {before[1]}"
            )
            return False
        if copy is not None:
            source, target = copy
            self.cells[target] = list(self.cells[source])
        wanted = -(-(len(text) + len(tokens)) // self.size)
        equal(len(table), wanted, f"blocks of a table of {len(text) + len(tokens)} positions")
        for token in tokens:
            self.cells[table[len(text) // self.size]][len(text) % self.size] = token
            text.append(token)
        return True

    def check(self):
        for table, text in zip(self.tables, self.texts, strict=True):
            got = [self.cells[table[i // self.size]][i % self.size] for i in range(len(text))]
            equal(got, text, "text read through its table, after others wrote theirs")
        held = Counter(block for table in self.tables for block in table)
        counted = Counter({block: self.blocks.holders(block) for block in range(self.count)})
        equal(+counted, held, "holders of each block")
        equal(self.blocks.available, self.count - len(held), "available")


def test_every_text_stays_as_it_was_written(submission):
    """Random starts, forks, writes and ends, with a memory behind the numbers."""
    for seed in range(6):
        chance = random.Random(seed)
        memory = Memory(submission, count=chance.choice([4, 10, 17]), size=chance.choice([1, 2, 3, 4]))
        for step in range(400):
            what, n = chance.random(), chance.randrange(len(memory.tables)) if memory.tables else None
            if n is None or what < 0.15:
                memory.tables.append([])
                memory.texts.append([])
                n = len(memory.tables) - 1
            elif what < 0.35:
                memory.tables.append(memory.blocks.fork(memory.tables[n]))
                memory.texts.append(list(memory.texts[n]))
            elif what < 0.5:
                memory.blocks.free(memory.tables[n])
                equal(memory.tables[n], [], "the table after free")
                del memory.tables[n], memory.texts[n]
                memory.check()
                continue
            memory.write(n, [(step, i) for i in range(chance.choice([0, 1, 1, 1, 2, 5]))])
            memory.check()


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


def test_fork_is_a_list_of_its_own(submission):
    blocks, a = submission.Blocks(4, 2), []
    equal(blocks.fork(a), [], "fork of an empty table")
    blocks.extend(a, 0, 2)
    b = blocks.fork(a)
    blocks.extend(b, 2, 1)
    equal(len(a), 1, "blocks of a after its fork grew")
    blocks.free(b)
    equal(len(a), 1, "blocks of a after its fork ended")


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


def test_time_does_not_grow_with_the_count(submission):
    """Takes nearly all of 200,000 blocks by thousands, then starts, forks and ends beside them."""
    blocks, most, table = submission.Blocks(200_000, 1), [], []
    start, turns = time.perf_counter(), 0
    while turns < 1200 and time.perf_counter() - start < 2.0:
        turns += 1
        if turns < 200:
            blocks.extend(most, len(most), 1000)
        blocks.extend(table, 0, 4)
        twin = blocks.fork(table)
        blocks.free(table)
        blocks.free(twin)
    assert turns == 1200, f"turns in 2 s beside 200,000 blocks: expected 1,200, got {turns}"
    equal(blocks.available, 1000, "available after that")
