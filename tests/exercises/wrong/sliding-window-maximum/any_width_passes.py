# Fault: a width beyond the values gives an empty list.
# Rejected by: test_bad_width_is_refused

from collections import deque


def window_maxima(values: list[float], width: int) -> list[float]:
    if width < 1:
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
