# Fault: right, with a Python loop over candidates and chosen.
# Rejected by: test_no_loop_over_pairs

import numpy as np


def mmr(relevance, vectors, limit, balance=0.7):
    if balance < 0 or balance > 1 or len(relevance) != len(vectors):
        raise ValueError("balance, or the number of vectors")
    chosen, rest = [], list(range(len(relevance)))
    while rest and len(chosen) < limit:
        best, most = rest[0], -np.inf
        for i in rest:
            near = 0.0
            if chosen:
                near = float((vectors[chosen] @ vectors[i]).max())
            worth = balance * relevance[i] - (1 - balance) * near
            if worth > most:
                best, most = i, worth
        chosen.append(best)
        rest.remove(best)
    return chosen
