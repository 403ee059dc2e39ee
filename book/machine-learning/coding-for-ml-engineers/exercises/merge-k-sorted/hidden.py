"""Hidden tests: merging by sorting, how much is read, documents of any kind, many shards, what is kept."""

import random

from handbook.practice.checks import equal, inside, raises, unchanged


def growth_input(n):
    return [[(8 * i + s, -8 * i - s) for i in range(n // 8 + 1)] for s in range(8)], n


def by_sorting(shards, k):
    rows = [
        (-score, s, place, doc) for s, shard in enumerate(shards) for place, (doc, score) in enumerate(shard)
    ]
    found = {}
    for negative, _, _, doc in sorted(rows):
        found.setdefault(doc, -negative)
    return list(found.items())[:k]


def some_shards(chance):
    shards = []
    for _ in range(chance.randint(1, 5)):
        scores = sorted((chance.randint(0, 6) for _ in range(chance.randrange(6))), reverse=True)
        shards.append([(chance.choice("abcdefgh"), score) for score in scores])
    return shards


def test_equals_sorting_everything(submission):
    """Random shards with ties and shared documents."""
    for seed in range(120):
        shards = some_shards(random.Random(seed))
        for k in (1, 3, 20):
            got = submission.merge_results(shards, k)
            equal(got, by_sorting(shards, k), f"shards {shards}, k = {k}")


def reading(submission, shards, k):
    """How many results were asked of each shard."""
    asked = [0] * len(shards)

    def stream(number):
        for pair in shards[number]:
            asked[number] += 1
            yield pair

    got = submission.merge_results([stream(number) for number in range(len(shards))], k)
    return got, asked


def test_no_more_is_read_than_needed(submission):
    """One unread result a shard, and none once k are there."""
    shards = [[(f"a{i}", 100 - i) for i in range(50)], [(f"b{i}", 80 - i) for i in range(50)], []]
    got, asked = inside(submission, reading, shards, 5)
    equal(got, [(f"a{i}", 100 - i) for i in range(5)], "the best five, all of the first shard")
    equal(asked, [5, 1, 0], "results asked of each shard, k = 5")


def test_k_of_zero_reads_nothing(submission):
    """Nothing is wanted, so nothing travels."""
    got, asked = inside(submission, reading, [[("a", 1)], [("b", 2)]], 0)
    equal(got, [], "k = 0")
    equal(asked, [0, 0], "results asked of each shard, k = 0")


def test_repetitions_do_not_count_towards_k(submission):
    """The same best document in every shard leaves room for others."""
    shards = [[("top", 9), ("x", 1)], [("top", 9), ("y", 2)], [("top", 8)]]
    got, asked = inside(submission, reading, shards, 2)
    equal(got, [("top", 9), ("y", 2)], f"shards {shards}, k = 2")
    equal(asked, [2, 2, 1], "results asked of each shard, k = 2")


def test_documents_of_any_kind(submission):
    """Documents that cannot be compared with each other, at equal scores."""
    shards = [[(None, 1.0)], [(("doc", 3), 1.0)], [("text", 1.0), (7, 1.0)]]
    expected = [(None, 1.0), (("doc", 3), 1.0), ("text", 1.0), (7, 1.0)]
    equal(submission.merge_results(shards, 4), expected, f"shards {shards}")


def test_many_shards(submission):
    """500 shards of 20 results, all of them wanted."""
    shards = [[((s, i), 100_000 - 500 * i - s) for i in range(20)] for s in range(500)]
    got = submission.merge_results(shards, 10_000)
    expected = [((s, i), 100_000 - 500 * i - s) for i in range(20) for s in range(500)]
    equal(got, expected, "all of 500 shards with 20 results each")


def test_shards_stay_as_they_were(submission):
    """Lists are read, not emptied."""
    shards = [[("a", 2), ("b", 1)], [("c", 3)]]
    submission.merge_results(shards, 2)
    unchanged(shards, [[("a", 2), ("b", 1)], [("c", 3)]], "shards")


def test_negative_k_is_refused_without_shards(submission):
    """Also where there is nothing to merge."""
    raises(ValueError, submission.merge_results, [], -2, what="no shards, k = -2")
