"""The KV cache cut into pages: who holds which, what they hold, which may be taken back.

Kwon et al. 2023, PagedAttention (arXiv:2309.06180), section 4. A page has room for a fixed number of
positions; a sequence's positions lie in the pages of its table, in order, wherever those happen to be. Pages
are counted, not copied, when sequences share a beginning; who writes into a shared page gets a copy first.
A full page is named by a hash of its tokens and of all tokens before it, so that another sequence with the
same beginning finds it, also after its owner has gone (prefix caching). Pages that nobody holds keep their
content until their room is needed; the longest unused goes first.

Pure bookkeeping: numbers of pages in, numbers of pages out. No torch, no memory.

Book: inference-ops/llm-serving-optimization
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple


class OutOfPages(Exception):
    """More pages are needed than are free; nothing was changed."""


class Copy(NamedTuple):
    """The content of page `source` has to be copied to page `target` before anything writes there."""

    source: int
    target: int


class Table:
    """A sequence's pages in order, how many positions they hold, and the names of those that are full.

    own: the page that is filled next is this table's alone.
    """

    __slots__ = ("length", "names", "own", "pages", "salt")

    def __init__(self, salt: bytes = b"") -> None:
        self.pages: list[int] = []
        self.length = 0
        self.names: list[bytes] = []
        self.own = False
        self.salt = salt


def page_name(before: bytes, tokens: Sequence[int]) -> bytes:
    """Name of a full page: a hash of its tokens and of the name of the page before it, so of all before it.

    A cryptographic one: whoever could find two texts of one name would be answered from another's text.
    """
    return blake2b(before + array("q", tokens).tobytes(), digest_size=16).digest()


class Pages:
    """`count` pages of `size` positions each.

    share: keep full pages findable by name. Raises ValueError for numbers that cannot be.
    """

    def __init__(self, count: int, size: int, share: bool = True) -> None:
        if count < 1 or size < 1:
            raise ValueError(f"a cache needs at least one page and one position, got {count} of {size}")
        self.count, self.size, self.share = count, size, share
        self._free = list(range(count - 1, -1, -1))  # hold nothing; the lowest number is taken first
        self._holders = [0] * count
        self._name: list[bytes | None] = [None] * count
        self._named: dict[bytes, int] = {}
        self._idle: dict[int, None] = {}  # named, and held by nobody; the longest unused first
        self.evicted = 0

    @property
    def available(self) -> int:
        """Pages that can be had now."""
        return len(self._free) + len(self._idle)

    @property
    def idle(self) -> frozenset[int]:
        """Pages that nobody holds and that keep their content, until their room is needed."""
        return frozenset(self._idle)

    def holders(self, page: int) -> int:
        """How many tables a page is in."""
        return self._holders[page]

    def needed(self, table: Table, length: int) -> int:
        """Pages that `reserve` would take; one of them for a copy where the next position is shared."""
        missing = max(0, -(-length // self.size) - len(table.pages))
        return missing + (length > table.length and self._shared(table))

    def reserve(self, table: Table, length: int) -> Copy | None:
        """Make room for `length` positions, so that those behind the table's own may be written.

        Returns the copy that has to happen first, where the page to go on in is shared with another. Raises
        OutOfPages, and then nothing was changed.
        """
        pages = table.pages
        missing = -(-length // self.size) - len(pages)
        copy: Copy | None = None
        if length > table.length and table.length % self.size:  # goes on in a page that was begun
            last = table.length // self.size
            page = pages[last]
            if self._holders[page] > 1:
                if max(missing, 0) + 1 > self.available:
                    raise OutOfPages
                pages[last] = self._take()
                self._holders[page] -= 1
                copy = Copy(page, pages[last])
        if missing > 0:
            if missing > self.available:
                raise OutOfPages
            pages.extend(self._take() for _ in range(missing))
        table.own = True
        return copy

    def commit(self, table: Table, tokens: Sequence[int], length: int) -> None:
        """The first `length` tokens of a sequence now lie in its pages: name those that became full."""
        table.length = length
        names, size = table.names, self.size
        if not self.share or length // size <= len(names):
            return
        for index in range(len(names), length // size):
            before = names[-1] if names else table.salt
            names.append(page_name(before, tokens[index * size : (index + 1) * size]))
            page = table.pages[index]
            if self._name[page] is None and names[-1] not in self._named:  # else another page has it already
                self._name[page] = names[-1]
                self._named[names[-1]] = page

    def names(self, tokens: Sequence[int], salt: bytes = b"") -> list[bytes]:
        """Names of the pages that `tokens` fill, without the last token: its logits are always computed."""
        names: list[bytes] = []
        if self.share:
            for start in range(0, len(tokens) - self.size, self.size):
                names.append(page_name(names[-1] if names else salt, tokens[start : start + self.size]))
        return names

    def adopt(self, names: Sequence[bytes], salt: bytes = b"") -> Table:
        """A table with the longest run of pages of these `names`, from the first on, that is at hand.

        names: from `names` of the same salt; sequences of another salt share nothing.
        """
        table = Table(salt)
        for name in names:
            page = self._named.get(name)
            if page is None:
                break
            self._hold(page)
            table.pages.append(page)
            table.names.append(name)
        table.length = len(table.pages) * self.size
        return table

    def fork(self, table: Table) -> Table:
        """A second table with the same content: nothing is copied until one of them writes."""
        twin = Table(table.salt)
        twin.pages = table.pages[: -(-table.length // self.size)]
        twin.length, twin.names = table.length, table.names.copy()
        table.own = False
        for page in twin.pages:
            self._hold(page)
        return twin

    def trim(self, table: Table) -> None:
        """Give back pages that were reserved and hold nothing."""
        self._drop_from(table, -(-table.length // self.size))

    def release(self, table: Table) -> None:
        """Let go of all pages. The end goes first, so that beginnings are evicted last."""
        self._drop_from(table, 0)
        table.length, table.own = 0, False
        table.names.clear()

    def _shared(self, table: Table) -> bool:
        inside = table.length % self.size != 0
        return inside and self._holders[table.pages[table.length // self.size]] > 1

    def _drop_from(self, table: Table, first: int) -> None:
        pages, holders = table.pages, self._holders
        while len(pages) > first:
            page = pages.pop()
            holders[page] -= 1
            if not holders[page]:
                if self._name[page] is None:
                    self._free.append(page)
                else:
                    self._idle[page] = None

    def _hold(self, page: int) -> None:
        if not self._holders[page]:
            del self._idle[page]
        self._holders[page] += 1

    def _take(self) -> int:
        if self._free:
            page = self._free.pop()
        else:
            page = next(iter(self._idle))
            del self._idle[page]
            self._forget(page)
            self.evicted += 1
        self._holders[page] = 1
        return page

    def _forget(self, page: int) -> None:
        name = self._name[page]
        assert name is not None
        del self._named[name]
        self._name[page] = None

    def check(self, tables: Sequence[Table]) -> None:
        """Raises AssertionError unless exactly these tables hold exactly what is held. For tests."""
        held = [0] * self.count
        for table in tables:
            assert len(set(table.pages)) == len(table.pages), "a table has a page twice"
            assert len(table.pages) * self.size >= table.length, "a table holds more than its pages"
            for page in table.pages:
                held[page] += 1
            if table.length % self.size:
                page = table.pages[table.length // self.size]
                assert self._name[page] is None, "a page is named before it is full"
        assert held == self._holders, "pages are held by other tables than they count"
        free = set(self._free)
        assert len(free) == len(self._free), "a page is free twice"
        assert not free & self._idle.keys(), "a page is free and idle"
        for page in range(self.count):
            here = page in free or page in self._idle
            assert here == (held[page] == 0), f"page {page} is lost or given away while held"
            assert (page in self._idle) <= (self._name[page] is not None), f"page {page} is idle, unnamed"
            assert not (page in free and self._name[page]), f"page {page} is free and named"
        assert self._named == {n: p for p, n in enumerate(self._name) if n is not None}, "names are wrong"
