# Fault: counts only choices that use the budget up.
# Rejected by: test_everything_fits


def choose_passages(tokens: list[int], values: list[int], budget: int) -> tuple[int, list[int]]:
    if len(tokens) != len(values):
        raise ValueError(f"expected as many values as lengths, got {len(values)} and {len(tokens)}")
    if min([budget, *tokens, *values]) < 0:
        raise ValueError("expected lengths, values and a budget of at least 0")
    best = [0] + [-(10**40)] * budget  # within so many tokens, of the passages so far
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
    return max(0, best[budget]), chosen[::-1]
