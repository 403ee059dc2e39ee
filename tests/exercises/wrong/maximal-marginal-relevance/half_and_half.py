# Fault: the balance is a half where it is left out.
# Rejected by: test_the_balance_left_out

import numpy as np


def mmr(relevance, vectors, limit, balance=0.5):
    if balance < 0 or balance > 1 or len(relevance) != len(vectors):
        raise ValueError("balance, or the number of vectors")
    relevance = np.array(relevance, dtype=np.float64)
    nearest = np.full(len(relevance), -np.inf)
    taken = np.zeros(len(relevance), dtype=bool)
    chosen = []
    for _ in range(min(limit, len(relevance))):
        old = nearest if chosen else 0.0
        worth = np.where(taken, -np.inf, balance * relevance - (1 - balance) * old)
        best = int(np.argmax(worth))
        taken[best] = True
        chosen.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return chosen
