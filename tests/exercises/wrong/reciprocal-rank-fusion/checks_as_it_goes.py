# Fault: weights and k are looked at only where an item needs them.
# Rejected by: test_every_argument_is_checked


def reciprocal_rank_fusion(rankings, k=60.0, weights=None):
    if weights is None:
        weights = [1.0] * len(rankings)
    if rankings and len(weights) != len(rankings):
        raise ValueError("weights")
    scores = {}
    for ranking, weight in zip(rankings, weights, strict=False):
        if len(set(ranking)) < len(ranking):
            raise ValueError("an item twice")
        for place, item in enumerate(ranking):
            if weight < 0 or k < 0:
                raise ValueError("weight or k")
            scores[item] = scores.get(item, 0.0) + weight / (k + place + 1)
    return sorted(scores.items(), key=lambda pair: -pair[1])
