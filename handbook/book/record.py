"""Writing a measurement into claims.toml, with every comment and every other line as it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from handbook.book.atomic import write
from handbook.book.claims import Claim, Measured
from handbook.errors import BookError

DIGITS = 6  # significant digits that are kept of what is not exact


def rounded(measured: Measured, exact: bool) -> Measured:
    """What is worth keeping: six digits of a timing, all digits of an exact value."""
    if exact:
        return measured
    value, low, high = (float(f"{x:.{DIGITS}g}") for x in (measured.value, measured.low, measured.high))
    return Measured(value, low, high, measured.samples, measured.small, *_where(measured))


def _where(measured: Measured) -> tuple[str, str, str]:
    return measured.machine, measured.date, measured.command


def record(file: Path, claim: Claim, measured: Measured) -> None:
    """Replace `[claim.measured]` of one claim, in one step. Raises BookError where there is no such claim."""
    import tomlkit
    from tomlkit.items import Table

    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    tables = document.get("claim", [])
    found = next((table for table in tables if table.get("id") == claim.id), None)
    if found is None:
        raise BookError(f"{file} has no claim {claim.id}.", "It was edited meanwhile; run the command again.")
    kept = found.get("measured")
    table = kept if isinstance(kept, Table) else tomlkit.table()
    for key, value in asdict(rounded(measured, claim.exact)).items():
        table[key] = value
    if kept is not table:
        found["measured"] = table
    write(file, tomlkit.dumps(document))
