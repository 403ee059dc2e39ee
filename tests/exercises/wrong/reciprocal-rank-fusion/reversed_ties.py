# Fault: reverse after sorting turns equal ones round.
# Rejected by: test_equal_sums_stand_as_first_met


def reciprocal_rank_fusion(rankings, k=60.0, weights=None):
    if weights is None:
        weights = [1.0] * len(rankings)
    if len(weights) != len(rankings) or k < 0 or any(w < 0 for w in weights):
        raise ValueError("weights or k")
    scores = {}
    for ranking, weight in zip(rankings, weights, strict=False):
        if len(set(ranking)) < len(ranking):
            raise ValueError("an item twice")
        for place, item in enumerate(ranking):
            scores[item] = scores.get(item, 0.0) + weight / (k + place + 1)
    return sorted(scores.items(), key=lambda pair: pair[1])[::-1]
