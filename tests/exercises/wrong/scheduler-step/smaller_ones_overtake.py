# Fault: who does not fit is passed over, and a stream of small ones keeps it waiting for ever.
# Rejected by: test_several_are_let_in_until_one_does_not_fit


def step(state):
    left, work, preempted = state.budget, [], []

    def give(sequence):
        nonlocal left
        count = min(sequence.tokens - sequence.computed, left)
        if count:
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
    for sequence in [] if preempted else list(state.waiting):
        if not left:
            break
        need = -(-sequence.tokens // state.size)
        if need > state.free - (state.spare if state.running else 0):
            continue
        state.free -= need
        sequence.pages = need
        state.waiting.remove(sequence)
        state.running.append(sequence)
        give(sequence)
    return work, preempted
