# Fault: takes the best value per token first.
# Rejected by: test_best_ratio_first_is_not_best


def choose_passages(tokens, values, budget):
    if len(tokens) != len(values) or min(budget, *tokens, *values, 0) < 0:
        raise ValueError("numbers")
    order = sorted(range(len(tokens)), key=lambda i: -values[i] / max(tokens[i], 1e-9))
    chosen = []
    for i in order:
        if tokens[i] <= budget:
            budget -= tokens[i]
            chosen.append(i)
    return sum(values[i] for i in chosen), sorted(chosen)
