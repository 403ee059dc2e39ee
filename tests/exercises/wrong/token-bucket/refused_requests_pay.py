# Fault: takes the tokens of refused requests too.
# Rejected by: test_refusals_take_nothing

import threading
from collections.abc import Callable


class TokenBucket:
    """Raises ValueError for a rate or a capacity that is not above 0."""

    def __init__(self, rate: float, capacity: float, clock: Callable[[], float]) -> None:
        if not (rate > 0 and capacity > 0):
            raise ValueError(f"Expected a rate and a capacity above 0, got {rate} and {capacity}.")
        self._rate, self._capacity, self._clock = rate, capacity, clock
        self._lock = threading.Lock()
        self._tokens, self._at = capacity, clock()

    def allow(self, cost: float = 1.0) -> bool:
        """Takes the tokens or nothing. Raises ValueError for a cost that can never pass."""
        self._check(cost)
        with self._lock:
            self._refill()
            passes = cost <= self._tokens
            self._tokens = max(0.0, self._tokens - cost)
            return passes

    def wait(self, cost: float = 1.0) -> float:
        """Seconds until that many are there. Raises ValueError for a cost that can never pass."""
        self._check(cost)
        with self._lock:
            self._refill()
            return max(0.0, cost - self._tokens) / self._rate

    def _check(self, cost: float) -> None:
        if not 0 < cost <= self._capacity:
            raise ValueError(f"Expected a cost above 0 and up to {self._capacity}, got {cost}.")

    def _refill(self) -> None:
        """Holds the lock, the clock's reading included: a late thread with an old time would move it back."""
        now = max(self._clock(), self._at)
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
