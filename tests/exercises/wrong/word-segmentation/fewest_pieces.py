# Fault: counts pieces, not costs.
# Rejected by: test_fewest_pieces_is_not_cheapest


def segment(text: str, costs: dict[str, int]) -> list[str] | None:
    if any(not piece or cost < 0 for piece, cost in costs.items()):
        raise ValueError("expected pieces that are not empty, and costs of at least 0")
    longest = max(map(len, costs), default=0)
    best: list[int | None] = [0]  # cost of the first so many characters; None: no way to cut them
    starts = [0]  # where their last piece begins
    for end in range(1, len(text) + 1):
        cheapest, begin = None, 0
        for start in range(max(0, end - longest), end):
            before, cost = best[start], 1 if text[start:end] in costs else None
            if before is None or cost is None:
                continue
            if cheapest is None or before + cost < cheapest:
                cheapest, begin = before + cost, start
        best.append(cheapest)
        starts.append(begin)
    if best[-1] is None:
        return None
    pieces, end = [], len(text)
    while end:
        pieces.append(text[starts[end] : end])
        end = starts[end]
    return pieces[::-1]
