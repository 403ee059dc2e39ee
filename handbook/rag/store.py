"""The LanceDB folder behind the index: opened on use, written by one process at a time, thrown away when
damaged.

Everything in it can be computed again, so damage is never an error to a reader: the table goes, and comes
back. Readers take no lock: a Lance table is a chain of immutable versions, and an open handle stays on the
version that it has read.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handbook.errors import DiskFull, HandbookError

LOCK_SECONDS = 300.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room: of the disk, one's share of it, or a file
DAMAGE = (
    ValueError,
    RuntimeError,
    OSError,
    KeyError,
)  # what lancedb and pyarrow raise over a broken or half-removed table


class Store:
    """A LanceDB database and the lock of its writers.

    Args:
        uri: folder or object-store URL (`Settings.store`).
        lock: lock file, always local. Processes that share an object store from two machines share no lock.
    """

    def __init__(self, uri: str, lock: Path) -> None:
        self.uri = uri
        self._lock = lock
        self._db: Any = None
        self._root: Store | None = None

    @property
    def db(self) -> Any:
        """The connection. Importing lancedb takes about a second, so this is the first to do it."""
        if self._root is not None:
            return self._root.db
        if self._db is None:
            import lancedb

            with clear_disk_errors(self.uri):
                self._db = lancedb.connect(self.uri)
        return self._db

    def table(self, name: str) -> Any | None:
        """The table, or None where there is none or it cannot be opened."""
        try:
            return self.db.open_table(name)
        except DAMAGE:
            return None

    def drop(self, name: str) -> None:
        """Remove a table, damaged or not. The caller holds `writing`."""
        try:
            self.db.drop_table(name)
        except DAMAGE:
            if "://" in self.uri:
                return
        folder = Path(self.uri) / f"{name}.lance"
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)

    def part(self, name: str) -> "Store":
        """The same database with another lock, for tables whose writers need not wait for others."""
        other = Store(self.uri, self._lock.with_name(f"{name}.lock"))
        other._root = self._root or self
        return other

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writers' lock.

        Raises:
            HandbookError: another process kept it for five minutes.
            DiskFull: there is no room.
        """
        import filelock

        with clear_disk_errors(self.uri):
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                with filelock.FileLock(self._lock, timeout=LOCK_SECONDS):
                    yield
            except filelock.Timeout as error:
                raise HandbookError(
                    f"Another process has been writing the search index for over {LOCK_SECONDS:.0f} s.",
                    f"Wait for it or end it; the lock is {self._lock}.",
                ) from error


@contextmanager
def clear_disk_errors(place: str) -> Iterator[None]:
    """Give 'no space' and 'not allowed' a remedy; lancedb hides errno in its messages."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        if number in FULL or any(f"(os error {full})" in str(error) for full in FULL):
            raise DiskFull(
                f"No room left for the search index in {place}.",
                "Free some space and try again; what could be searched before still can.",
            ) from error
        if number in (errno.EACCES, errno.EROFS) or "Permission denied" in str(error):
            raise HandbookError(
                f"The search index in {place} cannot be written.",
                "Make the folder writable or set another data folder.",
            ) from error
        raise
