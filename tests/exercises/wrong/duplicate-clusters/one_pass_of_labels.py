# Fault: passes the smaller label on once, in the order of the pairs.
# Rejected by: test_chain


def representatives(count, pairs):
    if count < 0 or any(not 0 <= x < count for pair in pairs for x in pair):
        raise ValueError("numbers")
    label = list(range(count))
    for a, b in pairs:
        label[a] = label[b] = min(label[a], label[b])
    return label
