# Fault: lets the front stay one step too long.
# Rejected by: test_falling_values

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
        if queue[0] == place - width - 1:
            queue.popleft()
        if place + 1 >= width:
            maxima.append(values[queue[0]])
    return maxima
