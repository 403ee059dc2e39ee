# Fault: goes on over the quickest link of each service, without ever turning back.
# Rejected by: test_worked_example


def quickest_route(links, start, goal):
    time, route = 0, [start]
    while route[-1] != goal:
        ways = [(latency, other) for other, latency in links.get(route[-1], ()) if other not in route]
        if any(latency < 0 for latency, _ in ways):
            raise ValueError("latency")
        if not ways:
            return (time, route[1:]) if route[-1] == goal else None
        latency, other = max(ways)
        time, route = time + latency, [*route, other]
    return time, route
