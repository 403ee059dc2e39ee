import json
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from handbook.database import Database, open_database
from handbook.database.migrate import known_revisions
from handbook.database.practice import Practice
from handbook.database.tables import CorpusRow
from handbook.errors import DatabaseError, NewerDatabase
from handbook.records import Answer, Chunk, Citation, Hit, Sentence
from handbook.settings import Settings

CHUNK = Chunk("c1", "transformer-deep-dive", "kv", "KV cache", "Text.", "/book/a/b#kv")
ANSWER = Answer(
    "What is cached? Ключи и 值 🙂",
    (Sentence("Keys and values.", (Citation(CHUNK, 0.8),), True),),
    False,
    (Hit(CHUNK, 0.5, dense=0.8),),
    0.9,
    {"retrieve": 0.01},
)


def test_reading_marks_can_be_set_twice_and_undone(database: Database) -> None:
    database.mark_read("transformer-deep-dive", "masks")
    database.mark_read("transformer-deep-dive", "masks")
    database.mark_read("transformer-deep-dive", "kv-cache")
    assert database.read() == {"transformer-deep-dive": {"masks", "kv-cache"}}
    database.unmark_read("transformer-deep-dive", "masks")
    assert database.read() == {"transformer-deep-dive": {"kv-cache"}}
    database.unmark_read("transformer-deep-dive")
    assert database.read() == {}


def test_asks_come_newest_first_and_whole(database: Database) -> None:
    first = database.log_ask(ANSWER)
    second = database.log_ask(Answer("Who won?", (), True, (), 0.1))
    asks = database.asks()
    assert [row["id"] for row in asks] == [second, first]
    assert asks[1]["question"] == ANSWER.question
    assert asks[1]["answer"]["sentences"][0]["citations"][0]["chunk"]["anchor"] == "kv"
    assert asks[0]["refused"] is True
    assert asks[0]["at"].tzinfo is not None
    database.forget_ask(second)
    assert [row["id"] for row in database.asks()] == [first]


def test_newest_measurement_wins(database: Database) -> None:
    database.save_measurement("a", 1.0, 0.9, 1.1, 5, "old machine")
    database.save_measurement("a", 2.0, 1.9, 2.1, 5, "new machine")
    assert database.measurements()["a"]["value"] == 2.0
    assert database.measurements()["a"]["machine"] == "new machine"


def test_export_imports_into_an_empty_database_once(database: Database, tmp_path: Path) -> None:
    database.mark_read("transformer-deep-dive", "masks")
    database.log_ask(ANSWER)
    Practice(database).save_attempt("rope", "x", [{"name": "a", "passed": True}], solved=True)
    database.save_measurement("a", 1, 1, 1, 1, "m")
    state = json.loads(json.dumps(database.export()))
    other = open_database(Settings(data=tmp_path / "other"))
    assert other.import_(state) == 4
    assert other.import_(state) == 0, "a second import adds nothing"
    assert other.export()["tables"] == database.export()["tables"]
    other.close()


def test_signals_are_kept_by_corpus_and_travel_without_the_number_of_their_ask(
    database: Database, tmp_path: Path
) -> None:
    ask = database.log_ask(ANSWER)
    database.signal("cited", ANSWER.question, "notes", chunk="c1", ask=ask)
    database.signal("helped", ANSWER.question, "notes", ask=ask)
    database.signal("not_helped", ANSWER.question)
    assert [row["kind"] for row in database.signals("notes")] == ["helped", "cited"]
    assert database.signals("notes")[1]["ask"] == ask
    assert database.signal_counts("notes") == {"cited": 1, "helped": 1}
    assert database.signal_counts("book") == {"not_helped": 1}
    other = open_database(Settings(data=tmp_path / "other"))
    other.import_(json.loads(json.dumps(database.export())))
    assert [(row["kind"], row["ask"]) for row in other.signals("notes")] == [
        ("helped", None),
        ("cited", None),
    ]
    other.close()


def test_what_lies_on_this_machine_does_not_travel_and_is_not_deleted_with_the_state(
    database: Database,
) -> None:
    with database.session() as session:
        session.add(CorpusRow(name="notes", title="", model="m", dimension=3, settings={}))
    assert "corpus" not in database.export()["tables"]
    database.delete_all()
    with database.session(reads=True) as session:
        assert session.get(CorpusRow, "notes") is not None


def test_delete_all_leaves_nothing(database: Database) -> None:
    database.mark_read("transformer-deep-dive", "masks")
    database.log_ask(ANSWER)
    database.delete_all()
    assert all(rows == [] for rows in database.export()["tables"].values())


def test_a_faulty_import_lists_all_faults_and_writes_nothing(database: Database) -> None:
    good = {"chapter": "c", "section": "s", "at": datetime.now(UTC).isoformat()}
    state = {
        "format": "handbook-state",
        "version": 1,
        "tables": {
            "read_section": [
                good,
                {"chapter": "c"},
                {**good, "chapter": 7},
                {**good, "at": "2026-01-01T00:00:00"},
            ],
            "nonsense": [],
        },
    }
    with pytest.raises(DatabaseError) as caught:
        database.import_(state)
    said = str(caught.value)
    for part in ("unknown table 'nonsense'", "row 2", "row 3", "row 4", "Nothing was imported"):
        assert part in said
    assert database.read() == {}


@pytest.mark.parametrize("state", [[], {"format": "other"}, {"format": "handbook-state", "version": 2}])
def test_foreign_imports_are_refused(database: Database, state: object) -> None:
    with pytest.raises(DatabaseError):
        database.import_(state)  # type: ignore[arg-type]


def test_a_newer_database_is_refused_and_untouched(settings: Settings) -> None:
    open_database(settings).close()
    url = settings.database.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase, match="9999") as caught:
        open_database(settings)
    assert "upgrade" in caught.value.remedy
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def test_tables_and_migrations_agree(settings: Settings) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from handbook.database.tables import Base

    open_database(settings).close()
    engine = create_engine(settings.database.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_many_threads_write_at_once(database: Database) -> None:
    def write(thread: int) -> None:
        for number in range(20):
            database.mark_read(f"chapter-{thread}", f"section-{number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(sections) for sections in database.read().values()) == 120


def test_two_processes_may_open_a_new_database_together(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys; from handbook.settings import Settings; "
        "from handbook.database import open_database; "
        "open_database(Settings(data=Path(sys.argv[1]))).mark_read('c', sys.argv[2])"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(4)]
    assert [process.wait(240) for process in running] == [0, 0, 0, 0]
    opened = open_database(Settings(data=tmp_path))
    assert opened.read() == {"c": {"0", "1", "2", "3"}}
    opened.close()


def test_sqlite_uses_write_ahead_log(tmp_path: Path) -> None:
    open_database(Settings(data=tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "handbook.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "handbook.db").write_bytes(
        b"this is not a database, but it is long enough to be read as one" * 20
    )
    with pytest.raises(DatabaseError, match="not a usable database"):
        open_database(Settings(data=tmp_path))
    assert (tmp_path / "handbook.db").read_bytes().startswith(b"this is not")


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    from handbook.errors import DiskFull

    opened = open_database(Settings(data=tmp_path))
    opened.mark_read("c", "before")
    with opened._engine.connect() as connection:  # SQLite's own limit stands in for a full disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(DiskFull, match="No room left"):  # the pool hands the same connection out again
        Practice(opened).save_attempt("rope", "x" * 5_000_000, [], solved=False)
    assert opened.read() == {"c": {"before"}}
    opened.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle9://x", "postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/nowhere/x.db"]
)
def test_unusable_urls(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_database(Settings(data=tmp_path, database_url=url))
    assert caught.value.remedy


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_database(Settings(data=tmp_path, database_url="postgresql://me:hunter2@127.0.0.1:1/none"))
    assert "hunter2" not in str(caught.value)


def test_revisions_are_numbered_without_gaps() -> None:
    assert known_revisions() == [f"{n:04d}" for n in range(1, len(known_revisions()) + 1)]


AT = "2026-01-01T00:00:00+00:00"
MEASUREMENT = {"claim": "c", "value": 1.0, "low": 0.0, "high": 2.0, "samples": 3, "machine": "m", "at": AT}
ATTEMPT = {"exercise": "e", "code": "x", "passed": 1, "total": 1, "results": [], "at": AT}
ASK = {"question": "q", "refused": False, "answer": {}, "at": AT}
UNSTORABLE = {
    "int too large": ("attempt", {**ATTEMPT, "passed": 2**31}),
    "float too large": ("measurement", {**MEASUREMENT, "value": 10**400}),
    "not a number": ("measurement", {**MEASUREMENT, "value": float("nan")}),
    "infinite": ("measurement", {**MEASUREMENT, "high": float("inf")}),
    "half a character": ("ask", {**ASK, "question": "\ud800"}),
    "half a character inside": ("ask", {**ASK, "answer": {"a": ["\ud800"]}}),
    "null character": ("ask", {**ASK, "question": "a\0"}),
    "long name": ("read_section", {"chapter": "x" * 121, "section": "s", "at": AT}),
    "long text": ("ask", {**ASK, "question": "x" * 200_001}),
    "deep": ("ask", {**ASK, "answer": json.loads('{"a":' * 50 + "1" + "}" * 50)}),
    "before all time": ("ask", {**ASK, "at": "0001-01-01T00:00:00+23:59"}),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_what_no_database_keeps_is_not_imported(database: Database, case: str) -> None:
    table, row = UNSTORABLE[case]
    with pytest.raises(DatabaseError, match="row 1"):
        database.import_({"format": "handbook-state", "version": 1, "tables": {table: [row]}})
    assert database.export()["tables"][table] == []


def test_the_rows_that_those_faults_were_put_into_are_good(database: Database) -> None:
    tables = {"measurement": [MEASUREMENT], "attempt": [ATTEMPT], "ask": [ASK]}
    assert database.import_({"format": "handbook-state", "version": 1, "tables": tables}) == 3


def test_a_password_in_the_query_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql://127.0.0.1:1/none?user=me&password=hunter2"
    with pytest.raises(DatabaseError) as caught:
        open_database(Settings(data=tmp_path, database_url=url))
    assert "hunter2" not in str(caught.value)
