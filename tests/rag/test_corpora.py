"""Corpora of the reader's own, from their making to their end; ingested at once, without a memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handbook.errors import CorpusError, HandbookError
from handbook.rag.corpora import TENANT, checked_name, suggested_name
from handbook.rag.ingesting import Run
from handbook.rag.nouns import Condition
from handbook.rag.planning import Source, write_plan
from handbook.records import Answer, Chunk, Citation, Hit, Sentence
from tests.rag.fakes import HashEmbedder
from tests.rag.notes import BREAD, TEA, folder, found, held, here, ingested, opened


def test_a_corpus_is_made_filled_asked_and_described(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    with opened(tmp_path / "data") as corpora:
        made = corpora.create("notes", "  My\n notes ")
        assert (made.title, made.documents, made.model, made.fault) == ("My notes", 0, "hash", "")
        run = ingested(corpora, "notes", notes)
        about = corpora.about("notes")
        assert (about.documents, about.faults) == (3, 1)
        assert about.sources == (Source(str(notes), "folder"),)
        assert about.chunks == corpora.reader("notes").count(TENANT) == run.report.counts["chunks"] == 2
        assert about.characters == len(TEA) + len(BREAD)
        assert found(corpora, "notes", "gluten") == ["bread.md"]
        items = {Path(item.source).name: item for item in corpora.documents("notes")}
        assert (items["tea.md"].title, items["tea.md"].kind, items["tea.md"].chunks) == ("Tea", "markdown", 1)
        assert items["tea.md"].origin == str(notes)
        assert "broken" in items["broken.pdf"].fault
        assert items["broken.pdf"].fault in run.report.faults[0]
        vector = HashEmbedder().embed(["Tea. Green tea steeps at seventy degrees."])[0]
        (nearest, *_) = corpora.reader("notes").dense(vector, 1, (), TENANT)
        assert nearest.row.document == str(notes / "tea.md")
        assert nearest.row.text in (notes / "tea.md").read_text()
        kinds = [Condition("kind", ("pdf",))]
        assert corpora.reader("notes").lexical("tea", 5, kinds, TENANT) == []
        assert corpora.vocabulary("notes").count("gluten") == 1


def test_words_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)

    def counting(tenant: str) -> Any:
        raise AssertionError("they are kept from the ingestion")

    with opened(tmp_path / "data") as corpora:
        monkeypatch.setattr(corpora.index("notes"), "texts", counting)
        assert corpora.vocabulary("notes").count("gluten") == 1
        monkeypatch.undo()
        (notes / "bread.md").unlink()
        ingested(corpora, "notes")
        assert corpora.vocabulary("notes").count("gluten") == 0


def test_only_what_changed_is_read_and_embedded_again(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    embedder = HashEmbedder()
    with opened(tmp_path / "data", embedder) as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
        before = {item.source: item.at for item in corpora.documents("notes")}
        embedder.embedded.clear()
        again = ingested(corpora, "notes")
        assert (again.report.counts["same"], again.report.counts.get("documents")) == (2, None)
        (notes / "tea.md").write_text(TEA.replace("seventy", "eighty"))
        (notes / "bread.md").unlink()
        (notes / "coffee.md").write_text("# Coffee\n\nGrinding finer slows the water.\n")
        third = ingested(corpora, "notes").report.counts
        assert (third["new"], third["changed"], third["same"], third["gone"]) == (1, 1, 0, 1)
        assert len(embedder.embedded) == 2
        assert found(corpora, "notes", "eighty") == ["tea.md"]
        assert found(corpora, "notes", "seventy") == found(corpora, "notes", "gluten") == []
        assert [Path(item.source).name for item in corpora.documents("notes")] == ["coffee.md", "tea.md"]
        assert corpora.documents("notes")[1].at > before[str(notes / "tea.md")]
        assert corpora.vocabulary("notes").count("gluten") == 0


def test_what_became_unreadable_is_no_longer_found(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
        (notes / "tea.md").write_bytes(b"\0" * 64)
        ingested(corpora, "notes")
        assert found(corpora, "notes", "tea") == []
        (item,) = [item for item in corpora.documents("notes") if item.fault]
        assert (item.chunks, Path(item.source).name) == (0, "tea.md")
        (notes / "tea.md").write_text(TEA)
        ingested(corpora, "notes")
        assert found(corpora, "notes", "tea") == ["tea.md"]
        assert not any(item.fault for item in corpora.documents("notes"))


def test_a_step_done_twice_does_no_harm(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        run = ingested(corpora, "notes", notes)
        before = held(corpora, "notes")
        run.batch(0)
        run.remove()
        run.close()
        assert held(corpora, "notes") == before
        assert len(corpora.documents("notes")) == 2


def test_an_update_mends_what_list_and_index_disagree_on(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
        expected = held(corpora, "notes")
        index = corpora.index("notes")
        index.delete([str(notes / "tea.md")], TENANT)  # as if it was lost
        rows = [replace(row, id=f"x-{row.id}", document="/away.md") for row, _ in expected[:1]]
        index.write(rows, [expected[0][1]])  # as if a kill came before it was listed, and the file is gone
        counts = ingested(corpora, "notes").report.counts
        assert (counts["changed"], counts["gone"], counts["same"]) == (1, 1, 1)
        assert held(corpora, "notes") == expected
        index.drop(TENANT)
        assert ingested(corpora, "notes").report.counts["changed"] == 2
        assert held(corpora, "notes") == expected


def test_what_changes_while_it_is_read_is_known_as_it_was_read(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")

    def late(tasks: Any, *more: Any, **named: Any) -> Any:
        (notes / "tea.md").write_text(TEA.replace("seventy", "eighty"))
        yield from here(tasks, *more, **named)

    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes, prepare=late)
        assert found(corpora, "notes", "eighty") == ["tea.md"]
        assert ingested(corpora, "notes").report.counts["same"] == 2


def test_pages_bear_their_address(tmp_path: Path) -> None:
    from handbook.rag.fetch import Page

    url = "https://example.org/tea"
    html = f"<html><head><title>Tea</title></head><body><main><p>{TEA[7:] * 3}</p></main></body></html>"

    def get(asked: str) -> Page:
        return Page(url=asked, data=html.encode(), media="text/html; charset=utf-8")

    with opened(tmp_path / "data") as corpora:
        corpora.create("web")
        ingested(corpora, "web", url, get=get)
        (item,) = corpora.documents("web")
        assert (item.source, item.kind, item.origin) == (url, "html", url)
        assert corpora.reader("web").lexical("bitter", 5, (), TENANT)[0].row.document == url
        again = ingested(corpora, "web", get=get)
        assert again.report.counts["same"] == 1


def test_sources_and_single_documents_are_taken_out_and_stay_out(tmp_path: Path) -> None:
    notes, more = (
        folder(tmp_path / "notes"),
        folder(tmp_path / "more", coffee="# Coffee\n\nBeans are roasted.\n"),
    )
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes, more)
        assert corpora.remove("notes", [str(notes / "tea.md")]) == 1
        ingested(corpora, "notes")
        assert found(corpora, "notes", "tea coffee gluten") == ["coffee.md", "bread.md"]
        with pytest.raises(CorpusError, match="no source or document"):
            corpora.remove("notes", [str(more), str(tmp_path / "neither")])
        assert found(corpora, "notes", "coffee") == ["coffee.md"], "nothing was removed"
        assert corpora.remove("notes", [str(more)]) == 1
        assert [source.name for source in corpora.about("notes").sources] == [str(notes)]
        ingested(corpora, "notes", notes / "tea.md")
        assert found(corpora, "notes", "tea") == ["tea.md"], "named again, it comes in again"


def test_a_deleted_corpus_leaves_nothing_and_its_name_is_free(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        upload = folder(corpora.uploads("notes"), letter="# Letter\n\nDear all.\n")
        ingested(corpora, "notes", notes, upload)
        corpora.delete("notes")
        assert corpora.all() == []
        assert not upload.exists()
        assert list((tmp_path / "data" / "index").iterdir()) == []
        with pytest.raises(CorpusError, match="no corpus 'notes'"):
            corpora.reader("notes")
        corpora.create("notes")
        assert corpora.reader("notes").count(TENANT) == 0
        assert notes.is_dir(), "what was ingested is the reader's own"


def test_nothing_that_a_deleted_corpus_said_is_kept(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        database = corpora.catalogue._database
        for name in ("notes", "other"):
            corpora.create(name)
            chunk = Chunk("1", TEA, "Tea", "/corpora/1", "document", "tea.md")
            said = (Sentence("Green tea.", (Citation(chunk, 0.9),), True),)
            answer = Answer("What is hot?", said, False, (Hit(chunk, 1.0),), 0.9, corpus=name)
            database.log_ask(answer)
            database.signal("cited", "What is hot?", name, "1")
        corpora.catalogue.add_ingestion(
            id="notes-cut-off", corpus="notes", job={"sources": None}, state="running", wish="", seconds=0.0,
            stage="", done=0, total=None, note="", counts={}, faults=[],
        )  # fmt: skip
        run = Run(corpora, "notes-cut-off", "notes")
        ingested(corpora, "notes", notes)
        write_plan(run._path, run.look([]))
        run._pages.mkdir()
        (run._pages / "page").write_text(TEA)
        corpora.rename("notes", "mine")
        assert [ask["answer"]["corpus"] for ask in database.asks()] == ["other", "mine"]
        assert database.signal_counts("mine") == {"cited": 1}
        assert not database.signal_counts("notes")
        corpora.delete("mine")
        other, mine = database.asks()
        assert other["answer"]["hits"]
        assert other["answer"]["sentences"]
        assert mine["question"] == "What is hot?"
        assert "seventy" not in str(mine["answer"])
        assert not database.signal_counts("mine")
        assert database.signal_counts("other")
        assert not run._path.exists()
        assert not run._pages.exists()


def test_an_upload_that_was_taken_out_comes_in_when_it_is_sent_again(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        upload = folder(corpora.uploads("notes"))
        ingested(corpora, "notes", upload)
        assert corpora.remove("notes", [str(upload / "tea.md")]) == 1
        assert not (upload / "tea.md").exists()
        folder(upload, tea=TEA)
        ingested(corpora, "notes", upload)
        assert found(corpora, "notes", "bitter") == ["tea.md"]
        (upload / "later.md").write_text("Not read yet.")
        assert corpora.remove("notes", [str(upload)]) == 2
        assert not upload.exists()


def test_what_a_killed_deletion_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)

        def killed() -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(corpora, "_sweep", killed)
            with pytest.raises(KeyboardInterrupt):
                corpora.delete("notes")
        assert corpora.all() == []
        corpora.create("notes")
        assert [about.name for about in corpora.all()] == ["notes"]
        assert list((tmp_path / "data" / "index").iterdir()) == []


def test_a_corpus_changes_its_name_with_all_it_has(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        corpora.create("taken")
        ingested(corpora, "notes", notes)
        with pytest.raises(CorpusError, match="already"):
            corpora.rename("notes", "taken")
        corpora.rename("notes", "kitchen")
        assert found(corpora, "kitchen", "gluten") == ["bread.md"]
        assert len(corpora.documents("kitchen")) == 2
        with pytest.raises(CorpusError):
            corpora.about("notes")
        assert ingested(corpora, "kitchen").report.counts["same"] == 2


def test_a_rollback_brings_back_rows_and_documents_and_an_update_the_present(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
        before, version = held(corpora, "notes"), corpora.versions("notes")[0]
        (notes / "tea.md").write_text(TEA.replace("seventy", "eighty"))
        (notes / "bread.md").unlink()
        (notes / "coffee.md").write_text("# Coffee\n\nGrinding finer slows the water.\n")
        ingested(corpora, "notes")
        after = held(corpora, "notes")
        corpora.rollback("notes", version.number)
        assert held(corpora, "notes") == before
        assert [Path(item.source).name for item in corpora.documents("notes")] == ["bread.md", "tea.md"]
        with pytest.raises(HandbookError, match="no version 9999"):
            corpora.rollback("notes", 9999)
        ingested(corpora, "notes")
        assert held(corpora, "notes") == after


def test_another_embedder_is_told_of_and_the_corpus_made_anew_for_it(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes")
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        ingested(corpora, "notes", notes)
    with opened(tmp_path / "data", HashEmbedder("other", 64)) as corpora:
        for ask in (corpora.reader, lambda name: ingested(corpora, name)):
            with pytest.raises(CorpusError, match=r"HANDBOOK_EMBEDDER=hash.*--anew"):
                ask("notes")
        assert "embedding model hash" in corpora.about("notes").fault
        corpora.anew("notes")
        assert (corpora.about("notes").documents, corpora.about("notes").fault) == (0, "")
        ingested(corpora, "notes")
        assert corpora.reader("notes").dense(np.ones(64), 5, (), TENANT)


def test_nothing_is_changed_while_another_has_the_corpus(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        with corpora.lock("notes"):
            for change in (
                lambda: corpora.delete("notes"),
                lambda: corpora.rename("notes", "other"),
                lambda: corpora.rollback("notes", 1),
                lambda: corpora.anew("notes"),
            ):
                with pytest.raises(CorpusError, match="being ingested"):
                    change()
        corpora.delete("notes")


@pytest.mark.parametrize(
    ("method", "limit"), [("fixed", 40), ("sentences", 40), ("recursive", 40), ("semantic", 40)]
)
def test_every_way_of_cutting_keeps_to_its_limit(tmp_path: Path, method: Any, limit: int) -> None:
    text = "# Long\n\n" + " ".join(f"Sentence number {n} speaks of the number {n}." for n in range(40))
    notes = folder(tmp_path / "notes", long=text)
    with opened(tmp_path / "data") as corpora:
        assert corpora.create("notes", method=method, limit=limit).method == method
        ingested(corpora, "notes", notes)
        rows = [row for row, _ in held(corpora, "notes")]
        assert len(rows) > 3
        assert all(len(row.text.split()) <= limit for row in rows)
        assert all(text.strip()[row.start : row.end] == row.text for row in rows)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"method": "guess"}, "method"), ({"limit": 5}, "tokens"), ({"limit": 100, "overlap": 100}, "tokens")],
)
def test_what_can_not_be_cut_so_is_refused(tmp_path: Path, more: Any, said: str) -> None:
    with opened(tmp_path / "data") as corpora, pytest.raises(CorpusError, match=said):
        corpora.create("notes", **more)


@pytest.mark.parametrize(
    "name", ["", "Notes", "a b", "-a", "a-", "../up", "a" * 41, "book", "auto", "~a", "ü"]
)
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(CorpusError):
        checked_name(name)


def test_names_that_can() -> None:
    for name in ("a", "my-notes", "a1", "2026", "a" * 40):
        assert checked_name(name) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (Source("/home/a/My Notes (old)", "folder"), "my-notes-old"),
        (Source("/home/a/book", "folder"), "my-book"),
        (Source("/home/a/report.final.pdf", "file"), "report-final"),
        (Source("https://example.org/papers/rag.html", "page"), "rag-html"),
        (Source("/", "folder"), "notes"),
        (Source("/home/文書", "folder"), "notes"),
    ],
)
def test_a_source_suggests_a_name(source: Source, name: str) -> None:
    assert suggested_name(source) == name
    assert checked_name(name)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as corpora:
        corpora.create("notes")
        with pytest.raises(CorpusError, match="already"):
            corpora.create("notes")
