"""Hidden tests: against a search by tokens, what comes twice, eviction, what looks alike, time."""

import random

from handbook.practice.checks import inside


def equal(got, expected, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


def test_equals_a_search_by_tokens(submission):
    """Short texts over two ids, so that many share beginnings; tenants, evictions, pages used again."""
    for seed in range(20):
        chance = random.Random(seed)
        size = chance.choice([1, 2, 3])
        cache, known, free = submission.PrefixCache(size), {}, list(range(400))
        for _ in range(60):
            tokens = [chance.randint(0, 1) for _ in range(chance.randint(0, 9))]
            salt = chance.choice([b"", b"red", b"blue"])
            if chance.random() < 0.3 and known:
                page = chance.choice(sorted(known.values()))
                cache.evict(page)
                known = {key: p for key, p in known.items() if p != page}
                free.insert(0, page)  # used again soon
            elif chance.random() < 0.5:
                count = -(-len(tokens) // size)
                pages, free = free[:count], free[count:]
                cache.insert(tokens, pages, salt)
                for block in range(len(tokens) // size):
                    known.setdefault((salt, tuple(tokens[: (block + 1) * size])), pages[block])
            expected = []
            for end in range(size, len(tokens), size):
                if (salt, tuple(tokens[:end])) not in known:
                    break
                expected.append(known[salt, tuple(tokens[:end])])
            what = f"seed {seed}, blocks of {size}, match of {tokens} with salt {salt}"
            equal(cache.match(tokens, salt), expected, what)


def test_last_token_is_always_computed(submission):
    for size in (1, 2, 5):
        text = list(range(100, 120))
        cache = submission.PrefixCache(size)
        cache.insert(text, list(range(20)))
        for length in range(21):
            got = len(cache.match(text[:length])) * size
            expected = max(0, (length - 1) // size * size)
            equal(got, expected, f"blocks of {size}, all known, {length} tokens: tokens found")


def test_first_page_stays_when_a_block_comes_twice(submission):
    cache, text = submission.PrefixCache(2), [1, 2, 3, 4, 5]
    cache.insert(text, [0, 1, 2])
    cache.insert(text, [7, 8, 9])
    equal(cache.match(text), [0, 1], "match after the same text came twice")
    cache.evict(7)
    equal(cache.match(text), [0, 1], "match after the second text's page was evicted, which was never noted")
    cache.evict(0)
    equal(cache.match(text), [], "match after the first page was evicted")
    cache.insert(text, [7, 8, 9])
    equal(cache.match(text), [7, 1], "match after the first block was computed again into page 7")


def test_text_that_goes_on_is_noted_as_it_grows(submission):
    cache, text = submission.PrefixCache(2), [1, 2, 3, 4, 5, 6, 7]
    for length, pages in ((1, [4]), (3, [4, 2]), (4, [4, 2]), (7, [4, 2, 9, 1])):
        cache.insert(text[:length], pages)
        equal(cache.match([*text[:length], 0]), pages[: length // 2], f"match after {length} tokens")


def test_run_ends_at_the_first_gap(submission):
    cache, text = submission.PrefixCache(2), [1, 2, 3, 4, 5, 6, 7]
    cache.insert(text, [0, 1, 2, 3])
    cache.evict(1)
    equal(cache.match(text), [0], "match when the middle block is gone")
    cache.insert(text[:4], [0, 5])
    equal(cache.match(text), [0, 5, 2], "match when the middle block was computed again")


def test_evicting_a_page_that_is_not_noted(submission):
    cache = submission.PrefixCache(2)
    cache.insert([1, 2, 3], [0, 1])
    for page in (1, 99):
        try:
            cache.evict(page)
        except Exception as error:
            raise AssertionError(
                f"evict({page}), not noted: expected no effect, got {type(error).__name__}"
            ) from error
    cache.evict(0)
    try:
        cache.evict(0)
    except Exception as error:
        raise AssertionError(f"evict(0) twice: expected no effect, got {type(error).__name__}") from error
    equal(cache.match([1, 2, 3]), [], "match after that")


def test_ids_that_look_alike(submission):
    """Run together, cut to a byte or two, added up: each is another text."""
    pairs = [([1, 23], [12, 3]), ([1, 2], [2, 1]), ([1, 256], [1, 0]), ([5, 65541], [5, 5])]
    pairs += [([0, 3], [1, 2]), ([258, 0], [2, 1]), ([2**31 - 1, 0], [0, 2**31 - 1]), ([1, 1], [2, 2])]
    for one, other in pairs:
        first, second = (submission.block_hashes(text, 2)[0] for text in (one, other))
        assert first != second, f"blocks {one} and {other}: expected two hashes, got the same"
    both = [submission.block_hashes([7] * 8, size)[0] for size in (4, 8)]
    assert both[0] != both[1], "7 four times and eight times: expected two hashes, got the same"


def test_repeated_tokens_give_different_blocks(submission):
    got = len(set(submission.block_hashes([5] * 40, 4)))
    equal(got, 10, "different hashes of 10 equal blocks in a row")


def test_salt_that_is_somebodys_hash(submission):
    text = [1, 2, 3, 4, 5, 6]
    for salt in (b"", b"red"):
        names = submission.block_hashes(text, 2, salt)
        for block in (0, 1):
            forged = submission.block_hashes(text[2 * block + 2 :], 2, names[block])
            assert forged[0] != names[block + 1], (
                f"hash of block {block} of salt {salt} as a salt: expected its own, got block {block + 1}'s"
            )


def test_salt_and_tokens_are_not_run_together(submission):
    """Whatever the width of an id: a salt that looks like a token, and one token less."""
    for width in (1, 2, 4, 8):
        for order in ("little", "big"):
            token = (65).to_bytes(width, order)
            one, other = submission.block_hashes([65, 66], 2), submission.block_hashes([66], 1, token)
            assert one[0] != other[0], f"salt {token} and token 66: expected no hash of 65 66, got the same"
    salts = [b"", b"\0", b"\0" * 8, b"\0" * 16, b"red", b"red\0", b"der"]
    got = len({submission.block_hashes([0, 0], 2, salt)[0] for salt in salts})
    equal(got, len(salts), f"different hashes of one block under the salts {salts}")


def test_same_hash_in_another_list_and_salt_object(submission):
    one = submission.block_hashes([300, 400, 500, 600], 2, b"red")
    other = submission.block_hashes(list(range(300, 700, 100)), 2, bytes(bytearray(b"red")))
    assert one == other, "equal tokens and salts: expected equal hashes, got others"


def appended(submission, text, pages):
    """A driver: what is matched after the caller appended to what it was given."""
    cache = submission.PrefixCache(2)
    cache.insert(text, pages)
    cache.match(text).append(99)
    return cache.match(text), text, pages


def test_arguments_stay_as_they_were(submission):
    found, text, pages = inside(submission, appended, [1, 2, 3, 4, 5], [3, 4, 5])
    equal((text, pages), ([1, 2, 3, 4, 5], [3, 4, 5]), "tokens and pages after insert")
    equal(found, [3, 4], "match after the caller appended to what it was given")


def hashed(submission, text, lengths, size):
    """A driver: hashes of the first tokens, and seconds of processor time, until one takes over a second."""
    import time

    out = []
    for length in lengths:
        start = time.process_time()
        count = len(submission.block_hashes(text[:length], size))
        out.append((count, time.process_time() - start))
        if out[-1][1] >= 1.0:
            break
    return out


def test_time_grows_with_the_length(submission):
    chance, lengths = random.Random(0), [20_000, 40_000, 80_000, 160_000]
    text = [chance.randrange(1 << 31) for _ in range(100)] * 1600
    for length, (got, seconds) in zip(lengths, inside(submission, hashed, text, lengths, 16), strict=False):
        equal(got, length // 16, f"hashes of {length:,} tokens in blocks of 16")
        assert seconds < 1.0, f"{length:,} tokens: expected under 1 s, got {seconds:.1f} s"


def growth_driver(submission, n):
    """Hashes of n tokens in blocks of 16."""
    submission.block_hashes(list(range(n)), 16)
