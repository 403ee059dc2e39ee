# Fault: asks of each block whether it is held, not how often the table has it.
# Rejected by: test_bad_table_changes_nothing


class OutOfBlocks(Exception):
    pass


class Blocks:
    def __init__(self, count, size):
        if count < 1 or size < 1:
            raise ValueError("at least one block of one position")
        self.size = size
        self.unused = list(range(count - 1, -1, -1))
        self.counts = [0] * count

    @property
    def available(self):
        return len(self.unused)

    def holders(self, block):
        return self.counts[block]

    def take(self):
        block = self.unused.pop()
        self.counts[block] = 1
        return block

    def check(self, table):
        for block in table:
            if not 0 <= block < len(self.counts) or not self.counts[block]:
                raise ValueError("a block that is not held")

    def extend(self, table, length, new):
        held, wanted = -(-length // self.size), -(-(length + new) // self.size)
        if new < 0 or len(table) != held:
            raise ValueError("table and length do not fit")
        copies = new > 0 and length % self.size != 0 and self.counts[table[-1]] > 1
        if wanted - held + copies > len(self.unused):
            raise OutOfBlocks
        copy = None
        if copies:
            copy = table[-1], self.take()
            self.counts[table[-1]] -= 1
            table[-1] = copy[1]
        for _ in range(wanted - held):
            table.append(self.take())
        return copy

    def fork(self, table):
        self.check(table)
        for block in table:
            self.counts[block] += 1
        return list(table)

    def free(self, table):
        self.check(table)
        for block in table:
            self.counts[block] -= 1
            if not self.counts[block]:
                self.unused.append(block)
        table.clear()
