# Fault: right, with a Python loop over passages.
# Rejected by: test_no_loop_over_passages

import numpy as np


def max_sims(question, tokens, lengths):
    scores, start = [], 0
    question, tokens = question.astype(np.float32), tokens.astype(np.float32)
    for length in lengths:
        own = tokens[start : start + int(length)]
        start += int(length)
        scores.append((question @ own.T).max(axis=1).sum() if len(own) else 0.0)
    return np.array(scores, dtype=np.float32)
