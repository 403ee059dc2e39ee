import json
from pathlib import Path

import pytest

from handbook.errors import DataError, DataUnavailable
from handbook.rag import beir
from handbook.rag.beir import Golden, Text, golden, read, write

SET = Golden(
    "small",
    {"d1": Text("A title", "A text\nof two lines"), "d2": Text("", "naïve \u2028 text")},
    {"q1": "a question?"},
    {"q1": {"d1": 2, "d2": 0, "gone": 1}},
    ("gone",),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(SET, tmp_path / "small")
    return tmp_path / "small"


def test_written_and_read_it_is_the_same(folder: Path) -> None:
    assert read(folder) == SET
    assert read(folder).digest == SET.digest
    assert SET.documents["d1"].whole == "A title A text\nof two lines"
    assert SET.documents["d2"].whole == "naïve \u2028 text"


def test_queries_that_nobody_judged_are_left_out(folder: Path) -> None:
    with (folder / "queries.jsonl").open("a") as file:
        file.write('\n{"_id": "q2", "text": "unjudged"}\n')
    assert read(folder).queries == {"q1": "a question?"}


def test_another_split(folder: Path) -> None:
    (folder / "qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\r\nq1\td2\t1\r\n")
    assert read(folder, "dev").judged == {"q1": {"d2": 1}}
    with pytest.raises(DataUnavailable, match=r"train\.tsv is not there"):
        read(folder, "train")


def test_digest_is_of_questions_and_judgements() -> None:
    other = golden("other", {}, SET.queries, {"q1": {"gone": 1, "d2": 0, "d1": 2}})
    assert other.digest == SET.digest
    assert golden("other", {}, {"q1": "another?"}, SET.judged).digest != SET.digest


@pytest.mark.parametrize(
    ("name", "line", "fault"),
    [
        ("corpus.jsonl", "{", "line 3 is no JSON object"),
        ("corpus.jsonl", "[" * 100_000, "line 3 is no JSON object"),
        ("corpus.jsonl", '{"_id": 7, "text": "x"}', "line 3 is no JSON object with an `_id`"),
        ("corpus.jsonl", '{"_id": "d3", "title": "x"}', "line 3 has no `text`"),
        ("corpus.jsonl", '{"_id": "d3", "title": 7, "text": "x"}', "line 3 has no `text`, or a `title`"),
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}', "line 3 has the `_id` 'd1' a second time"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}', "line 2 has the `_id` 'q1' a second time"),
        ("qrels/test.tsv", "q1 d1 1", "line 5 is not query, document"),
        ("qrels/test.tsv", "q1\td3\thigh", "line 5 is not query, document"),
        ("qrels/test.tsv", "q1\td3\t1\t1", "line 5 is not query, document"),
        ("qrels/test.tsv", "q1\td1\t1", "line 5 judges 'd1' for query 'q1' a second time"),
        ("qrels/test.tsv", "q9\td1\t1", "query 'q9' is judged and has no text"),
    ],
)
def test_faults_are_told_with_their_lines(folder: Path, name: str, line: str, fault: str) -> None:
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=fault) as raised:
        read(folder)
    assert raised.value.count == 1


def test_all_faults_at_once(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text("{\n" * 50)
    with pytest.raises(DataError, match="and 49 more") as raised:
        read(folder)
    assert (len(raised.value.faults), raised.value.count) == (beir.FAULTS, 50)


def test_nothing_judged(folder: Path) -> None:
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(DataError, match="no query is judged"):
        read(folder)


def test_lines_without_end_and_other_encodings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beir, "LINE", 1000)
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "x", "text": "x" * 1000}))
    with pytest.raises(DataError, match="line 1 has more than 1,000 characters"):
        read(folder)
    (folder / "corpus.jsonl").write_bytes('{"_id": "x", "text": "é"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read(folder)
