# Fault: matches each word with its first place in the rest of the other text.
# Rejected by: test_equals_trying_all_subsequences


def rouge_l(
    reference: list[str],
    candidate: list[str],
    beta: float = 1.0,
) -> tuple[list[str], float, float, float]:
    if not beta > 0:
        raise ValueError(f"expected a beta above 0, got {beta}")
    common = longest_common(reference, candidate)
    if not common:
        return [], 0.0, 0.0, 0.0
    precision, recall = len(common) / len(candidate), len(common) / len(reference)
    f = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return common, precision, recall, f


def longest_common(first: list[str], second: list[str]) -> list[str]:
    words, place = [], 0
    for a in first:
        if a in second[place:]:
            place = second.index(a, place) + 1
            words.append(a)
    return words
    lengths = [[0]]
    for a in first:
        above, row = lengths[-1], [0]
        for j, b in enumerate(second):
            row.append(above[j] + 1 if a == b else max(above[j + 1], row[j]))
        lengths.append(row)
    i, j, words = len(first), len(second), []
    while lengths[i][j]:
        if lengths[i - 1][j] == lengths[i][j]:
            i -= 1
        elif lengths[i][j - 1] == lengths[i][j]:
            j -= 1
        else:  # neither can do without the other: both words are taken
            i, j = i - 1, j - 1
            words.append(first[i])
    return words[::-1]
