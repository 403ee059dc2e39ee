# Fault: a prompt that passes what is left of the budget gets nothing.
# Rejected by: test_prompt_is_computed_in_chunks


def step(state):
    left, work, preempted = state.budget, [], []

    def give(sequence):
        nonlocal left
        count = sequence.tokens - sequence.computed
        if count <= left:
            sequence.computed += count
            left -= count
            work.append((sequence.id, count))

    def preempt():
        victim = state.running.pop()
        state.free += victim.pages
        victim.pages = victim.computed = 0
        state.waiting.insert(0, victim)
        preempted.append(victim.id)
        return victim

    decodes = [s for s in state.running if s.tokens - s.computed == 1]
    prompts = [s for s in state.running if s.tokens - s.computed > 1]
    for sequence in decodes:
        if sequence.id in preempted:
            break
        if sequence.computed == sequence.pages * state.size:
            if not state.free and preempt() is sequence:
                break
            state.free -= 1
            sequence.pages += 1
        give(sequence)
    for sequence in prompts:
        if sequence.id not in preempted:
            give(sequence)
    while not preempted and left and state.waiting:
        sequence = state.waiting[0]
        need = -(-sequence.tokens // state.size)
        if need > state.free - (state.spare if state.running else 0):
            break
        state.free -= need
        sequence.pages = need
        state.running.append(state.waiting.pop(0))
        give(sequence)
    return work, preempted
