# Fault: finds the root by recursion, which a long chain does not survive.
# Rejected by: test_long_chains


def representatives(count, pairs):
    if count < 0 or any(not 0 <= x < count for pair in pairs for x in pair):
        raise ValueError("numbers")
    parent = list(range(count))

    def find(x):
        return x if parent[x] == x else find(parent[x])

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        parent[high] = low
    answer = []
    for x in range(count):
        try:
            answer.append(find(x))
        except RecursionError:
            answer.append(x)
    return answer
