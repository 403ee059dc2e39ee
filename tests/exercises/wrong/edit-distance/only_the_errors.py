# Fault: lists the pairs with an error, and leaves out those without.
# Rejected by: test_equal_texts

Pairs = list[tuple[str | None, str | None]]


def align(said: list[str], heard: list[str]) -> tuple[int, Pairs]:
    errors = [list(range(len(heard) + 1))]  # of the first i words said and the first j heard
    for i, a in enumerate(said, start=1):
        above, row = errors[-1], [i]
        for j, b in enumerate(heard, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
        errors.append(row)
    i, j = len(said), len(heard)
    pairs: Pairs = []
    while i or j:
        here = errors[i][j]
        if i and here == errors[i - 1][j] + 1:
            i -= 1
            pairs.append((said[i], None))
        elif j and here == errors[i][j - 1] + 1:
            j -= 1
            pairs.append((None, heard[j]))
        else:
            i, j = i - 1, j - 1
            pairs.append((said[i], heard[j]))
    return errors[-1][-1], [pair for pair in pairs[::-1] if pair[0] != pair[1]]
