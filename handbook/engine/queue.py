"""Who is next: by priority, then fair shares between tenants, then order of arrival.

Fairness is the virtual token counter of Sheng et al. 2024 (arXiv:2401.00588), section 4: each tenant has a
count of the tokens computed for it, and the one with the smallest count goes first; who comes back after a
pause starts from the smallest count of those present, so that a pause saves nothing up.

Waiting counts as priority, in an order that time doesn't change: an early sequence of low priority stands
before a late one of high priority. Whoever is first in it stays first, so that nobody waits for ever; ranks
that improved while waiting, and only then, would let two sequences push each other out in turn (LOG.md).

Book: inference-ops/llm-serving-optimization
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waits(Protocol):
    """What can stand in the queue. since: when it came."""

    priority: int
    tenant: str
    arrival: int
    since: float


T = TypeVar("T", bound=Waits)


class FairQueue(Generic[T]):
    """Sequences that wait. patience: seconds of waiting that count as one step of priority, 0 for none."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.served: dict[str, float] = {}  # tenant -> tokens computed for it, lifted after pauses
        self._lines: dict[tuple[int, str], deque[T]] = {}
        self._present: dict[str, int] = {}  # tenant -> its sequences, waiting or running
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line

    def enter(self, tenant: str) -> None:
        """A sequence of this tenant is there."""
        if not self._present.get(tenant):
            floor = min((self.served[t] for t, n in self._present.items() if n), default=0.0)
            self.served[tenant] = max(self.served.get(tenant, 0.0), floor)
        self._present[tenant] = self._present.get(tenant, 0) + 1

    def leave(self, tenant: str) -> None:
        """A sequence of this tenant has ended. Without any the tenant is remembered only while others are
        there to compare with."""
        self._present[tenant] -= 1
        if not any(self._present.values()):
            self._present.clear()
            self.served.clear()

    def push(self, item: T, first: bool = False) -> None:
        """To the end of its line; first: to its head, for one that was here before."""
        line = self._lines.setdefault((item.priority, item.tenant), deque())
        (line.appendleft if first else line.append)(item)
        self._length += 1

    def head(self) -> T | None:
        """The one whose turn it is; None when nobody waits."""
        best = min(self._lines.items(), key=lambda entry: self._turn(entry[1][0]), default=None)
        return None if best is None else best[1][0]

    def remove(self, item: T) -> None:
        """Take out one that is there."""
        key = item.priority, item.tenant
        line = self._lines[key]
        if line[0] is item:
            line.popleft()
        else:
            line.remove(item)
        if not line:
            del self._lines[key]
        self._length -= 1

    def rank(self, item: T) -> float:
        """Priority, and how many times `patience` after the clock's start it came."""
        return item.priority + (item.since // self.patience if self.patience else 0.0)

    def _turn(self, item: T) -> tuple[float, float, int]:
        return self.rank(item), self.served.get(item.tenant, 0.0), item.arrival
