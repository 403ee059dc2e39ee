# Fault: breadth first: the route with the fewest links, whatever they take.
# Rejected by: test_fewest_links_is_not_quickest

from collections import deque


def quickest_route(links, start, goal):
    queue, met = deque([(start, 0, [start])]), {start}
    while queue:
        place, time, route = queue.popleft()
        if place == goal:
            return time, route
        for other, latency in links.get(place, ()):
            if latency < 0:
                raise ValueError("latency")
            if other not in met:
                met.add(other)
                queue.append((other, time + latency, [*route, other]))
    return None
