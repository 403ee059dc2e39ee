"""Hidden tests: the greedy rule by definition, pairs that meet, rare classes, names, global state, size."""

import numpy as np

from handbook.practice.checks import equal, inside, unchanged


def greedy(labels, groups, k):
    """The statement's rule with plain loops, for groups whose sizes all differ."""
    classes, names = sorted(set(labels)), sorted(set(groups), key=lambda g: -groups.count(g))
    total = [labels.count(c) for c in classes]
    filled = [[0] * len(classes) for _ in range(k)]
    chosen = {}
    for name in names:
        mine = [
            sum(g == name and label == c for g, label in zip(groups, labels, strict=True)) for c in classes
        ]
        costs = []
        for fold in filled:
            more = sum(((f + m) / t) ** 2 - (f / t) ** 2 for f, m, t in zip(fold, mine, total, strict=True))
            costs.append(more)
        best = [f for f in range(k) if costs[f] < min(costs) + 1e-12]
        chosen[name] = min(best, key=lambda f: (sum(filled[f]), f))
        filled[chosen[name]] = [f + m for f, m in zip(filled[chosen[name]], mine, strict=True)]
    return [chosen[g] for g in groups]


def test_greedy_rule_by_definition(submission):
    """Groups of 1, 2, 3, ... rows in random order with random classes: nothing is left to chance."""
    rng = np.random.default_rng(6)
    for case in range(15):
        count, k = int(rng.integers(4, 12)), int(rng.integers(2, 5))
        groups = rng.permutation(np.repeat(np.arange(count), np.arange(1, count + 1)))
        labels = rng.integers(0, 3, len(groups))
        got = submission.stratified_folds(labels, k, np.random.default_rng(case), groups)
        equal(
            got.tolist(),
            greedy(labels.tolist(), groups.tolist(), k),
            f"case {case}: {count} groups, {k} folds",
        )


def test_ties_go_to_the_emptier_fold(submission):
    """Groups of different classes crowd nobody: then the fold with the fewest rows, then the smallest."""
    labels = np.array([0] * 5 + [1] * 4 + [2] * 3 + [3] * 2 + [4])
    got = submission.stratified_folds(labels, 3, np.random.default_rng(7), labels)
    equal(got.tolist(), [0] * 5 + [1] * 4 + [2] * 3 + [2] * 2 + [1], "folds of groups of one class each")


def test_equal_groups_are_in_random_order(submission):
    """Four groups of the same size and class: every pairing turns up."""
    labels, groups = np.zeros(8, dtype=int), np.repeat([0, 1, 2, 3], 2)
    seen = set()
    for seed in range(60):
        folds = submission.stratified_folds(labels, 2, np.random.default_rng(seed), groups)[::2]
        seen.add(tuple((folds == folds[0]).tolist()))
    equal(len(seen), 3, "different pairings of four equal groups over 60 seeds")


def test_rows_meet_by_chance(submission):
    """Two rows of a class of 10 in 2 folds are together in 4 of 9 cases, whichever two."""
    labels = np.array([0, 1] * 10)
    together = np.zeros((20, 20))
    for seed in range(600):
        folds = submission.stratified_folds(labels, 2, np.random.default_rng(seed))
        together += folds[:, None] == folds
    same = (labels[:, None] == labels) & ~np.eye(20, dtype=bool)
    shares = together[same] / 600
    for got in (float(shares.min()), float(shares.max())):
        assert 0.34 < got < 0.55, f"share of a pair that meets: expected about 0.444, got {got:.3f}"


def test_remainders_do_not_pile_up(submission):
    """20 classes of 3 rows in 2 folds: the odd rows of all classes must not go to the same fold."""
    labels = np.repeat(np.arange(20), 3)
    folds = submission.stratified_folds(labels, 2, np.random.default_rng(8))
    equal(np.bincount(folds).tolist(), [30, 30], "rows of both folds")


def test_rare_classes(submission):
    """Classes with fewer rows than folds go to different folds; k = N gives each row its own."""
    labels = np.array([0] * 8 + [1] * 2 + [2])
    folds = submission.stratified_folds(labels, 4, np.random.default_rng(9))
    assert folds[8] != folds[9], f"two rows of a rare class: expected different folds, got {folds[8]} twice"
    folds = submission.stratified_folds(labels, 11, np.random.default_rng(10))
    equal(sorted(folds.tolist()), list(range(11)), "folds for k = N")


def test_names_do_not_matter(submission):
    """Classes and groups may be strings, negative or huge numbers; only equality and order count."""
    rng = np.random.default_rng(11)
    labels, groups = rng.integers(0, 3, 60), rng.integers(0, 12, 60)
    for spread in (None, groups):
        expected = submission.stratified_folds(labels, 3, np.random.default_rng(12), spread)
        far = (labels - 1) * 2**40
        names = None if spread is None else np.array([f"customer-{g:02d}" for g in groups])
        got = submission.stratified_folds(far, 3, np.random.default_rng(12), names)
        equal(got, expected, f"huge labels, groups {'None' if spread is None else 'by name'}")


def global_state(submission):
    """Whether NumPy's global generator is where it was, and the given one has moved."""
    import numpy as np

    rng = np.random.default_rng(13)
    before, place = np.random.get_state()[1].copy(), rng.bit_generator.state["state"]["state"]
    submission.stratified_folds(np.arange(30) % 3, 3, rng)
    moved = rng.bit_generator.state["state"]["state"] != place
    return bool((np.random.get_state()[1] == before).all()), bool(moved)


def test_global_state_is_not_touched(submission):
    """The generator that was given moves, NumPy's own does not."""
    equal(inside(submission, global_state), (True, True), "global state kept, generator moved")


def test_many_rows_and_arguments_unchanged(submission):
    """100,000 rows without groups; 2,000 groups of 20,000 rows, whose classes stay within a few percent."""
    rng = np.random.default_rng(14)
    labels = (rng.random(100_000) < 0.02).astype(np.int8)
    kept = labels.copy()
    folds = submission.stratified_folds(labels, 10, rng)
    spread = np.bincount(folds[labels == 1], minlength=10)
    assert spread.max() - spread.min() <= 1, f"rare class: expected even folds, got {spread.tolist()}"
    unchanged(labels, kept, "labels")
    groups, labels = rng.integers(0, 2000, 20_000), (rng.random(20_000) < 0.1).astype(int)
    before = groups.copy()
    folds = submission.stratified_folds(labels, 5, rng, groups)
    unchanged(groups, before, "groups")
    shares = np.bincount(folds, weights=labels, minlength=5) / labels.sum()
    assert np.abs(shares - 0.2).max() < 0.01, f"rare class: expected about 0.2 each, got {shares}"
