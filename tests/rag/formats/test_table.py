import csv

import pytest

from handbook.rag.formats.table import delimiter_of, is_header, read


def test_a_record_says_the_names_of_its_columns() -> None:
    draft = read(b'name,born,note\nAda,1815,"first\nprogram"\nGrace,1906,\n')
    draft.finish()
    assert draft.text == "name: Ada | born: 1815 | note: first program\nname: Grace | born: 1906"
    assert draft.metadata == {"columns": "name, born, note", "records": "2"}
    (block,) = draft.blocks
    assert (block.kind, draft.text[block.start : block.end]) == ("table", draft.text)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(delimiter: str) -> None:
    text = "\n".join(
        delimiter.join(row) for row in (["a", "b", "c"], ["1", "2.5", '"x, y; z"'], ["2", "3", "4"])
    )
    assert delimiter_of(text) == delimiter


def test_decimal_commas_are_no_delimiter() -> None:
    assert delimiter_of("a;b\n1,5;2,5\n3,5;4,5\n") == ";"


def test_a_table_without_names() -> None:
    assert not is_header(["1", "2"])
    draft = read(b"1,2\n3,4\n")
    draft.finish()
    assert draft.text == "1 | 2\n3 | 4"


@pytest.mark.parametrize("limit", [128 << 10, 10 << 20])
def test_faults_are_told_and_the_rest_is_read(limit: int) -> None:
    """Also where somebody else in the process has set another limit for cells."""
    before = csv.field_size_limit(limit)
    try:
        draft = read(b'a,b\n1,2\n3\n4,5,6\n7,"' + b"x" * (2 << 20) + b'"\n8,9\n')
    finally:
        csv.field_size_limit(before)
    draft.finish()
    assert draft.text.startswith("a: 1 | b: 2\na: 3\na: 4 | b: 5 | 6")
    assert draft.lost[0].startswith("everything after line 5")
    assert draft.lost[1] == "2 records have more or fewer cells than the first"
