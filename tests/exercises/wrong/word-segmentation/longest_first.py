# Fault: takes the longest piece that fits, again and again.
# Rejected by: test_longest_piece_leads_into_a_corner


def segment(text, costs):
    if any(not piece or cost < 0 for piece, cost in costs.items()):
        raise ValueError("costs")
    longest, pieces = max(map(len, costs), default=0), []
    while text:
        for size in range(min(longest, len(text)), 0, -1):
            if text[:size] in costs:
                pieces.append(text[:size])
                text = text[size:]
                break
        else:
            return None
    return pieces
