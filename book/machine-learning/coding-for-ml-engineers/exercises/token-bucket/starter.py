"""A token bucket that several threads ask."""

from collections.abc import Callable


class TokenBucket:
    def __init__(self, rate: float, capacity: float, clock: Callable[[], float]) -> None:
        self.rate, self.capacity, self.clock = rate, capacity, clock

    def allow(self, cost: float = 1.0) -> bool:
        raise NotImplementedError("refill by the time that has passed, then decide")

    def wait(self, cost: float = 1.0) -> float:
        raise NotImplementedError("how long until the missing tokens have flowed in")
