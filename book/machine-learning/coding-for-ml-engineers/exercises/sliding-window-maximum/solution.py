"""A queue of places whose values fall: what a later, larger value has struck out is never needed again."""

from collections import deque


def window_maxima(values: list[float], width: int) -> list[float]:
    """The maximum of each full window. Raises ValueError for a width outside of 1 to len(values)."""
    if not 1 <= width <= len(values):
        raise ValueError(f"expected a width from 1 to {len(values)}, got {width}")
    queue: deque[int] = deque()  # places, their values fall from front to back
    maxima = []
    for place, value in enumerate(values):
        while queue and values[queue[-1]] <= value:
            queue.pop()
        queue.append(place)
        if queue[0] == place - width:
            queue.popleft()
        if place + 1 >= width:
            maxima.append(values[queue[0]])
    return maxima
