"""State that belongs to the reader: what was read, asked, tried and measured.

SQLite in the data folder by default, PostgreSQL by URL; the same tables and migrations for both.
"""

from handbook.database.store import Database, open_database

__all__ = ["Database", "open_database"]
