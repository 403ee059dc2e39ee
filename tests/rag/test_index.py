"""A corpus in its tables: written whole, found by meaning and by words, each tenant alone."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handbook.errors import HandbookError
from handbook.rag import tuning
from handbook.rag.columns import body
from handbook.rag.nouns import Condition, Row
from handbook.rag.reader import table_name
from handbook.rag.upkeep import Upkeep
from tests.rag.rows import DIMENSION, EMBEDDER, TEA, chunks, embedded, filled, ids, opened


def vector(text: str) -> Any:
    return EMBEDDER.embed([text])[0]


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    rows = [
        Row(
            "a-0", "a", "Tëxt\nof 'a'; -- \x00注", 3, 18, "Title", ("H", "It's"), (0, 40), 2, "pdf", "de", "t"
        ),
        Row("a-1", "a", "More", 20, 24, tenant="t", fields={"author": "A", "year": 2020, "Not a name!": "x"}),
    ]
    rows[0] = replace(rows[0], tenant="t", digest="d1")
    index = opened(tmp_path)
    index.write(rows, np.eye(2, DIMENSION) * 3)
    assert index.get(["a-1", "missing", "a-0"], "t") == [rows[1], rows[0]]
    assert index.count("t") == 2
    assert index.documents("t") == {"a": "d1"}
    assert np.array_equal(index.vectors(["a-1"], "t")["a-1"], np.eye(2, DIMENSION)[1])
    assert body(rows[0]) == "Title / H / It's. " + rows[0].text
    assert [one.row for one in index.dense(np.eye(2, DIMENSION)[1], 1, (), "t")] == [rows[1]]
    assert [one.row for one in index.lexical("text", 5, (), "t")] == [rows[0]]


def test_dense_scores_are_cosines_and_lexical_ones_bm25(tmp_path: Path) -> None:
    index = filled(tmp_path)
    query = vector("gluten holds gas in dough")
    found = index.dense(query, 20, (), "")
    rows = index.get([one.row.id for one in found], "")
    exact = embedded(rows) @ query
    assert len(found) == 7
    assert np.allclose([one.dense for one in found], exact, atol=1e-6)
    assert np.all(np.diff(exact) <= 1e-6)
    assert found[0].row.text == "Gluten holds gas."
    assert all(one.score == one.dense and one.lexical is None for one in found)
    by_words = index.lexical("gluten gas", 20, (), "")
    assert ids(by_words) == ["bread.txt-1", "bread.txt-0"]
    assert by_words[0].lexical == by_words[0].score > by_words[1].score
    assert len(index.dense(query, 2, (), "")) == 2
    assert index.dense(query, 0, (), "") == index.lexical("gluten", 0, (), "") == []


@pytest.mark.parametrize("text", ["", "  ", "?!", "the of", 'a "b c', "(*)~^:[ AND", "\x00'; --", "x" * 9000])
def test_any_text_can_be_looked_for(tmp_path: Path, text: str) -> None:
    assert filled(tmp_path).lexical(text, 5, (), "") == []


def test_a_document_is_replaced_whole(tmp_path: Path) -> None:
    index = filled(tmp_path)
    less = chunks("bread.txt", ("Bread needs gluten and water.", "Salt."), digest="b2")
    index.replace("bread.txt", less, embedded(less), "")
    assert index.documents("") == {"tea.md": "t1", "bread.txt": "b2"}
    assert index.count("") == 5
    assert ids(index.lexical("gluten yeast", 9, (), "")) == ["bread.txt-0"]
    index.write(less, embedded(less))  # the same again
    assert index.count("") == 5
    index.replace("bread.txt", [], np.zeros((0, DIMENSION)), "")
    assert index.documents("") == {"tea.md": "t1"}
    index.delete(["tea.md", "never there"], "")
    assert index.count("") == 0
    assert index.dense(vector("tea"), 5, (), "") == index.lexical("tea", 5, (), "") == []


def test_tenants_share_nothing(tmp_path: Path) -> None:
    index = filled(tmp_path, "ann", "bob")
    mine = chunks("secret.md", ("Gluten is Ann's secret.",) * 5, "ann")
    before = index.lexical("gluten", 9, (), "bob")
    index.write(mine, embedded(mine))
    assert index.lexical("gluten", 9, (), "bob") == before  # nor do scores tell what others have
    assert {one.row.tenant for one in index.dense(vector("gluten secret"), 99, (), "bob")} == {"bob"}
    assert {one.row.tenant for one in index.dense(vector("gluten secret"), 99, (), "ann")} == {"ann"}
    assert index.get(["secret.md-0"], "bob") == index.neighbours("secret.md-0", 2, "bob") == []
    assert index.family("secret.md-0", "bob") == []
    assert index.vectors(["secret.md-0"], "bob") == {}
    assert "secret.md" not in index.documents("bob")
    index.delete(["tea.md"], "bob")
    assert "tea.md" in index.documents("ann")
    index.drop("ann")
    assert index.documents("ann") == {}
    assert index.count("bob") == 4
    with pytest.raises(HandbookError, match="no field 'tenant'"):
        index.dense(vector("tea"), 5, [Condition("tenant", ("ann",))], "bob")
    with pytest.raises(ValueError, match="tenant 'bob' only"):
        index.replace("secret.md", mine, embedded(mine), "bob")


def test_names_of_tables_tell_corpora_and_tenants_apart() -> None:
    pairs = [
        ("a", "b"),
        ("ab", ""),
        ("a", ""),
        ("A", ""),
        ("a/../b", ""),
        ("", "a"),
        ("x" * 300, "y"),
        ("注", "\ud800"),
    ]
    names = [table_name(*pair) for pair in pairs]
    assert len(set(names)) == len(pairs)
    assert all(len(name) < 80 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_conditions_hold_in_both_searches(tmp_path: Path) -> None:
    index = filled(tmp_path)
    markdown, year = Condition("kind", ("markdown",)), Condition("year", least=2021)
    assert {one.row.document for one in index.dense(vector("gluten"), 9, [markdown], "")} == {"tea.md"}
    assert {one.row.document for one in index.dense(vector("tea"), 9, [year], "")} == {"bread.txt"}
    assert index.lexical("gluten", 9, [markdown], "") == []
    assert len(index.lexical("gluten", 9, [year], "")) == 2
    assert index.dense(vector("tea"), 9, [markdown, year], "") == []
    assert {"kind", "year", "page"} <= set(index.fields(""))
    with pytest.raises(HandbookError, match="no field 'colour'"):
        index.lexical("tea", 9, [Condition("colour", ("red",))], "")


def test_neighbours_and_families(tmp_path: Path) -> None:
    index = filled(tmp_path)
    assert ids(index.neighbours("bread.txt-1", 1, "")) == ["bread.txt-0", "bread.txt-1", "bread.txt-2"]
    assert ids(index.neighbours("bread.txt-3", 2, "")) == ["bread.txt-1", "bread.txt-2", "bread.txt-3"]
    assert ids(index.neighbours("bread.txt-3", 0, "")) == ["bread.txt-3"]
    assert index.neighbours("none", 1, "") == index.family("none", "") == []
    assert ids(index.family("bread.txt-3", "")) == ["bread.txt-2", "bread.txt-3"]
    alone = replace(chunks("one", ("Alone.",))[0], parent=None)
    index.write([alone], embedded([alone]))
    assert index.family("one-0", "") == [alone]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (np.zeros((3, DIMENSION)), "direction"),
        (np.full((3, DIMENSION), np.nan), "direction"),
        (np.full((3, DIMENSION), np.inf), "direction"),
        (np.ones((2, DIMENSION)), "shape"),
        (np.ones((3, DIMENSION + 1)), "shape"),
    ],
)
def test_vectors_that_are_none_are_refused(tmp_path: Path, bad: Any, match: str) -> None:
    index = opened(tmp_path)
    with pytest.raises(ValueError, match=match):
        index.write(chunks("tea", TEA), bad)
    assert index.count("") == 0


def test_ids_twice_are_refused(tmp_path: Path) -> None:
    rows = chunks("tea", TEA)
    with pytest.raises(ValueError, match="once"):
        opened(tmp_path).write([*rows, rows[0]], np.ones((4, DIMENSION)))


def test_another_model_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path, model="one")
    rows = chunks("tea", TEA)
    first.write(rows, embedded(rows))
    for other in (opened(tmp_path, model="two"), opened(tmp_path, dimension=8, model="one")):
        with pytest.raises(HandbookError, match="vectors of one with 32"):
            other.dense(np.ones(other.dimension), 3, (), "")
        with pytest.raises(HandbookError, match="vectors of one with 32"):
            other.write(rows, np.ones((3, other.dimension)))
    assert opened(tmp_path, model="one").count("") == 3


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    index = filled(tmp_path)
    before = index.documents("")
    rows = chunks("bread.txt", ("New.",), digest="b2")
    held = index._table("")

    def half(table: Any) -> None:
        table.delete("document = 'bread.txt'")  # a commit of Lance's
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"), held.writing() as table:
        half(table)
    assert index.documents("") == opened(tmp_path).documents("") == before
    index.write(rows, embedded(rows))
    assert index.documents("") == {"tea.md": "t1", "bread.txt": "b2"}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.rag.rows import opened
with opened(Path(sys.argv[1]))._table("").writing() as table:
    table.delete("document = 'bread.txt'")
    table.optimize()
    print("deleted", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from handbook.errors import DiskFull
from tests.rag.rows import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
index = opened(Path(sys.argv[1]))
rows = chunks("bread.txt", ["Much gluten. " + "word " * 60 for _ in range(3000)], digest="b2")
vectors = embedded(rows[:1]).repeat(len(rows), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    index.write(rows, vectors)
except DiskFull as error:
    print(error, flush=True)
assert index.documents("") == {"tea.md": "t1", "bread.txt": "b1"}, index.documents("")
assert len(index.lexical("gluten", 9, (), "")) == 2
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.write(rows, vectors)
index.compact("")
assert index.documents("") == {"tea.md": "t1", "bread.txt": "b2"}
print("written", flush=True)
"""


def process(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", script, str(folder), str(Path(__file__).parents[2])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_writer_that_is_killed_leaves_what_was(tmp_path: Path) -> None:
    index = filled(tmp_path)
    before = index.lexical("gluten tea", 9, (), "")
    ended = process(KILLED, tmp_path)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "deleted\n"), ended.stderr
    assert (
        index.lexical("gluten tea", 9, (), "") == opened(tmp_path).lexical("gluten tea", 9, (), "") == before
    )
    more = chunks("more.md", ("More gluten.",))
    index.write(more, embedded(more))
    assert set(opened(tmp_path).documents("")) == {"tea.md", "bread.txt", "more.md"}


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
def test_no_room_leaves_what_was(tmp_path: Path) -> None:
    filled(tmp_path)
    ended = process(FULL, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("No room left")
    assert ended.stdout.endswith("written\n")


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.rag.rows import *
index, me = opened(Path(sys.argv[1])), sys.argv[3]
for turn in range(4):
    rows = chunks(f"doc-{turn}", [f"writer {me} turn {turn} piece {i}" for i in range(3)], digest=me)
    index.write(rows, embedded(rows))
    if turn == 0:
        print("begun", flush=True)
        sys.stdin.readline()  # until the reader has seen something
index.compact("")
"""


def test_two_processes_write_and_readers_see_whole_documents(tmp_path: Path) -> None:
    index = opened(tmp_path)
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parents[2])]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for name in ("x", "y")
    ]
    told = [process.stdout.readline() for process in running if process.stdout]
    seen = 0
    while any(process.poll() is None for process in running):
        found = index.lexical("writer", 99, (), "")
        by_document: dict[str, set[str]] = {}
        for one in found:
            by_document.setdefault(one.row.document, set()).add(one.row.digest)
        assert len(found) == 3 * len(by_document)  # all pieces of each
        assert all(len(digests) == 1 for digests in by_document.values())  # of one writer
        for process in running if not seen else ():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        seen = max(seen, len(by_document))
        time.sleep(0.03)
    errors = [process.communicate()[1] for process in running]
    assert told == ["begun\n"] * 2, errors
    assert [process.returncode for process in running] == [0, 0], errors
    assert seen
    assert len(opened(tmp_path).documents("")) == 4
    assert index.count("") == 12


def test_a_folder_that_vanishes_is_an_empty_corpus(tmp_path: Path) -> None:
    index = filled(tmp_path)
    shutil.rmtree(tmp_path / "index")
    assert index.lexical("gluten", 9, (), "") == []
    rows = chunks("tea.md", TEA)
    index.write(rows, embedded(rows))
    assert index.count("") == 3


def test_damage_is_told(tmp_path: Path) -> None:
    filled(tmp_path)
    for file in (tmp_path / "index").rglob("data/*.lance"):
        file.write_bytes(file.read_bytes()[:20])
    index = opened(tmp_path)
    with pytest.raises(HandbookError, match="cannot be read") as caught:
        index.lexical("gluten", 9, (), "")
    assert "ingest" in caught.value.remedy
    index.drop("")
    assert index.lexical("gluten", 9, (), "") == []


def test_threads_may_share_an_index(tmp_path: Path) -> None:
    index = filled(tmp_path)
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(15):
                assert {"bread.txt-0", "bread.txt-1"} <= set(ids(index.lexical("gluten", 9, (), "")))
                assert ids(index.dense(vector("gluten holds gas"), 1, (), "")) == ["bread.txt-1"]
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(8):
        rows = chunks(f"more-{turn}", ("Some water.",))
        index.write(rows, embedded(rows))
    for thread in threads:
        thread.join()
    assert faults == []


def many(count: int, seed: int = 0) -> tuple[list[Row], Any]:
    """Rows in clouds, ten to a document."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((40, DIMENSION))
    vectors = centres[draw.integers(40, size=count)] + 0.6 * draw.standard_normal((count, DIMENSION))
    rows = [
        Row(f"r{i}", f"d{i // 10}", f"word{i % 7} text", 20 * (i % 10), 20 * (i % 10) + 10, kind="text",
            fields={"part": i % 50})
        for i in range(count)
    ]  # fmt: skip
    return rows, vectors.astype(np.float32)


@pytest.mark.parametrize("kind", ["ivf_rq", "hnsw_sq"])
def test_a_vector_index_finds_what_was_measured(
    tmp_path: Path, kind: tuning.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "CELL", 60)
    monkeypatch.setattr(tuning, "SAMPLE", 100)
    index = opened(tmp_path)
    rows, vectors = many(3000)
    index.write(rows, vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = index.optimise(kind, "")
    assert found.kind == opened(tmp_path).tuning("").kind == kind
    assert tuning.TARGET <= found.recall <= 1
    hits = 0
    for query in unit[::100]:
        true = {f"r{i}" for i in np.argsort(-(unit @ query))[:10]}
        near = index.dense(query, 10, (), "")
        hits += len(true & set(ids(near)))
        assert np.allclose(
            [one.dense for one in near], [unit[int(one.row.id[1:])] @ query for one in near], atol=1e-5
        )
    assert hits >= 0.95 * 10 * len(unit[::100])

    def filtered() -> float:
        """Recall among the 60 rows that meet a condition."""
        right = 0
        for query in unit[::300]:
            part = np.argsort(-(unit[7::50] @ query))[:10] * 50 + 7
            near = index.dense(query, 10, [Condition("part", (7,))], "")
            assert all(one.row.fields == {"part": 7.0} for one in near)
            right += len({f"r{i}" for i in part} & set(ids(near)))
        return right / (10 * len(unit[::300]))

    monkeypatch.setattr(tuning, "REFINE", 1)  # the codes alone are too coarse to find all
    assert filtered() == 1.0  # so few are compared whole
    monkeypatch.undo()
    monkeypatch.setattr(tuning, "CELL", 60)
    monkeypatch.setattr(tuning, "FEW", 10)
    assert filtered() >= 0.95

    late = [Row("late", "late", "late", 0, 4)]
    index.write(late, unit[:1] + 0.01)
    assert "late" in ids(index.dense(unit[0], 3, (), ""))  # not in the index yet, and found
    assert index.optimise("exact", "").kind == opened(tmp_path).tuning("").kind == "exact"


def test_rows_that_a_condition_leaves_far_away_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that meet it lie in cells that the search opens last."""
    monkeypatch.setattr(tuning, "CELL", 60)
    monkeypatch.setattr(tuning, "FEW", 10)
    index = opened(tmp_path)
    rows, vectors = many(3000)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    far = np.argsort(unit @ unit[0])[:30]
    rows = [replace(row, fields={"far": float(i in far)}) for i, row in enumerate(rows)]
    index.write(rows, unit)
    index.optimise("ivf_rq", "")
    near = index.dense(unit[0], 12, [Condition("far", (1,))], "")
    assert len(near) == 12
    assert len(set(ids(near)) & {f"r{i}" for i in far[::-1][:12]}) >= 11


def test_effort_is_the_least_that_reaches_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "CELL", 30)
    monkeypatch.setattr(tuning, "EFFORTS", (1, 4, 16, 64))
    monkeypatch.setattr(tuning, "SAMPLE", 60)
    index = opened(tmp_path)
    rows, vectors = many(1500)
    index.write(rows, vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    with index._table("").writing() as table:
        found = tuning.build(table, "ivf_rq", 0.99)
        queries, true = tuning.sample(table, 1500)
        for query, nearest in zip(queries, true, strict=True):
            assert nearest == {f"r{i}" for i in np.argsort(-(unit @ query))[1:11]}
        assert found.effort in (4, 16)
        assert found.recall == tuning.recall(table, found, queries, true) >= 0.99
        assert tuning.recall(table, replace(found, effort=found.effort // 4), queries, true) < 0.99


def test_compacting_keeps_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handbook.rag.index.FRAGMENTS", 3)
    index = filled(tmp_path)
    assert not index.crowded("")
    for turn in range(4):
        rows = chunks(f"more-{turn}", ("More gluten.", f"Turn {turn}."))
        index.write(rows, embedded(rows))
    assert index.crowded("")
    reader = opened(tmp_path)
    before = reader.lexical("gluten", 20, (), "")
    upkeep = Upkeep()
    upkeep.written(index, "")
    assert upkeep.rest(60)
    upkeep.close()
    assert upkeep.faults == []
    assert not index.crowded("")
    after = reader.lexical("gluten", 20, (), "")
    assert sorted(ids(after)) == sorted(ids(before))
    assert len(after) == 6


def test_a_grown_corpus_gets_its_vector_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "EXACT", 1000)
    monkeypatch.setattr(tuning, "SAMPLE", 20)
    index = opened(tmp_path)
    rows, vectors = many(2400)
    index.write(rows[:900], vectors[:900])
    index.compact("")
    assert index.tuning("").kind == "exact"
    index.write(rows[900:1100], vectors[900:1100])
    assert index.crowded("")
    index.compact("")
    assert (index.tuning("").kind, index.tuning("").rows) == ("ivf_rq", 1100)
    assert not index.crowded("")
    index.write(rows[1100:], vectors[1100:])
    assert index.crowded("")
    index.compact("")
    assert index.tuning("").rows == 2400
