# Fault: keeps values; an equal one was struck out, so the front leaves too early.
# Rejected by: test_equal_values

from collections import deque


def window_maxima(values, width):
    if not 1 <= width <= len(values):
        raise ValueError("width")
    queue, maxima = deque(), []
    for place, value in enumerate(values):
        if place >= width and queue and values[place - width] == queue[0]:
            queue.popleft()
        while queue and queue[-1] <= value:
            queue.pop()
        queue.append(value)
        if place + 1 >= width:
            maxima.append(queue[0])
    return maxima
