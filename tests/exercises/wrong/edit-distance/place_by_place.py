# Fault: compares word i with word i, so one missing word makes all that follow wrong.
# Rejected by: test_shift

import itertools


def align(said, heard):
    pairs = list(itertools.zip_longest(said, heard))
    return sum(a != b for a, b in pairs), pairs
