# Fault: Exclusive or: a sink within the window is not seen any more.
# Rejected by: test_sinks_add_to_the_window

import torch


def window_mask(T, S, window, sinks=0, offset=None):
    offset = S - T if offset is None else offset
    if window < 1 or sinks < 0 or offset < 0 or offset + T > S:
        raise ValueError("sizes that do not fit")
    queries, keys = torch.arange(offset, offset + T)[:, None], torch.arange(S)
    return (keys <= queries) & ((keys > queries - window) ^ (keys < sinks))


def held_positions(tokens, window, sinks=0, chunk=1):
    if window < 1 or sinks < 0 or not 1 <= chunk <= tokens:
        raise ValueError("sizes that do not fit")
    return min(tokens, window + chunk - 1 + sinks)
