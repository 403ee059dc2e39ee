"""Hidden tests: exact search by brute force, a slow reference, calls of the model, ties, forbidden tokens."""

import itertools

import numpy as np

from handbook.practice.checks import close, equal


def random_model(seed, vocabulary=3, sparse=False):
    """Log probabilities that hang on all tokens so far, rounded so that ties are exact."""

    def step(tokens):
        rng = np.random.default_rng([seed, len(tokens), *tokens])
        logs = -rng.integers(1, 8, size=vocabulary) / 4
        if sparse:
            logs[rng.random(vocabulary) < 0.4] = -np.inf
        return logs

    return step


def reference(step, end, width, limit, alpha):
    """The definition, with sorted lists of all candidates."""
    live, finished = [((), 0.0)], []
    for _ in range(limit):
        extended = [
            ((*tokens, token), total + log)
            for tokens, total in live
            for token, log in enumerate(step(tokens).tolist())
            if log > -np.inf
        ]
        finished += [entry for entry in extended if entry[0][-1] == end]
        live = sorted((e for e in extended if e[0][-1] != end), key=lambda e: (-e[1], e[0]))[:width]
    scored = [(tokens, total / len(tokens) ** alpha) for tokens, total in finished + live]
    return sorted(scored, key=lambda entry: (-entry[1], entry[0]))[:width]


def check(got, expected, what):
    equal([tuple(tokens) for tokens, _ in got], [tokens for tokens, _ in expected], f"{what}: tokens")
    close([float(score) for _, score in got], [float(score) for _, score in expected], f"{what}: scores")


def test_wide_beam_is_exact(submission):
    """A beam that prunes nothing finds the best of all sequences by brute force."""
    for seed in range(6):
        step, scored = random_model(seed), []
        for length in range(1, 5):
            for tokens in itertools.product(range(3), repeat=length):
                if 0 in tokens[:-1] or (tokens[-1] != 0 and length < 4):
                    continue
                total = sum(float(step(tokens[:i])[tokens[i]]) for i in range(length))
                scored.append((tokens, total / length**0.5))
        expected = sorted(scored, key=lambda entry: (-entry[1], entry[0]))
        got = submission.beam_search(step, 0, 100, 4, 0.5)
        check(got, expected[:100], f"seed {seed}, width 100")


def test_random_models_beside_a_reference(submission):
    """Sixty settings of width, limit, alpha and end, with many ties and forbidden tokens."""
    for seed in range(60):
        width, limit, alpha = 1 + seed % 4, 1 + seed % 5, (0.0, 0.7, 1.0)[seed % 3]
        step = random_model(seed, 3 + seed % 2, sparse=seed % 2 == 1)
        args = (step, seed % 3, width, limit, alpha)
        check(submission.beam_search(*args), reference(*args), f"seed {seed}, {args[1:]}")


def test_model_is_asked_for_live_sequences_only(submission):
    """Once for each live sequence, never for one that has ended, width at most in a round."""
    asked, inner = [], random_model(7)

    def step(tokens):
        asked.append(tuple(tokens))
        return inner(tokens)

    submission.beam_search(step, 0, 2, 4)
    equal([len(tokens) for tokens in asked], [0, 1, 1, 2, 2, 3, 3], "lengths of what the model was asked")
    equal(len(set(asked)), len(asked), "different questions")
    ended = [tokens for tokens in asked if 0 in tokens]
    equal(ended, [], "questions about sequences that have ended")


def test_ties_go_to_the_smaller_tokens(submission):
    """Where all is equally likely, the first tokens in order win."""
    got = submission.beam_search(lambda tokens: np.full(4, -1.0), 3, 2, 2)
    check(got, [((3,), -1.0), ((0, 0), -2.0)], "four equal tokens, width 2")
    got = submission.beam_search(lambda tokens: np.full(4, -1.0), 3, 3, 2, 1.0)
    check(got, [((0, 0), -1.0), ((0, 1), -1.0), ((0, 2), -1.0)], "the same with alpha 1")


def test_dead_ends(submission):
    """Where every token is forbidden nothing goes on, and what has finished is returned."""

    def step(tokens):
        return np.array([-1.0, -np.inf]) if len(tokens) == 0 else np.array([-np.inf, -np.inf])

    check(submission.beam_search(step, 0, 3, 5), [((0,), -1.0)], "one way out")
    check(submission.beam_search(lambda tokens: np.full(2, -np.inf), 0, 2, 5), [], "no way at all")
    check(submission.beam_search(step, 1, 2, 1), [((0,), -1.0)], "cut off before the dead end")


def test_plain_numbers_come_back(submission):
    """Tokens are a tuple of int, scores are float."""
    tokens, score = submission.beam_search(random_model(1), 0, 1, 3)[0]
    kinds = (type(tokens).__name__, {type(token).__name__ for token in tokens}, type(score).__name__)
    equal(kinds, ("tuple", {"int"}, "float"), "kinds of tokens, token and score")


def test_long_sequences_do_not_underflow(submission):
    """400 tokens of probability 1/100: sums, not products."""
    logs = np.full(3, np.log(0.01))
    logs[0] = -np.inf
    got = submission.beam_search(lambda tokens: logs, 0, 1, 400)
    check(got, [((1,) * 400, 400 * np.log(0.01))], "400 tokens")
