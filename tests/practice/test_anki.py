"""Packages of Anki: what goes out has Anki's shape, what comes in is not trusted. That Anki itself opens the
package was tried with its library (26.09); it is no dependency, so here the file is read by its format."""

import contextlib
import io
import json
import random
import sqlite3
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from deck_book import AT, DAY, Clock, make_book
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from handbook.database import Database, open_database
from handbook.practice.cards import Deck
from handbook.practice.exchange import Exchange, NotTaken, anki_in, anki_notes, guarded, packages
from handbook.practice.memory import interval
from handbook.settings import Settings

BOOK = make_book()
RATED = ("good", "hard", "again", "easy")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Database]]:
    both = tuple(open_database(Settings(data=tmp_path_factory.mktemp(name))) for name in ("a", "b"))
    yield both[0], both[1]
    for database in both:
        database.close()


@pytest.fixture
def both(two: tuple[Database, Database]) -> tuple[tuple[Deck, Exchange], tuple[Deck, Exchange]]:
    for database in two:
        database.delete_all()
    clock = Clock()
    here, there = (Deck(database, BOOK, clock) for database in two)
    for rating in RATED:
        here.answered("flour-0", "typed", rating=rating, seconds=12.5)  # type: ignore[arg-type]
        clock.forward(5)
    here.answered("cup-1", "typed", rating="good")
    here.suspend("cup-1")
    here.suspend("cup-3")
    return (here, Exchange(here, two[0])), (there, Exchange(there, two[1]))


def collection(package: bytes, path: Path, name: str = "collection.anki21") -> sqlite3.Connection:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        path.write_bytes(archive.read(name))
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    return connection


def rows(connection: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query)]


def test_the_package_has_ankis_shape(both: Any, tmp_path: Path) -> None:
    (_, out), _ = both
    package = out.write("deck.apkg")
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert sorted(archive.namelist()) == ["collection.anki2", "collection.anki21", "media"]
        assert archive.read("media") == b"{}"
        assert archive.read("collection.anki2") == archive.read("collection.anki21")
    connection = collection(package, tmp_path / "c")
    (col,) = rows(connection, "SELECT * FROM col")
    models, decks = json.loads(col["models"]), json.loads(col["decks"])
    assert (col["ver"], json.loads(col["conf"])["schedVer"], len(models)) == (11, 2, 1)
    assert {each["name"] for each in decks.values()} == {
        *("Default", "GenAI Lead Handbook", "GenAI Lead Handbook::Bread", "GenAI Lead Handbook::Tea")
    }
    notes = rows(connection, "SELECT * FROM notes")
    assert {note["guid"] for note in notes} == {anki_notes.guid(name) for name in BOOK.questions}
    assert len({note["id"] for note in notes}) == len(notes)
    (model,) = models.values()
    assert all(note["flds"].count("\x1f") == len(model["flds"]) - 1 for note in notes)
    assert all(note["mid"] == model["id"] for note in notes)
    cards = rows(connection, "SELECT * FROM cards")
    assert {card["nid"] for card in cards} == {note["id"] for note in notes}
    assert {str(card["did"]) for card in cards} <= set(decks)


def test_the_schedule_goes_along(both: Any, tmp_path: Path) -> None:
    (here, out), _ = both
    connection = collection(out.write("deck.apkg"), tmp_path / "c")
    by_guid = {
        row["guid"]: row
        for row in rows(connection, "SELECT n.guid, c.* FROM cards c JOIN notes n ON n.id = nid")
    }
    card, state = by_guid[anki_notes.guid("flour-0")], here.state("flour-0")
    (crt,) = connection.execute("SELECT crt FROM col").fetchone()
    assert (card["type"], card["queue"], card["reps"], card["lapses"]) == (2, 2, 4, 1)
    assert card["ivl"] == interval(state.card)
    assert crt + card["due"] * 86_400 == pytest.approx(state.due.timestamp(), abs=86_400)
    memory = json.loads(card["data"])
    assert memory["s"] == pytest.approx(state.card["stability"], abs=1e-4)
    assert memory["d"] == pytest.approx(state.card["difficulty"], abs=1e-3)
    assert by_guid[anki_notes.guid("cup-1")]["queue"] == -1
    assert (by_guid[anki_notes.guid("cup-3")]["type"], by_guid[anki_notes.guid("cup-3")]["queue"]) == (0, -1)
    assert (by_guid[anki_notes.guid("water-0")]["type"], by_guid[anki_notes.guid("water-0")]["queue"]) == (
        0,
        0,
    )
    log = rows(connection, f"SELECT * FROM revlog WHERE cid = {card['id']} ORDER BY id")
    assert [row["ease"] for row in log] == [3, 2, 1, 4]
    assert [row["type"] for row in log] == [0, 1, 1, 1]
    assert [row["time"] for row in log] == [12_500] * 4
    assert log[0]["id"] == AT.timestamp() * 1000
    assert [row["lastIvl"] for row in log] == [0, *(row["ivl"] for row in log[:-1])]
    assert all(100 <= row["factor"] <= 1100 for row in log)


def test_a_package_comes_back_as_it_went(both: Any) -> None:
    (here, out), (there, into) = both
    package = out.write("deck.apkg")
    taken = into.take(package, "deck.apkg")
    assert taken.taken == {"review": 5, "card": 3}
    for name in ("flour-0", "cup-1", "cup-3"):
        ours, theirs = here.state(name), there.state(name)
        assert (theirs.lapses, theirs.suspended) == (ours.lapses, ours.suspended)
        assert theirs.card.get("stability") == pytest.approx(ours.card.get("stability"))
    assert [row["rating"] for row in reversed(there.reviews("flour-0"))] == list(RATED)
    assert into.take(package, "deck.apkg").key == ""
    assert out.take(package, "deck.apkg").key == ""
    into.undo(taken.key)
    assert not there.rows.cards()


def changed(package: bytes, path: Path, *statements: str) -> bytes:
    connection = collection(package, path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return packed({"collection.anki21": path.read_bytes()})


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_reviews_made_in_anki_are_taken(both: Any, tmp_path: Path) -> None:
    (here, out), _ = both
    package = out.write("deck.apkg")
    clock = here._clock
    clock.forward(3)
    at = int((AT + 21 * DAY).timestamp() * 1000)
    card = (
        f"(SELECT c.id FROM cards c JOIN notes n ON n.id = nid WHERE guid = '{anki_notes.guid('flour-0')}')"
    )
    log = "INSERT INTO revlog SELECT {id}, {card}, -1, {ease}, 9, 5, {factor}, 4000, {kind}"
    entries = [
        (0, 3, 500, 1),
        (1, 0, 0, 4),
        (2, 3, 0, 3),
        (3_600_000, 9, 500, 1),
        (99 * 86_400_000, 3, 500, 1),
    ]
    statements = [
        log.format(id=at + more, card=card, ease=ease, factor=factor, kind=kind)
        for more, ease, factor, kind in entries
    ]
    foreign = (
        "INSERT INTO notes SELECT id + 1, 'stranger', mid, mod, usn, tags, flds, sfld, csum, flags, data"
    )
    gone = (
        f"UPDATE notes SET guid = '{anki_notes.PREFIX}long-gone' WHERE guid = '{anki_notes.guid('water-3')}'"
    )
    taken = out.take(
        changed(package, tmp_path / "c", *statements, f"{foreign} FROM notes LIMIT 1", gone), "f"
    )
    assert taken.taken == {"review": 1, "card": 1}
    assert sorted(taken.left_out.values()) == [1, 1, 1, 3, 5]
    assert any("not of this book" in why for why in taken.left_out)
    newest = here.reviews("flour-0")[0]
    assert (newest["rating"], newest["kind"], newest["seconds"], newest["answer"]) == (
        "good",
        "import",
        4.0,
        "",
    )
    assert newest["before"]["card"]["stability"] < newest["after"]["card"]["stability"]


def test_a_state_without_a_history_is_taken_as_it_is(both: Any, tmp_path: Path) -> None:
    (here, out), (there, into) = both
    package = changed(out.write("deck.apkg"), tmp_path / "c", "DELETE FROM revlog")
    assert into.take(package, "f").taken == {"review": 2, "card": 3}
    ours, theirs = here.state("flour-0"), there.state("flour-0")
    assert theirs.card["stability"] == pytest.approx(ours.card["stability"], abs=1e-4)
    assert theirs.lapses == 1
    there.answered("flour-0", "x", rating="good")
    bare = changed(out.write("deck.apkg"), tmp_path / "d", "DELETE FROM revlog", "UPDATE cards SET data = ''")
    for each in into.history():
        into.undo(each.key)
    into.take(bare, "f")
    assert there.state("cup-1").card["stability"] == interval(here.state("cup-1").card)


def test_the_package_of_today_is_read_before_its_stub(both: Any, tmp_path: Path) -> None:
    (_, out), (_, into) = both
    database = collection(out.write("deck.apkg"), tmp_path / "c")
    database.close()
    whole = zstandard.ZstdCompressor().compress((tmp_path / "c").read_bytes())
    stub = b"a stub that says: please upgrade"
    package = packed({"meta": b"\x08\x03", "collection.anki21b": whole, "collection.anki2": stub})
    assert into.take(package, "f").taken == {"review": 5, "card": 3}


# What is hostile


def zeros(size: int) -> bytes:
    return guarded.MAGIC + bytes(size)


def twice(package: bytes) -> bytes:
    return packed({"collection.anki20": b"x", "collection.anki21": b"x"}).replace(b"anki20", b"anki21")


def lying_size(package: bytes) -> bytes:
    """Says in both of its tables that the collection is small."""
    data = bytearray(packed({"collection.anki2": zeros(8_000_000)}))
    struct.pack_into("<I", data, 22, 1000)
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 1000)
    return bytes(data)


def encrypted(package: bytes) -> bytes:
    data = bytearray(package)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


BOMBS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("unpacks to more", lambda _: packed({"collection.anki2": zeros(8_000_000)})),
    ("unpacks to more", lambda _: packed({"collection.anki21b": zstandard.compress(zeros(9_000_000))})),
    ("can't be unpacked", lambda _: packed({"collection.anki21b": b"no zstd"})),
    ("can't be unpacked|can't be read", lying_size),
    ("two files", twice),
    ("encrypted", encrypted),
    ("another archive", lambda _: packed({"../../collection.anki2": b"x"})),
    ("no SQLite", lambda _: packed({"collection.anki2": b"x" * 100})),
    ("can't be read", lambda _: packed({"collection.anki2": zeros(5000)})),
    ("can't be unpacked", lambda package: package[: len(package) // 2]),
    ("at most", lambda _: packed({f"{number}": b"" for number in range(6)})),
]


@pytest.mark.parametrize(("why", "make"), BOMBS, ids=range(len(BOMBS)))
def test_packages_that_are_none(
    both: Any, why: str, make: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, out), (there, into) = both
    monkeypatch.setattr(packages, "ENTRIES", 5)
    with pytest.raises(NotTaken, match=why) as caught:
        into.take(make(out.write("deck.apkg")), "f")
    assert "Nothing was imported" in caught.value.remedy
    assert not there.rows.cards()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id, 'a' AS guid FROM n"
SCHEMAS = [
    ("no plain table", ["DROP TABLE notes", f"CREATE VIEW notes AS {ENDLESS}"]),
    ("without the tables revlog", ["DROP TABLE revlog"]),
    ("can't be read", ["ALTER TABLE notes RENAME COLUMN guid TO other"]),
    ("claim the same", [f"UPDATE notes SET guid = '{anki_notes.guid('flour-0')}'"]),
    ("no plain table", ["DROP TABLE notes", "CREATE VIRTUAL TABLE notes USING fts5(id, guid)"]),
]


@pytest.mark.parametrize(("why", "statements"), SCHEMAS, ids=range(len(SCHEMAS)))
def test_schemas_that_lie(both: Any, tmp_path: Path, why: str, statements: list[str]) -> None:
    (_, out), (there, into) = both
    package = out.write("deck.apkg")
    with pytest.raises(NotTaken, match=why):
        into.take(changed(package, tmp_path / "c", *statements), "f")
    assert not there.rows.cards()


ODD = ["'text'", "NULL", "x'00ff'", "1e300", "9223372036854775807", "-9223372036854775808", "1.5"]


@pytest.mark.parametrize("value", ODD)
def test_values_of_any_type_are_left_out_not_fallen_over(both: Any, tmp_path: Path, value: str) -> None:
    (_, out), (there, into) = both
    connection = collection(out.write("deck.apkg"), tmp_path / "c")
    connection.executescript(
        f"""
        CREATE TABLE loose AS SELECT * FROM revlog; DROP TABLE revlog; ALTER TABLE loose RENAME TO revlog;
        CREATE TABLE loose AS SELECT * FROM cards; DROP TABLE cards; ALTER TABLE loose RENAME TO cards;
        UPDATE revlog SET time = {value}, ease = {value} WHERE rowid = 1;
        UPDATE revlog SET id = {value} WHERE rowid = 2;
        UPDATE revlog SET cid = {value}, factor = {value} WHERE rowid = 3;
        UPDATE cards SET ivl = {value}, data = {value}, mod = {value}, lapses = {value};
        UPDATE cards SET type = {value}, queue = {value} WHERE rowid % 2;
        """
    )
    connection.commit()
    connection.close()
    taken = into.take(packed({"collection.anki2": (tmp_path / "c").read_bytes()}), "f")
    assert taken.taken.get("review", 0) <= 3
    assert not [row for row in there.reviews() if row["at"] > AT + 30 * DAY]


def test_a_number_beyond_all_floats_is_none(both: Any, tmp_path: Path) -> None:
    (_, out), (there, into) = both
    data = '{"s": ' + "9" * 1900 + "}"
    package = changed(
        out.write("deck.apkg"),
        tmp_path / "c",
        "DELETE FROM revlog",
        f"UPDATE cards SET type = 2, reps = 1, ivl = 9, data = '{data}'",
    )
    assert into.take(package, "f").taken["review"] > 0
    assert {each.card["stability"] for each in there.states().values() if each.card} == {9.0}


def test_large_values_of_cards_are_not_kept(both: Any, tmp_path: Path) -> None:
    (here, out), _ = both
    database = collection(out.write("deck.apkg"), tmp_path / "d")
    filler = random.Random(1).randbytes(450_000).hex()
    database.execute("UPDATE cards SET queue = ?, data = ?", (filler, filler[::-1]))
    database.commit()
    database.close()
    package = packed({"collection.anki2": (tmp_path / "d").read_bytes()})
    tracemalloc.start()
    try:
        anki_in.read(package, here)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000  # two of them at once, and what unpacks; all of them are over 10 MB


def test_a_trigger_and_a_view_beside_do_nothing(both: Any, tmp_path: Path) -> None:
    (_, out), (_, into) = both
    statements = [
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM cards; END",
        f"CREATE VIEW v AS {ENDLESS}",
    ]
    assert into.take(changed(out.write("deck.apkg"), tmp_path / "c", *statements), "f").key


def test_a_strangers_large_note_is_no_fault(both: Any, tmp_path: Path) -> None:
    (_, out), (_, into) = both
    large = "INSERT INTO notes VALUES (1, 'stranger', 1, 1, 1, '', randomblob(3000000), 1, 1, 1, '')"
    taken = into.take(changed(out.write("deck.apkg"), tmp_path / "c", large), "f")
    assert taken.taken["review"] == 5
    assert 1 in taken.left_out.values()


def test_the_guard_reads_what_is_named_and_nothing_else(both: Any, tmp_path: Path) -> None:
    (_, out), _ = both
    collection(out.write("deck.apkg"), tmp_path / "c").close()
    with guarded.opened(tmp_path / "c", anki_in.COLUMNS) as opened:
        for query in (
            *("SELECT flds FROM notes", "SELECT * FROM col", "DELETE FROM notes", "ATTACH 'x' AS y"),
            *("PRAGMA user_version", "SELECT load_extension('x')", "SELECT randomblob(9)"),
        ):
            with pytest.raises(sqlite3.DatabaseError):
                opened._connection.execute(query)


def test_what_takes_too_long_is_stopped(both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, out), (_, into) = both
    package = out.write("deck.apkg")
    monkeypatch.setattr(guarded, "SECONDS", -1.0)
    monkeypatch.setattr(guarded, "CHECKED_EVERY", 1)
    with pytest.raises(NotTaken, match="took more than"):
        into.take(package, "f")


@pytest.fixture(scope="module")
def whole(two: tuple[Database, Database]) -> bytes:
    return Exchange(Deck(two[0], BOOK, Clock()), two[0]).write("deck.apkg")


@examples(max_examples=20, deadline=None)
@given(st.data())
def test_a_collection_with_flipped_bytes_is_read_or_refused(two: Any, whole: bytes, data: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        database = bytearray(archive.read("collection.anki2"))
    for place in data.draw(st.lists(st.integers(16, len(database) - 1), min_size=1, max_size=30)):
        database[place] ^= data.draw(st.integers(1, 255))
    into = Exchange(Deck(two[1], BOOK, Clock()), two[1])
    try:
        taken = into.take(packed({"collection.anki2": bytes(database)}), "f")
    except NotTaken:
        return
    if taken.key:
        into.undo(taken.key)


def test_a_schema_with_half_a_character_is_refused(two: Any, whole: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        database = archive.read("collection.anki2")
    assert b"CREATE TABLE revlog" in database
    broken = database.replace(b"CREATE TABLE revlog", b"CREATE T\xe9BLE revlog")
    with pytest.raises(NotTaken, match="can't be read"):
        Exchange(Deck(two[1], BOOK, Clock()), two[1]).take(packed({"collection.anki2": broken}), "f")


@examples(max_examples=60, deadline=None)
@given(st.data())
def test_a_package_with_flipped_bytes_is_read_or_refused(two: Any, whole: bytes, data: Any) -> None:
    package = bytearray(whole)
    ends = st.one_of(st.integers(0, 60), st.integers(len(package) - 400, len(package) - 1))
    for place in data.draw(st.lists(ends, min_size=1, max_size=10)):
        package[place] = data.draw(st.integers(0, 255))
    into = Exchange(Deck(two[1], BOOK, Clock()), two[1])
    with contextlib.suppress(NotTaken):
        taken = into.take(bytes(package), "f")
        assert not taken.key or into.undo(taken.key)


# Faces


def test_html_is_reduced() -> None:
    html = '<p id="x" onclick="y()">A <a href="/b">link</a> <script>alert(1)</script><img src=x onerror=z>'
    html += '<span class="math" data-tex="a &lt; b">a &lt; b</span></p>'
    html += '<div class="math block" data-tex="c">c</div>'
    assert anki_notes.simple(html) == r"<p>A link alert(1)\(a &lt; b\)</p>\[c\]"


def test_the_first_field_has_ankis_checksum() -> None:
    # SHA-1 of "abc" begins a9993e36 (FIPS 180-4)
    assert anki_notes.checksum("<p>abc</p>") == 0xA9993E36


def test_guids_are_for_good() -> None:
    assert anki_notes.guid("flour-0") == "genai-lead-handbook:flour-0"
    assert anki_notes.number("note", "flour-0") == anki_notes.number("note", "flour-0")
    assert packages.NAMES[0] == "collection.anki21b"
