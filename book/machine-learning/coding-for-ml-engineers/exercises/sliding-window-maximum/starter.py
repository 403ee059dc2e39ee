"""The largest value of every window of a series."""


def window_maxima(values: list[float], width: int) -> list[float]:
    raise NotImplementedError("a queue of values that can still become the maximum")
