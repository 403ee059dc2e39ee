# Fault: weights are not used.
# Rejected by: test_weights


def reciprocal_rank_fusion(rankings, k=60.0, weights=None):
    if weights is None:
        weights = [1.0] * len(rankings)
    if len(weights) != len(rankings) or k < 0 or any(w < 0 for w in weights):
        raise ValueError("weights or k")
    scores = {}
    for ranking, _ in zip(rankings, weights, strict=False):
        if len(set(ranking)) < len(ranking):
            raise ValueError("an item twice")
        for place, item in enumerate(ranking):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + place + 1)
    return sorted(scores.items(), key=lambda pair: -pair[1])
