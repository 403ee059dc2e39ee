"""Reads an exported state back: checked whole first, then turned into rows that are not there yet."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Integer, inspect, select
from sqlalchemy.orm import Session

from handbook.database.tables import Base, OfThisMachine, UtcDateTime
from handbook.errors import DatabaseError

FORMAT = "handbook-state"
VERSION = 1
LONGEST = 200_000  # characters of one text
LARGEST = 2**31 - 1  # what an integer column of PostgreSQL holds
LARGEST_ANYWHERE = 2**53  # of others, and inside JSON: beyond it its readers differ
DEEPEST = 20


def rows_to_add(state: Mapping[str, Any], session: Session) -> list[Base]:
    """Rows of `state` that this database does not hold. Raises DatabaseError listing all faults."""
    if not isinstance(state, Mapping) or state.get("format") != FORMAT:
        raise DatabaseError(
            "Expected an export of the handbook, got something else.", "Choose a file from Export."
        )
    if state.get("version") != VERSION:
        raise DatabaseError(
            f"Expected an export of version {VERSION}, got {state.get('version')!r}.", "Upgrade the handbook."
        )
    classes = {cls.__tablename__: cls for cls in state_tables()}
    tables = state.get("tables")
    if not isinstance(tables, Mapping):
        raise DatabaseError("The export has no tables.", "Choose a whole file from Export.")
    faults: list[str] = [f"unknown table {name!r}" for name in tables if name not in classes]
    rows: list[Base] = []
    for name, cls in classes.items():
        listed = tables.get(name, [])
        if not isinstance(listed, list):
            faults.append(f"{name} is not a list")
            continue
        present = {_identity(row) for row in session.scalars(select(cls))}
        for number, values in enumerate(listed, start=1):
            try:
                row = _row(cls, values)
            except (TypeError, ValueError, KeyError, OverflowError) as error:
                faults.append(f"{name} row {number}: {error}")
                continue
            if _identity(row) not in present:
                present.add(_identity(row))
                rows.append(row)
    if faults:
        shown = "; ".join(faults[:20]) + (f"; and {len(faults) - 20} more" if len(faults) > 20 else "")
        raise DatabaseError(f"The export can't be read: {shown}.", "Nothing was imported.")
    return rows


def state_tables() -> list[type[Base]]:
    """The tables that travel in an export: what the reader did, not what lies on this machine's disks."""
    classes: list[type[Base]] = [mapper.class_ for mapper in Base.registry.mappers]
    return [cls for cls in classes if not issubclass(cls, OfThisMachine)]


def _row(cls: type[Base], values: Any) -> Base:
    columns = {column.key: column for column in inspect(cls).columns}
    if not isinstance(values, Mapping):
        raise TypeError(f"expected an object, got {type(values).__name__}")
    for key, column in columns.items():  # an export from before these columns
        if key not in values and "otherwise" in column.info:
            values = {**values, key: column.info["otherwise"](values)}
    unknown = set(values) - set(columns)
    missing = set(columns) - set(values) - {"id"}
    if unknown or missing:
        raise KeyError(f"unknown {sorted(unknown)}, missing {sorted(missing)}")
    kept: dict[str, Any] = {}
    for key, column in columns.items():
        if key == "id":
            continue  # numbered anew: two machines count alike
        if column.info.get("local"):
            kept[key] = None  # the number of such a row
            continue
        kept[key] = None if values[key] is None and column.nullable else _value(values[key], key, column)
    return cls(**kept)


def _value(value: Any, key: str, column: Column[Any]) -> Any:
    """One value as its column takes it. Raises TypeError, ValueError, OverflowError."""
    if isinstance(column.type, UtcDateTime):
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key}: {error}") from error
        if moment.tzinfo is None:
            raise ValueError(f"{key}: expected a time with its zone")
        return moment.astimezone(UTC)
    expected: Any = column.type.python_type
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if expected is dict:
        expected = (dict, list)  # a JSON column holds either
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise TypeError(f"{key}: expected {column.type}, got {type(value).__name__}")
    longest = getattr(column.type, "length", None) or LONGEST
    if isinstance(value, str) and len(value) > longest:
        raise ValueError(f"{key}: expected at most {longest} characters, got {len(value)}")
    return _storable(value, key, LARGEST if type(column.type) is Integer else LARGEST_ANYWHERE)


def _storable(value: Any, key: str, largest: int, depth: int = 0) -> Any:
    """The value, when every database keeps it and gives it back. Raises ValueError."""
    match value:
        case str():
            if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError(f"{key}: it holds a character that can't be stored")
        case int() | float():
            if not math.isfinite(value) or (isinstance(value, int) and abs(value) > largest):
                raise ValueError(f"{key}: {value} can't be stored")
        case dict() | list():
            if depth == DEEPEST:
                raise ValueError(f"{key}: it goes deeper than {DEEPEST} levels")
            for each in [*value, *value.values()] if isinstance(value, dict) else value:
                _storable(each, key, largest, depth + 1)
    return value


def _identity(row: Base) -> tuple[Any, ...]:
    """What makes two rows the same one: the natural key, or the moment with its subject."""
    keys = [str(column.key) for column in inspect(type(row)).primary_key if column.key != "id"]
    if not keys:
        subject = next(key for key in ("question", "exercise", "claim") if hasattr(row, key))
        keys = [subject, "at"]
    return tuple(getattr(row, key) for key in keys)
