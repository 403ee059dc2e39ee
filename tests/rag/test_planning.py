"""What an ingestion has to do: new, changed, gone; and what can't be reached takes nothing away."""

from pathlib import Path
from typing import Any

import pytest

from handbook.errors import HandbookError, NotFetched
from handbook.rag.documents import Seen
from handbook.rag.fetch import Page
from handbook.rag.planning import (
    BATCH_BYTES,
    BATCH_DOCUMENTS,
    Known,
    Plan,
    Source,
    Todo,
    batches,
    named,
    plan,
    read_batches,
    read_head,
    write_plan,
)
from tests.rag.notes import folder


def known_after(made: Plan, before: dict[str, Known] | None = None) -> dict[str, Known]:
    """What is known once a plan was carried out."""
    done = {todo.source: Known(todo.origin, todo.seen) for batch in made.batches for todo in batch}
    return {name: one for name, one in {**(before or {}), **done}.items() if name not in made.gone}


def sources(made: Plan) -> list[str]:
    return [Path(todo.source).name for batch in made.batches for todo in batch]


def test_what_is_new_changed_the_same_and_gone(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes", a="one", b="two", c="three")
    source = [named(str(notes))]
    first = plan(source, {}, tmp_path)
    assert (first.new, first.changed, first.same, first.gone) == (3, 0, 0, ())
    assert sources(first) == ["a.md", "b.md", "c.md"]
    known = known_after(first)
    (notes / "b.md").write_text("two, changed")
    (notes / "c.md").unlink()
    (notes / "d.md").write_text("four")
    second = plan(source, known, tmp_path)
    assert (second.new, second.changed, second.same) == (1, 1, 1)
    assert sources(second) == ["b.md", "d.md"]
    assert [Path(name).name for name in second.gone] == ["c.md"]
    third = plan(source, known_after(second, known), tmp_path)
    assert (third.new, third.changed, third.same, third.gone, third.batches) == (0, 0, 3, (), ())


def test_only_what_a_source_brought_can_go_with_it(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", a="one"), folder(tmp_path / "other", b="two")
    both = [named(str(one)), named(str(other))]
    known = known_after(plan(both, {}, tmp_path))
    (other / "b.md").unlink()
    (other / "c.md").write_text("three")
    assert plan(both[:1], known, tmp_path).gone == ()
    assert [Path(name).name for name in plan(both, known, tmp_path).gone] == ["b.md"]


def test_a_folder_that_is_away_or_empty_takes_nothing_with_it(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes", a="one")
    source = [named(str(notes))]
    known = known_after(plan(source, {}, tmp_path))
    (notes / "a.md").rename(tmp_path / "kept.md")
    empty = plan(source, known, tmp_path)
    assert empty.gone == ()
    assert "no document in it now" in empty.broken[0]
    notes.rmdir()
    away = plan(source, known, tmp_path)
    assert away.gone == ()
    assert "can't be read" in away.broken[0]


def test_what_lies_in_a_folder_that_cannot_be_entered_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = folder(tmp_path / "notes", a="one")
    inner = folder(notes / "inner", b="two")
    source = [named(str(notes))]
    known = known_after(plan(source, {}, tmp_path))
    import os

    real = os.scandir

    def refused(path: Any) -> Any:
        if str(path) == str(inner):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)  # root, as whom tests may run, can enter every folder
    made = plan(source, known, tmp_path)
    assert made.gone == ()
    assert made.same == 1
    assert "can't be read" in made.skipped


def test_a_file_that_a_person_named_goes_when_it_is_deleted(tmp_path: Path) -> None:
    file = folder(tmp_path / "notes", a="one") / "a.md"
    source = [named(str(file))]
    known = known_after(plan(source, {}, tmp_path))
    file.unlink()
    assert plan(source, known, tmp_path).gone == (str(file),)


def test_two_sources_of_the_same_document_bring_it_once(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes", a="one")
    made = plan([named(str(notes)), named(str(notes / "a.md"))], {}, tmp_path)
    assert made.new == 1
    assert made.batches[0][0].origin == str(notes)


def test_left_out_documents_are_not_met(tmp_path: Path) -> None:
    notes = folder(tmp_path / "notes", a="one", b="two")
    made = plan([named(str(notes))], {}, tmp_path, left_out={str(notes / "a.md")})
    assert sources(made) == ["b.md"]


def test_pages_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    url = "https://example.org/a"
    text = {"now": b"<html><body><p>One.</p></body></html>"}

    def get(asked: str) -> Page:
        if text["now"] == b"":
            raise NotFetched("No answer.", "Try later.")
        return Page(url=asked, data=text["now"], media="text/html")

    source = [Source(url, "page")]
    first = plan(source, {}, tmp_path / "pages", get=get)
    (todo,) = first.batches[0]
    assert (todo.source, todo.media, Path(todo.path).read_bytes()) == (url, "text/html", text["now"])
    known = known_after(first)
    assert plan(source, known, tmp_path / "pages", get=get).same == 1
    text["now"] = b"<html><body><p>Two.</p></body></html>"
    assert plan(source, known, tmp_path / "pages", get=get).changed == 1
    text["now"] = b""
    away = plan(source, known, tmp_path / "pages", get=get)
    assert (away.gone, away.batches) == ((), ())
    assert "stays" in away.broken[0]
    assert plan(source, {}, tmp_path / "pages", get=get).faults == {url: (url, "No answer. Try later.")}


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    todo = [Todo(f"/a/{n}", f"/a/{n}", "/a", Seen(f"{n:064}", n, n, n), "") for n in range(150)]
    made = Plan(new=150, gone=("/a/é\n",), batches=tuple(batches(todo)), faults={"/x": ("/", "why")})
    path = tmp_path / "jobs" / "one.plan"
    write_plan(path, made)
    assert tuple(read_batches(path)) == made.batches
    assert tuple(read_batches(path, 2)) == made.batches[2:]
    head = read_head(path)
    assert (head["batches"], head["gone"], head["new"]) == (len(made.batches), ["/a/é\n"], 150)
    assert [entry.name for entry in path.parent.iterdir()] == ["one.plan"]


def test_batches_are_bounded_and_hold_everything_in_order() -> None:
    sizes = [10, BATCH_BYTES * 3, 10, *([1] * 200), BATCH_BYTES // 2, BATCH_BYTES // 2 + 1]
    todo = [Todo(str(n), str(n), "o", Seen("d", size)) for n, size in enumerate(sizes)]
    parts = list(batches(todo))
    assert [one for part in parts for one in part] == todo
    assert all(len(part) <= BATCH_DOCUMENTS for part in parts)
    assert all(len(part) == 1 or sum(one.seen.size for one in part) <= BATCH_BYTES for part in parts)
    assert [len(part) for part in parts[:2]] == [1, 1]


@pytest.mark.parametrize(
    "text", ["", "/no/such/folder", "ftp://example.org/a", "file:///etc/passwd", "a\0b", "http://[x", "~/no"]
)
def test_what_is_no_source_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(HandbookError):
        named(text)


def homeless(self: Path) -> Path:
    """As for a person who has no home folder."""
    if str(self).startswith("~"):
        raise RuntimeError("Could not determine home directory.")
    return self


def test_a_password_in_an_address_is_neither_kept_nor_said() -> None:
    with pytest.raises(HandbookError, match="name or a password") as caught:
        named("https://anna:secret@example.org/a")
    assert "secret" not in str(caught.value)


def test_a_look_can_be_ended_while_folders_are_walked(tmp_path: Path) -> None:
    def tell(looked: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan([named(str(folder(tmp_path / "notes", empty="one")))], {}, tmp_path, tell=tell)
