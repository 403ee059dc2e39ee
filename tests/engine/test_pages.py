"""Pages: counted references, copies on write, prefixes by name, eviction of what was unused longest."""

import pytest

from handbook.engine.pages import Copy, OutOfPages, Pages, Table, page_name

TEXT = list(range(10))


def filled(pages: Pages, tokens: list[int], salt: bytes = b"") -> Table:
    table = pages.adopt(pages.names(tokens, salt), salt)
    pages.reserve(table, len(tokens))
    pages.commit(table, tokens, len(tokens))
    return table


def test_a_worked_example() -> None:
    """Ten tokens in pages of four take three; a second text of the same first eight shares two of them."""
    pages = Pages(8, 4)
    first = filled(pages, TEXT)
    assert first.pages == [0, 1, 2]
    second = filled(pages, [*TEXT[:8], 77, 78])
    assert second.pages == [0, 1, 3]
    assert [pages.holders(page) for page in range(4)] == [2, 2, 1, 1]
    assert pages.available == 4
    pages.check([first, second])


def test_the_last_token_is_never_adopted() -> None:
    pages = Pages(8, 4)
    filled(pages, TEXT[:8])
    assert pages.adopt(pages.names(TEXT[:8])).length == 4
    assert pages.adopt(pages.names(TEXT[:9])).length == 8


def test_names_hang_on_all_that_came_before() -> None:
    pages = Pages(8, 2)
    filled(pages, [1, 2, 3, 4, 5])
    assert pages.adopt(pages.names([9, 9, 3, 4, 5])).length == 0
    assert pages.adopt(pages.names([1, 2, 9, 9, 5])).length == 2
    assert page_name(b"", [1, 2]) != page_name(b"", [2, 1])
    assert page_name(b"a", [1]) != page_name(b"b", [1])


def test_another_salt_shares_nothing() -> None:
    pages = Pages(8, 2)
    filled(pages, TEXT[:5], b"tenant")
    assert pages.adopt(pages.names(TEXT[:5])).length == 0
    assert pages.adopt(pages.names(TEXT[:5], b"tenant"), b"tenant").length == 4
    grown = filled(pages, TEXT[:7])  # names behind the adopted ones hang on the salt as well
    pages.release(grown)
    assert pages.adopt(pages.names(TEXT[:7], b"tenant"), b"tenant").length == 4


def test_without_sharing_nothing_is_found() -> None:
    pages = Pages(8, 2, share=False)
    pages.release(filled(pages, TEXT))
    assert pages.names(TEXT) == []
    assert pages.available == 8


def test_whoever_writes_into_a_shared_page_gets_a_copy() -> None:
    pages = Pages(8, 4)
    first = filled(pages, TEXT[:6])
    twin = pages.fork(first)
    assert twin.pages == first.pages
    assert pages.needed(twin, 7) == 1
    assert pages.reserve(twin, 7) == Copy(1, 2)
    assert twin.pages == [0, 2]
    assert pages.reserve(first, 7) is None  # the other has gone: this one is alone now
    assert first.pages == [0, 1]
    pages.check([first, twin])


def test_the_first_may_be_the_one_who_copies() -> None:
    pages = Pages(8, 4)
    first = filled(pages, TEXT[:6])
    assert first.own
    twin = pages.fork(first)
    assert not first.own
    assert pages.reserve(first, 7) == Copy(1, 2)
    assert pages.reserve(twin, 7) is None
    pages.check([first, twin])


def test_a_fork_at_a_page_end_copies_nothing() -> None:
    pages = Pages(8, 4)
    first = filled(pages, TEXT[:8])
    twin = pages.fork(first)
    assert pages.reserve(twin, 9) is None
    assert twin.pages == [0, 1, 2]


def test_when_there_are_not_enough_nothing_changes() -> None:
    pages = Pages(3, 4)
    first = filled(pages, TEXT[:6])
    twin = pages.fork(first)
    for length in (16, 13):
        with pytest.raises(OutOfPages):
            pages.reserve(twin, length)
        assert twin.pages == [0, 1]
        assert pages.available == 1
        pages.check([first, twin])
    assert pages.reserve(twin, 8) == Copy(1, 2)


def test_released_pages_are_found_until_their_room_is_needed() -> None:
    pages = Pages(4, 2)
    pages.release(filled(pages, [1, 2, 3, 4, 5]))  # two full pages stay, the third held half
    assert pages.available == 4
    again = pages.adopt(pages.names([1, 2, 3, 4, 5]))
    assert again.length == 4
    pages.release(again)
    other = filled(pages, [7, 7, 7, 7, 7, 7])  # needs three: the two free ones, then the end of the text
    assert pages.evicted == 1
    rest = pages.adopt(pages.names([1, 2, 3, 4, 5]))
    assert rest.length == 2
    pages.check([other, rest])


def test_the_longest_unused_goes_first() -> None:
    pages = Pages(3, 1)
    for text in ([1], [2], [3]):
        pages.release(filled(pages, text))
    touched = pages.adopt(pages.names([1, 9]))
    pages.release(touched)
    filled(pages, [4])
    found = [pages.adopt(pages.names([text, 9])).length for text in (1, 2, 3)]
    assert found == [1, 0, 1]


def test_two_who_computed_the_same_keep_their_own_pages() -> None:
    pages = Pages(8, 2)
    tables = [Table(), Table()]
    for table in tables:
        pages.reserve(table, 4)
        pages.commit(table, TEXT, 4)
    assert tables[0].pages != tables[1].pages
    pages.check(tables)
    pages.release(tables[1])
    assert pages.adopt(pages.names(TEXT[:5])).pages == tables[0].pages


def test_trim_gives_back_what_holds_nothing() -> None:
    pages = Pages(8, 2)
    table = filled(pages, TEXT[:3])
    pages.reserve(table, 8)
    pages.trim(table)
    assert len(table.pages) == 2
    assert pages.available == 6


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 0), (-1, 4)])
def test_numbers_that_cannot_be(count: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"got {count} of {size}"):
        Pages(count, size)
