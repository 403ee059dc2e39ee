"""Brings a database to this version's tables, and refuses one that a newer version wrote.

Alembic is imported only when there is something to migrate, so an up-to-date database opens fast.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from handbook.errors import DatabaseError, NewerDatabase

SCRIPTS = Path(__file__).parent / "migrations"
LOCK = 0x68616E64  # any number that every handbook shares


def known_revisions() -> list[str]:
    """This version's revisions, oldest first: the numbers that the migration files begin with."""
    return sorted(path.name.split("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def current_revision(connection: Connection) -> str | None:
    if "alembic_version" not in inspect(connection).get_table_names():
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def bring_up_to_date(engine: Engine) -> None:
    """Raises NewerDatabase (and touches nothing) when the revision is not one of ours."""
    known = known_revisions()
    with engine.connect().execution_options(only_reads=True) as connection:
        current = current_revision(connection)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise NewerDatabase(
            f"The database is at revision {current}; this handbook knows up to {known[-1]}.",
            "A newer handbook wrote it: upgrade this one, or point HANDBOOK_DATABASE_URL or HANDBOOK_DATA "
            "elsewhere. Nothing was changed.",
        )
    try:
        _upgrade(engine, known[-1])
    except Exception as error:
        raise DatabaseError(
            f"The database could not be brought from revision {current} to {known[-1]}: {error}",
            "It is as it was before. Keep a copy of it and report this.",
        ) from error


def _upgrade(engine: Engine, head: str) -> None:
    """One transaction, alone: a second process waits, then finds nothing left to do."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        if current_revision(connection) != head:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
