"""The way out and the way in: one object for the pages and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbook.practice.exchange.limits import FILE
from handbook.practice.exchange.nouns import Incoming, NotTaken, Taken

if TYPE_CHECKING:
    from handbook.database import Database
    from handbook.database.imports import Imports
    from handbook.practice.cards import Deck

KINDS = ("practice.json", "cards.csv", "reviews.csv", "criteria.csv", "deck.apkg")


class Exchange:
    """deck, database: of the same reader. Opening does nothing."""

    def __init__(self, deck: Deck, database: Database) -> None:
        self._deck = deck
        self._database = database

    @property
    def _imports(self) -> Imports:
        from handbook.database.imports import Imports  # brings in sqlalchemy

        return Imports(self._database)

    def write(self, name: str) -> bytes:
        """One of KINDS. Raises HandbookError for another."""
        if name == "practice.json":
            from handbook.practice.exchange import states

            return states.write(self._database)
        if name == "deck.apkg":
            from handbook.practice.exchange import anki_out

            return anki_out.write(self._deck)
        from handbook.practice.exchange import sheets

        for table in sheets.TABLES:
            if name == f"{table}.csv":
                return sheets.write(self._deck, table)
        raise NotTaken(f"Expected one of {', '.join(KINDS)}, got {name!r}.")

    def take(self, data: bytes, name: str) -> Taken:
        """Take a file in: what it is is told by its content. Raises NotTaken; nothing is written then."""
        self._fits(data)
        return self._keep(self._read(data), name)

    def take_whole(self, data: bytes, name: str) -> Taken:
        """Take an export of the whole handbook in, what is asked and measured too. Raises NotTaken."""
        from handbook.practice.exchange import states

        self._fits(data)
        return self._keep(states.read(data, self._deck, self._database, whole=True), name)

    @staticmethod
    def _fits(data: bytes) -> None:
        if len(data) > FILE:
            raise NotTaken(
                f"Expected a file of at most {FILE / 1e6:.0f} MB, got {len(data) / 1e6:.0f} MB.",
                "Export this handbook's deck alone, without media.",
            )

    def _keep(self, incoming: Incoming, name: str) -> Taken:
        from handbook.practice.exchange import merging

        return merging.keep(self._deck, self._imports, incoming, name)

    def undo(self, key: str) -> Taken:
        """Take an import back. Raises NotTaken where there is none to take back."""
        from handbook.practice.exchange import merging

        return merging.undo(self._deck, self._imports, key)

    def history(self, limit: int = 20) -> list[Taken]:
        """Imports, the newest first."""
        from handbook.practice.exchange import merging

        return [merging.told(row) for row in self._imports.newest(limit)]

    def found(self, key: str) -> Taken | None:
        from handbook.practice.exchange import merging

        row = self._imports.get(key)
        return None if row is None else merging.told(row)

    def _read(self, data: bytes) -> Incoming:
        from handbook.practice.exchange.packages import is_package

        if is_package(data):
            from handbook.practice.exchange import anki_in

            return anki_in.read(data, self._deck)
        if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
            from handbook.practice.exchange import states

            return states.read(data, self._deck, self._database)
        from handbook.practice.exchange import sheets

        return sheets.read(data, self._deck)
