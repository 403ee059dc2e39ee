# Fault: keeps the largest value so far, which never leaves.
# Rejected by: test_falling_values


def window_maxima(values, width):
    if not 1 <= width <= len(values):
        raise ValueError("width")
    maxima, most = [], values[0]
    for place, value in enumerate(values):
        most = max(most, value)
        if place + 1 >= width:
            maxima.append(most)
    return maxima
