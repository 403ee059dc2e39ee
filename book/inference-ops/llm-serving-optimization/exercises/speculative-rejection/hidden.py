"""Hidden tests: whole texts, how many stay, impossible tokens, rounding, numbers at their ends."""

import numpy as np

from handbook.practice.checks import inside

HALF = [0.5, 0.5]
LAST = 1 - 2**-53  # the largest number below 1


def check(submission, drafts, q, p, uniforms, expected, what):
    got = submission.verify(drafts, np.asarray(q), np.asarray(p), np.asarray(uniforms))
    got = [int(token) for token in got]
    assert got == expected, f"{what}: expected {expected}, got {got}"


def models(seed, V=3):
    """Two Markov chains: the next token's probabilities, a row for each token before it."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.ones(V), size=V), generator.dirichlet(np.ones(V), size=V)


def rounds_of(submission, drafts, q, p, before, uniforms):
    """A driver: many rounds at once. drafts [n, k]; the models' rows for the tokens `before`, [n, k + 1]."""
    k = drafts.shape[1]
    return [
        [int(x) for x in submission.verify(mine.tolist(), q[row[:k]], p[row], u)]
        for mine, row, u in zip(drafts, before, uniforms, strict=True)
    ]


def texts(submission, seed, count, k, length, V=3):
    """Texts of `length` tokens behind token 0, made by rounds of k drafts; and the tokens of each round."""
    q, p = models(seed, V)
    ends, generator = np.cumsum(q, axis=1), np.random.default_rng(seed + 100)
    made, rounds, open_ = [[0] for _ in range(count)], [], list(range(count))
    while open_:
        before = np.zeros((len(open_), k + 1), dtype=np.int64)
        before[:, 0] = [made[n][-1] for n in open_]
        for place, u in enumerate(generator.random((k, len(open_)))):
            before[:, place + 1] = np.minimum((ends[before[:, place]] <= u[:, None]).sum(axis=1), V - 1)
        uniforms = generator.random((len(open_), k + 1, 2))
        got = inside(submission, rounds_of, before[:, 1:], q, p, before, uniforms)
        assert len(got) == len(open_), f"rounds: expected {len(open_)}, got {len(got)}"
        for n, new in zip(open_, got, strict=True):
            assert new, "a round: expected a token at least, got none"
            rounds.append(len(new))
            made[n] += new
        open_ = [n for n in open_ if len(made[n]) <= length]
    return [tuple(text[1 : length + 1]) for text in made], rounds, q, p


def test_whole_texts_are_distributed_as_the_target_says(submission):
    """Chi-squared over all 27 texts of 3 tokens; 26 degrees of freedom pass 62 once in 10,000."""
    for seed, k in ((0, 1), (1, 2), (2, 4)):
        count = 3000
        made, _, _, p = texts(submission, seed, count, k, 3)
        statistic, worst = 0.0, (0.0, "")
        for a in range(3):
            for b in range(3):
                for c in range(3):
                    expected = count * p[0, a] * p[a, b] * p[b, c]
                    seen = made.count((a, b, c))
                    part = (seen - expected) ** 2 / expected
                    statistic += part
                    worst = max(worst, (part, f"text {a}{b}{c}: expected {expected:.0f} times, got {seen}"))
        assert statistic < 62, f"k = {k}, {count} texts, {worst[1]} (chi-squared {statistic:.0f})"


def test_as_many_stay_as_can(submission):
    """Accepted with probability sum of min(p, q) exactly: fewer would be right, and slow."""
    _, rounds, q, p = texts(submission, 3, 4000, 1, 1)
    expected = 1 + np.minimum(q[0], p[0]).sum()
    got = float(np.mean(rounds))
    assert abs(got - expected) < 0.02, f"tokens a round: expected {expected:.3f}, got {got:.3f}"


def verified(submission, cases):
    """A driver: what comes of each case."""
    return [[int(token) for token in submission.verify(*case)] for case in cases]


def test_equals_the_rule_place_by_place(submission):
    generator, cases, right = np.random.default_rng(4), [], []
    for _ in range(400):
        k, V = int(generator.integers(0, 5)), int(generator.integers(2, 7))
        q, p = generator.dirichlet(np.ones(V), size=k), generator.dirichlet(np.ones(V), size=k + 1)
        drafts, u = [int(generator.choice(V, p=row)) for row in q], generator.random((k + 1, 2))
        expected, source = [], p[k]
        for i, x in enumerate(drafts):
            if u[i, 0] >= p[i, x] / q[i, x]:
                source = np.where(p[i] > q[i], p[i] - q[i], 0.0)
                break
            expected.append(x)
        running, threshold = 0.0, u[len(expected), 1] * source.sum()
        for token in range(V):
            running += source[token]
            if running > threshold:
                break
        right.append([*expected, token])
        cases.append((drafts, q.reshape(k, V), p, u))
    for (drafts, _, p, _), expected, got in zip(
        cases, right, inside(submission, verified, cases), strict=True
    ):
        what = f"k = {len(drafts)}, V = {p.shape[1]}, drafts {drafts}"
        assert got == expected, f"{what}: expected {expected}, got {got}"


def test_drafts_behind_a_rejection_are_dropped(submission):
    q = [[0.9, 0.1]] * 3
    p = [[0.1, 0.9], [0.9, 0.1], [0.9, 0.1], HALF]
    u = [[0.5, 0.5], [0.0, 0.5], [0.0, 0.5], [0.0, 0.5]]
    check(submission, [0, 0, 0], q, p, u, [1], "the first of three drafts is rejected")
    u[0][0] = 0.1
    check(submission, [0, 0, 0], q, p, u, [0, 0, 0, 1], "0.1 is below 0.1 / 0.9")


def test_token_that_the_target_never_says(submission):
    p = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    check(submission, [0], [[0.5, 0.5, 0.0]], p, [[0.0, 0.0], [0.0, 0.0]], [1], "p = 0 for the draft, u = 0")
    never = [[0.0, 0.5, 0.5]]
    check(submission, [], np.empty((0, 3)), never, [[0.5, 0.0]], [1], "p = 0 for token 0, drawn with u = 0")
    check(
        submission,
        [],
        np.empty((0, 3)),
        [[0.5, 0.5, 0.0]],
        [[0.5, LAST]],
        [1],
        "p = 0 for the last, u near 1",
    )


def test_draw_at_a_step_of_the_sum(submission):
    """u = 0.5 is where token 1 begins: the sum must be above u."""
    check(submission, [], np.empty((0, 2)), [HALF], [[0.0, 0.5]], [1], "halves, u = 0.5")
    quarters = [[0.25] * 4, [0.25] * 4]
    u = [[0.5, 0.5], [0.0, 0.5]]
    q = [[0.0, 0.5, 0.5, 0.0]]
    check(
        submission,
        [1],
        q,
        quarters,
        u,
        [3],
        "0.5 is not below 0.25 / 0.5; the rest is tokens 0 and 3, halves",
    )


def test_rounded_sum_that_ends_below_one(submission):
    """Ten times 0.1 add up to 1 - 2^-53 in double precision, and u is that number."""
    tenths = [[0.1] * 10 + [0.0]]
    check(submission, [], np.empty((0, 11)), tenths, [[0.0, LAST]], [9], "ten tenths, u = 1 - 2^-53")
    lost = [[0.4999, 0.4999, 0.0]]
    check(
        submission, [], np.empty((0, 3)), lost, [[0.0, 0.9999]], [1], "a row that sums to 0.9998, u = 0.9999"
    )


def test_nothing_left_over(submission):
    """p is below q by rounding, everywhere; the draft is rejected all the same."""
    p = [[0.5 - 2**-40, 0.5 - 2**-40], [1.0, 0.0]]
    for u, expected in ((0.2, 0), (0.8, 1)):
        what = f"p = q but for rounding, rejected, u = {u}"
        check(submission, [0], [HALF], p, [[LAST, u], [0.5, 0.5]], [expected], what)


def test_certain_draft(submission):
    """q puts all on one token, as prompt lookup does: kept with p(x), and the rest is p without x."""
    p, q = [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]]
    check(submission, [1], q, p, [[0.49, 0.0], [0.0, 0.0]], [1, 2], "0.49 is below 0.5")
    check(
        submission, [1], q, p, [[0.5, 0.49], [0.0, 0.0]], [0], "rejected; halves of tokens 0 and 2, u = 0.49"
    )
    check(submission, [1], q, p, [[0.5, 0.5], [0.0, 0.0]], [2], "rejected; halves of tokens 0 and 2, u = 0.5")


def test_result_and_arguments(submission):
    drafts, q, p = [0, 1], np.array([HALF, HALF]), np.array([HALF, [0.1, 0.9], HALF])
    u = np.array([[0.9, 0.3]] * 3)
    kept = [drafts.copy(), q.copy(), p.copy(), u.copy()]
    got = submission.verify(drafts, q, p, u)
    assert isinstance(got, list), f"result: expected a list, got {type(got).__name__}"
    same = [np.array_equal(now, before) for now, before in zip((drafts, q, p, u), kept, strict=True)]
    assert all(same), f"drafts, q, p, uniforms: expected all unchanged, got {same}"
