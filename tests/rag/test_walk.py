import os
from pathlib import Path

import pytest

from handbook.errors import HandbookError
from handbook.rag.ingest import Unreadable
from handbook.rag.walk import Skipped, matches, pattern, walk


def planted(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"words of {name}")
    return root


def found(root: Path, **options: bool) -> tuple[list[str], Skipped]:
    skipped = Skipped()
    return [str(Path(file.path).relative_to(root)) for file in walk(root, skipped, **options)], skipped


def test_the_order_is_fixed_and_files_come_before_folders(tmp_path: Path) -> None:
    planted(tmp_path, "b/z.md", "b/a.txt", "a/x/y.md", "c.md", "a.html", "a/q.PDF")
    assert found(tmp_path)[0] == ["a.html", "c.md", "a/q.PDF", "a/x/y.md", "b/a.txt", "b/z.md"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    planted(tmp_path, "a.md", ".hidden.md", ".git/x.md", "pic.png", "node_modules/x/README.md")
    (tmp_path / "empty.md").touch()
    os.mkfifo(tmp_path / "pipe.md")
    names, skipped = found(tmp_path)
    assert names == ["a.md"]
    assert skipped.counts == {"hidden": 2, "of other kinds": 1, "ignored": 1, "empty": 1, "no files": 1}
    assert found(tmp_path, hidden=True)[0] == [".hidden.md", "a.md", ".git/x.md"]


def test_ignore_files(tmp_path: Path) -> None:
    planted(
        tmp_path, "keep.md", "draft.md", "old/a.md", "old/keep.md", "sub/draft.md", "sub/b.md", "sub/out/c.md"
    )
    (tmp_path / ".gitignore").write_text("# drafts\ndraft.md\n/old/*\n!old/keep.md\nout/\n")
    (tmp_path / "sub/.handbookignore").write_text("!draft.md\nb.md\n")
    names, skipped = found(tmp_path)
    assert names == ["keep.md", "old/keep.md", "sub/draft.md"]
    assert skipped.counts["ignored"] == 4


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("*.log", "a/b/x.log", True),
        ("/x.md", "x.md", True),
        ("/x.md", "a/x.md", False),
        ("a/*.md", "a/x.md", True),
        ("a/*.md", "a/b/x.md", False),
        ("a/**/x.md", "a/x.md", True),
        ("a/**/x.md", "a/b/c/x.md", True),
        ("**/x", "a/x", True),
        ("a/**", "a/b/c", True),
        ("x[0-9].md", "q/x7.md", True),
        ("x[!0-9].md", "x7.md", False),
        ("x?", "xyz", False),
        ("[", "[", True),
        ("*a" * 60 + "b", "a" * 250, False),
        ("**/" * 60 + "b", "/".join("a" * 120), False),
    ],
)
def test_patterns_as_git_reads_them(line: str, path: str, expected: bool) -> None:
    assert matches(pattern(line), path.split("/")) is expected


def test_links_are_not_followed_unless_asked(tmp_path: Path) -> None:
    outside = planted(tmp_path / "outside", "secret.md")
    root = planted(tmp_path / "root", "a.md", "sub/b.md")
    (root / "out").symlink_to(outside)
    (root / "sub/loop").symlink_to(root)
    (root / "self.md").symlink_to(root / "self.md")
    (root / "again.md").symlink_to(root / "a.md")
    names, skipped = found(root)
    assert names == ["a.md", "sub/b.md"]
    assert skipped.counts["links"] == 4
    names, skipped = found(root, links=True)
    assert sorted(names) == ["a.md", "out/secret.md", "sub/b.md"]
    assert skipped.counts["links to nothing"] == 1
    assert skipped.counts["folders that were already read"] == 1
    assert skipped.counts["files that were already read"] == 1


def test_a_link_as_the_folder_itself_is_what_was_asked_for(tmp_path: Path) -> None:
    planted(tmp_path / "real", "a.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(list(walk(tmp_path / "link"))) == 1


def test_a_tree_deeper_than_any_limit_ends(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(70):
        folder = folder / "d"
        folder.mkdir()
    planted(folder, "deep.md")
    names, skipped = found(tmp_path)
    assert names == []
    assert skipped.counts == {"folders that are too deep": 1}


def test_names_that_are_no_text(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md")).write_text("x")
    except OSError:
        pytest.skip("this file system takes no such names")
    names, skipped = found(planted(tmp_path, "a.md"))
    assert names == ["a.md"]
    assert skipped.counts == {"names that are no text": 1}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HandbookError, match="can't be read"):
        list(walk(tmp_path / "no"))
    assert not issubclass(HandbookError, Unreadable)
