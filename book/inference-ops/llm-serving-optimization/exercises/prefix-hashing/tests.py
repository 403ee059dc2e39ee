"""Visible tests: the example, chaining, full blocks only, the last token, tenants."""

A = [10, 11, 12, 13, 20, 21, 22, 23, 30]
B = [20, 21, 22, 23, 10, 11]


def equal(got, expected, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


def hashes(submission, tokens, size, salt=b""):
    function = getattr(submission, "block_hashes", None)
    assert function, "expected a function block_hashes beside PrefixCache, got none"
    return function(tokens, size, salt)


def test_worked_example(submission):
    cache = submission.PrefixCache(4)
    cache.insert(A, [7, 3, 5])
    equal(cache.match(A), [7, 3], "match of A")
    equal(cache.match(A[:6]), [7], "match of A's first 6 tokens")
    equal(cache.match(A[:8]), [7], "match of A's first 8 tokens, the last of which must be computed")
    equal(cache.match(B), [], "match of B, whose block has the tokens of A's second")
    equal(cache.match(A, salt=b"other"), [], "match of A by another tenant")
    cache.evict(7)
    equal(cache.match(A), [], "match of A after its first page was evicted")


def test_one_hash_for_each_full_block(submission):
    for length, count in ((0, 0), (3, 0), (4, 1), (7, 1), (8, 2), (9, 2)):
        got = hashes(submission, A[:length], 4)
        equal(len(got), count, f"hashes of {length} tokens in blocks of 4")
        for name in got:
            assert isinstance(name, bytes), f"a hash: expected bytes, got {type(name).__name__}"
            assert len(name) >= 16, f"a hash: expected at least 16 bytes, got {len(name)}"


def test_hash_speaks_for_all_tokens_before(submission):
    one, other = [1, 2, 3, 4, 9, 9, 9, 9], [1, 2, 3, 5, 9, 9, 9, 9]
    first, second = hashes(submission, one, 4), hashes(submission, other, 4)
    same = [a == b for a, b in zip(first, second, strict=True)]
    equal(
        same, [False, False], "texts that differ in token 3, whether the hashes of blocks 0 and 1 are equal"
    )
    first, longer = hashes(submission, one, 4), hashes(submission, [*one, 5, 6, 7, 8], 4)
    equal(longer[:2] == first, True, "a text that goes on, whether its first 2 hashes stay")


def test_block_that_is_only_begun_is_not_found(submission):
    cache = submission.PrefixCache(4)
    cache.insert([1, 2, 3, 4, 5, 6], [0, 1])
    equal(cache.match([1, 2, 3, 4, 5, 6, 7, 8, 9]), [0], "match beyond a block that was begun")


def test_tenants_are_kept_apart(submission):
    cache = submission.PrefixCache(2)
    cache.insert([1, 2, 3, 4, 5], [0, 1, 2], salt=b"red")
    cache.insert([1, 2, 3, 4, 5], [4, 5, 6], salt=b"blue")
    equal(cache.match([1, 2, 3, 4, 5], salt=b"red"), [0, 1], "match of red's text")
    equal(cache.match([1, 2, 3, 4, 5], salt=b"blue"), [4, 5], "match of blue's text")
    equal(cache.match([1, 2, 3, 4, 5]), [], "match without a salt")
