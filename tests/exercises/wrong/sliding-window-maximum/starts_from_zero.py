# Fault: begins with a maximum of 0, so negative values are lost.
# Rejected by: test_negative_values

from collections import deque


def window_maxima(values: list[float], width: int) -> list[float]:
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
            maxima.append(max(0, values[queue[0]]))
    return maxima
