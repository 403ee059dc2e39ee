"""The best value for every budget, passage by passage (Bellman's knapsack), and where each one was taken."""


def choose_passages(tokens: list[int], values: list[int], budget: int) -> tuple[int, list[int]]:
    """(greatest value, passages that reach it, ascending). Raises ValueError for numbers that cannot be."""
    if len(tokens) != len(values):
        raise ValueError(f"expected as many values as lengths, got {len(values)} and {len(tokens)}")
    if min([budget, *tokens, *values]) < 0:
        raise ValueError("expected lengths, values and a budget of at least 0")
    best = [0] * (budget + 1)  # within so many tokens, of the passages so far
    taken = []  # for each passage: at which budgets it was taken
    for place, length in enumerate(tokens):
        row = bytearray(budget + 1)
        for room in range(budget, length - 1, -1):  # downwards: best[room - length] is still without it
            if best[room - length] + values[place] > best[room]:
                best[room] = best[room - length] + values[place]
                row[room] = True
        taken.append(row)
    chosen, room = [], budget
    for place in reversed(range(len(tokens))):
        if taken[place][room]:
            chosen.append(place)
            room -= tokens[place]
    return best[budget], chosen[::-1]
