"""The store in its folder: incremental, several processes, damage."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handbook.errors import DiskFull, HandbookError
from handbook.rag.store import clear_disk_errors
from handbook.rag.text import TABLE, words
from tests.rag.conftest import Open
from tests.rag.fakes import BREAD, HashEmbedder, book, chapter, paragraph, small_book


def ids(hits: object) -> list[str]:
    return [hit.chunk.id for hit in hits]  # type: ignore[attr-defined]


def test_search_as_you_type_finds_prefixes_of_the_last_word_only(open_small: Open) -> None:
    corpus = open_small()
    assert set(ids(corpus.search("glut"))) == {"bread-making#knead", "question:why-knead"}
    assert ids(corpus.search("green lea")) == ["tea-brewing#leaves"]
    assert ids(corpus.search("gre leaves")) != []  # nothing has 'gre' itself: then any of the words will do
    assert corpus.search("glut ") == []  # the word is finished, and there is no such word
    assert corpus.search("zebra") == corpus.search("") == corpus.search("  ") == corpus.search("?!") == []
    assert not corpus.ready
    assert corpus.embedder.embedded == []  # type: ignore[union-attr]


def test_all_words_come_before_any_word(open_small: Open) -> None:
    assert ids(open_small().search("green water"))[0] == "tea-brewing#steep"
    assert ids(open_small().search("green oven")) != []


def test_kinds_restrict_a_search(open_small: Open) -> None:
    corpus = open_small()
    assert ids(corpus.search("gluten", kinds=["question"])) == ["question:why-knead"]
    assert ids(corpus.search("gluten", kinds=["paragraph"])) == ["bread-making#knead"]
    assert corpus.search("gluten", kinds=["it's"]) == []


@pytest.mark.parametrize(
    "text", ['a "b c', "AND OR NOT", "x" * 5000, "(*)~^:[", "naïve 注意", "\x00'; --", "the of", "$x_1$"]
)
def test_any_text_can_be_searched_and_asked(open_small: Open, text: str) -> None:
    corpus = open_small()
    corpus.search(text)
    corpus.retrieve(text)


def test_only_new_texts_are_embedded_and_only_changed_rows_written(open_small: Open, tmp_path: Path) -> None:
    first = open_small()
    first.build()
    count = len(first.embedder.embedded)  # type: ignore[union-attr]
    assert count == len(set(first.embedder.embedded))  # type: ignore[union-attr]

    again = open_small()
    again.build()
    assert again.embedder.embedded == []  # type: ignore[union-attr]

    edited = paragraph("bake", "Baking sets the crumb. A stone in the oven stores heat.")
    changed = open_small(book(chapter("bread-making", [*BREAD[:2], edited])))
    changed.build()
    assert changed.embedder.embedded == [  # type: ignore[union-attr]
        "A stone in the oven stores heat.",
        "Bread Making / First section. Baking sets the crumb. A stone in the oven stores heat.",
    ]
    assert ids(changed.search("stone")) == ["bread-making#bake"]
    assert changed.search("steam") == changed.search("green") == []
    assert len(first.search("steam")) == 1  # an open corpus goes on with what it has read


def test_another_embedder_has_vectors_of_its_own(open_small: Open) -> None:
    open_small(embedder=HashEmbedder("one")).build()
    two, wide = HashEmbedder("two"), HashEmbedder("one", 64)
    open_small(embedder=two).build()
    open_small(embedder=wide).build()
    assert two.embedded
    assert wide.embedded
    back = HashEmbedder("one")
    open_small(embedder=back).build()
    assert back.embedded == []


def test_progress_counts_up_to_all(open_small: Open) -> None:
    seen: list[tuple[int, int]] = []
    corpus = open_small()
    corpus.build(lambda done, total, _note: seen.append((done, total)))
    total = len(corpus.embedder.embedded)  # type: ignore[union-attr]
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)


def damage_truncate(table: Path) -> None:
    for file in table.rglob("*.lance"):
        file.write_bytes(file.read_bytes()[:40])


def damage_manifests(table: Path) -> None:
    for file in (table / "_versions").iterdir():
        file.write_bytes(b"junk")


def damage_missing(table: Path) -> None:
    shutil.rmtree(table / "data")


def damage_indices(table: Path) -> None:
    shutil.rmtree(table / "_indices", ignore_errors=True)


def damage_postings(table: Path) -> None:
    for file in table.glob("_indices/*/*"):
        if file.name != "metadata.lance":
            file.unlink()


def damage_not_a_table(table: Path) -> None:
    shutil.rmtree(table)
    table.write_text("not a folder")


DAMAGES = [
    damage_truncate,
    damage_manifests,
    damage_missing,
    damage_indices,
    damage_postings,
    damage_not_a_table,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_made_again(open_small: Open, tmp_path: Path, damage: object) -> None:
    open_small().build()
    tables = sorted((tmp_path / "index").iterdir())
    assert len(tables) == 2
    for table in tables:
        damage(table)  # type: ignore[operator]
    corpus = open_small()
    assert ids(corpus.search("gluten", kinds=["paragraph"])) == ["bread-making#knead"]
    assert ids(corpus.retrieve("gluten network"))[0] == "bread-making#knead"
    assert open_small().search("gluten")


def test_a_folder_that_vanishes_under_an_open_corpus(open_small: Open, tmp_path: Path) -> None:
    corpus = open_small()
    corpus.build()
    assert corpus.search("gluten")
    shutil.rmtree(tmp_path / "index")
    assert corpus.search("yeast")
    assert corpus.retrieve("yeast in dough")


PROCESS = """
import json, sys, time
from pathlib import Path
import lancedb
from handbook.rag.passages import book_entries
from handbook.rag.own import Corpus
from handbook.rag.store import Store
from tests.rag.fakes import HashEmbedder, small_book

class Slow(HashEmbedder):
    def embed(self, texts):
        time.sleep(0.2)
        return super().embed(texts)

folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    embedder = Slow()
    store = Store(str(folder / "index"), folder / "index.lock")
    corpus = Corpus(list(book_entries(small_book())), store, embedder)
    corpus.build()
    assert corpus.search("gluten") and corpus.retrieve("gluten network")[0].chunk.anchor == "knead"
    print(json.dumps(len(embedder.embedded)), flush=True)
"""


def test_two_processes_at_once_build_one_index(open_small: Open, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:  # both are past their imports: now at once
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    corpus = open_small()
    texts = {text for entry in corpus.entries.values() for text in entry.vectors_of}
    built = [json.loads(line) for output in outputs for line in output.splitlines()]
    # Each round embeds its one question; all rounds together embed the corpus exactly once.
    assert sum(built) == len(texts) + len(built)
    corpus.build()
    assert corpus.embedder.embedded == []  # type: ignore[union-attr]


def test_no_room_and_no_permission_have_a_remedy() -> None:
    with pytest.raises(DiskFull, match="No room left"), clear_disk_errors("here"):
        raise OSError(28, "No space left on device")
    with pytest.raises(DiskFull), clear_disk_errors("here"):
        raise RuntimeError("lance error: IO: No space left on device (os error 28)")
    with pytest.raises(HandbookError, match="cannot be written"), clear_disk_errors("here"):
        raise PermissionError(13, "no")
    with pytest.raises(RuntimeError, match="other"), clear_disk_errors("here"):
        raise RuntimeError("other")


def test_words_are_cut_as_the_index_cuts_them(open_small: Open) -> None:
    corpus = open_small()
    text = "apply_rope KV-cache naïve 2017, don't"
    assert corpus.search("gluten")
    table = corpus._store.table(TABLE)
    tokens = {token.text for token in table.tokenize(text, column="body")}  # type: ignore[union-attr]
    assert set(corpus.vocabulary.stems(text)) == tokens
    assert words("apply_rope KV-cache") == ["apply", "rope", "kv", "cache"]


def test_idf_is_lower_for_common_words(open_small: Open) -> None:
    vocabulary = open_small(small_book()).vocabulary
    assert vocabulary.idf("section") < vocabulary.idf("gluten") < vocabulary.idf("zebra")


def test_the_book_comes_before_code_unless_a_name_is_typed(open_small: Open) -> None:
    from handbook.rag.passages import Entry, book_entries
    from handbook.records import Chunk

    doc = "Gluten. Kneads gluten, adds gluten."
    code = Entry(
        Chunk("m:add_gluten", "m", "add_gluten", "m:add_gluten", doc, "/code/m", "code"), f"add_gluten {doc}"
    )
    corpus = open_small()
    corpus = type(corpus)([*book_entries(small_book()), code], corpus._store)
    assert ids(corpus.search("gluten"))[-1] == "m:add_gluten"
    assert ids(corpus.search("add_glu"))[0] == "m:add_gluten"
    assert ids(corpus.search("gluten", kinds=["code"])) == ["m:add_gluten"]
    assert len(corpus.search("gluten", limit=2)) == 2
