"""A table of the lengths for all pairs of beginnings, walked back for the words (Lin 2004, section 3)."""


def rouge_l(
    reference: list[str],
    candidate: list[str],
    beta: float = 1.0,
) -> tuple[list[str], float, float, float]:
    """(a longest common subsequence, precision, recall, F). Raises ValueError if beta is not above 0."""
    if not beta > 0:
        raise ValueError(f"expected a beta above 0, got {beta}")
    common = longest_common(reference, candidate)
    if not common:
        return [], 0.0, 0.0, 0.0
    precision, recall = len(common) / len(candidate), len(common) / len(reference)
    f = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return common, precision, recall, f


def longest_common(first: list[str], second: list[str]) -> list[str]:
    """The words of a longest common subsequence."""
    lengths = [[0] * (len(second) + 1)]  # of the first i and the first j words
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
