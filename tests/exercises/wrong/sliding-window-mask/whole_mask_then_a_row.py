# Fault: Builds the S x S mask and cuts its rows, a thousand times the memory in decoding.
# Rejected by: test_decode_step_builds_one_row

import torch


def window_mask(T, S, window, sinks=0, offset=None):
    offset = S - T if offset is None else offset
    if window < 1 or sinks < 0 or offset < 0 or offset + T > S:
        raise ValueError("sizes that do not fit")
    queries, keys = torch.arange(S)[:, None], torch.arange(S)
    whole = (keys <= queries) & ((keys > queries - window) | (keys < sinks))
    return whole[offset : offset + T]


def held_positions(tokens, window, sinks=0, chunk=1):
    if window < 1 or sinks < 0 or not 1 <= chunk <= tokens:
        raise ValueError("sizes that do not fit")
    return min(tokens, window + chunk - 1 + sinks)
