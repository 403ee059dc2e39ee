# Fault: takes the results out of the lists.
# Rejected by: test_shards_stay_as_they_were


def merge_results(shards, k):
    if k < 0:
        raise ValueError("k")
    found = {}
    while len(found) < k:
        heads = [(-shard[0][1], s) for s, shard in enumerate(shards) if shard]
        if not heads:
            break
        document, score = shards[min(heads)[1]].pop(0)
        found.setdefault(document, score)
    return list(found.items())
