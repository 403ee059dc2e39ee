import subprocess
import sys
from pathlib import Path

from handbook.rag.passages import body_of, book_entries, code_entries
from tests.rag.fakes import book, chapter, paragraph, question, small_book


def test_paragraphs_keep_their_addresses_and_carry_their_titles() -> None:
    entries = {entry.chunk.id: entry for entry in book_entries(small_book())}
    knead = entries["bread-making#knead"]
    assert knead.chunk.url == "/book/part/bread-making#knead"
    assert knead.chunk.title == "Bread Making / First section"
    assert knead.answers
    assert knead.asks == ("What makes bread elastic?", "And chewy?")
    assert "elastic" in knead.body
    assert "elastic" not in knead.chunk.text
    assert knead.vectors_of == (knead.headed, *knead.sentences, *knead.asks)
    assert entries["question:why-knead"].chunk.url == "/book/part/bread-making/questions#why-knead"
    assert entries["question:why-knead"].chunk.anchor == "knead"


def test_outlines_questions_code_blocks_tables_and_pointers_do_not_answer() -> None:
    prose = "Prose that says something in more than a handful of words."
    parts = [
        paragraph("a", prose),
        paragraph("t", f"| x | {prose} |", kind="table"),
        paragraph("c", f"x = 1  # {prose}", kind="code"),
        paragraph("asked", f"{prose} Do it on the whiteboard.", box="The interviewer asks"),
        paragraph("short", "Write it yourself: bread."),
        paragraph("lead-in", f"{prose} In figures:"),
    ]
    ask = question("q", "Why?", "Because.", "a")
    chapters = book(chapter("one", parts, [ask]), chapter("two", parts, written=False))
    entries = {entry.chunk.id: entry for entry in book_entries(chapters)}
    assert {id for id, entry in entries.items() if entry.answers} == {"one#a"}
    assert {"one#t", "one#asked", "one#short", "one#lead-in", "two", "two#a"} <= entries.keys()
    assert "one#c" not in entries


def test_the_digest_follows_everything_that_is_stored() -> None:
    def digest(**changes: str) -> str:
        text, prompt = changes.get("text", "Prose."), changes.get("prompt", "Why?")
        slug = changes.get("slug", "one")
        made = book(chapter(slug, [paragraph("a", text)], [question("q", prompt, "So.", "a")]))
        return next(e.digest for e in book_entries(made) if e.chunk.anchor == "a")

    assert digest() == digest()
    assert len({digest(), digest(text="Other."), digest(prompt="How?"), digest(slug="two")}) == 4


def test_code_is_read_by_ast_and_private_or_broken_files_are_left_out(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text('"""The pack."""\nraise SystemExit\n')
    (package / "sub" / "mod.py").write_text(
        '"""Mod."""\nclass KVCache:\n    """Keeps."""\n    def add(self):\n        """Adds."""\n'
        '    def _hidden(self):\n        """Hidden."""\ndef bare(): pass\n'
    )
    (package / "_private.py").write_text('"""No."""\n')
    (package / "broken.py").write_text('"""No."""\ndef (:\n')
    found = {entry.chunk.id: entry for entry in code_entries(package)}
    assert set(found) == {"pack", "pack.sub.mod", "pack.sub.mod:KVCache", "pack.sub.mod:KVCache.add"}
    assert found["pack.sub.mod:KVCache.add"].chunk.url == "/code/pack.sub.mod#KVCache.add"
    assert "KV Cache" in found["pack.sub.mod:KVCache"].body


def test_compounds_are_indexed_in_parts_too() -> None:
    assert body_of("FlashAttention and RMSNorm.", "A KVCache, FlashAttention, KV") == (
        "FlashAttention and RMSNorm.\nA KVCache, FlashAttention, KV\nFlash Attention\nRMS Norm\nKV Cache"
    )


def test_importing_and_chunking_load_neither_lancedb_nor_torch() -> None:
    check = (
        "import sys, handbook.tutor, handbook.rag.own\n"
        "from handbook.rag.passages import code_entries\n"
        "assert list(code_entries())\n"
        "heavy = {'torch', 'lancedb', 'pyarrow', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
