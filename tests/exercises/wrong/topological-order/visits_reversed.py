# Fault: depth first, and the order of the visits reversed: stages run before what they need.
# Rejected by: test_worked_example


def run_order(needs):
    order, state = [], {}

    def visit(stage):
        if state.get(stage) == "done":
            return None
        if state.get(stage) == "open":
            return [stage]
        state[stage] = "open"
        for need in sorted(needs.get(stage, [])):
            found = visit(need)
            if found:
                return found
        state[stage] = "done"
        order.append(stage)
        return None

    for stage in needs:
        cycle = visit(stage)
        if cycle:
            return [], cycle
    return order[::-1], []
