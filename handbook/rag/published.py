"""A Lance table of which readers see what has been published, and nothing in between.

Each commit to a Lance table is a version. Replacing a document takes two of them (out with the old, in with
the new), and a large change many; a reader that took the newest version could see half of it, and a writer
killed there would leave it so. So a tag, "live", says which version is read. A writer moves it when its work
is whole. What lies beyond it when the next writer comes is of one that died or had no room: that one begins
from the live version again.

The versions that were live are tags too, named for when. Of them a few stay, the older the fewer; going back
to one is a commit like any other.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from handbook.errors import HandbookError
from handbook.rag.store import DAMAGE, Store, clear_disk_errors

T = TypeVar("T")

LIVE = "live"
_AT = "at-"  # and microseconds since 1970
SLOTS = (1e-6, 60.0, 600.0, 3600.0, 8 * 3600.0, 3 * 86400.0)  # seconds; each divides the next
KEPT = 3  # slots of each size
MARGIN = timedelta(seconds=2)  # clocks, and the time that it takes to ask
_NEVER = timedelta(days=36500)


@dataclass(frozen=True, slots=True)
class Version:
    """What was live from `at` (UTC) on, until the next. live: whether it is what is read now."""

    number: int
    at: datetime
    live: bool


class Published:
    """A table with its live version.

    Threads may share one. Processes write in turn (`Store.writing`) and read whenever they like.

    Args:
        create: makes the empty table, with its indexes, in a database; called under the writers' lock.
    """

    def __init__(self, store: Store, name: str, create: Callable[[Any], Any]) -> None:
        self._store = store
        self.name = name
        self._create = create
        self._handle: Any = None
        self._seen = 0  # the version that the handle is at

    def read(self, ask: Callable[[Any], T], otherwise: T) -> T:
        """What `ask` makes of the table as it is live; `otherwise` where there is no table yet.

        A version that another process has cleaned away meanwhile is asked for anew.

        Raises:
            HandbookError: the table is there and cannot be read.
        """
        for last in (False, True):
            try:
                table = self._live()
                return otherwise if table is None else ask(table)
            except DAMAGE as error:
                self._handle = None
                if last:
                    raise damaged(self.name, error) from error
        raise AssertionError

    def _live(self) -> Any:
        table = self._handle
        if table is None:
            table = self._open()
            self._seen = 0
        if table is None:
            return None
        try:
            version = table.tags.get_version(LIVE)
        except DAMAGE as error:
            if _absent(error) and _unpublished(table):
                return None
            raise
        if version != self._seen:
            table.checkout(version)
            self._seen = version
        self._handle = table
        return table

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """The newest state, to be changed; published at the end of the block if all went well.

        Raises:
            DiskFull: no room; readers see what they saw before.
            HandbookError: another process has kept the lock for five minutes, or the table cannot be read.
        """
        with self._store.writing(), clear_disk_errors(self._store.uri):
            table = self._whole()
            begun = table.version
            try:
                yield table
                if table.version != begun:
                    self._publish(table)
            except BaseException:
                with suppress(*DAMAGE):
                    _back(table)  # the next writer does where this can't
                raise

    def _whole(self) -> Any:
        """The table at its live version, without what an earlier writer left unfinished."""
        try:
            table = self._open()
            if table is not None and not _unpublished(table):
                _back(table)
                return table
        except DAMAGE as error:
            if "No space left" in str(error):
                raise
            raise damaged(self.name, error) from error
        self._store.drop(self.name)  # what a maker that was killed left of it
        table = self._create(self._store.db)
        self._publish(table)
        return table

    def _publish(self, table: Any) -> None:
        version = table.version
        table.tags.create(f"{_AT}{time.time_ns() // 1000}", version)
        if LIVE in table.tags.list():
            table.tags.update(LIVE, version)
        else:
            table.tags.create(LIVE, version)

    def _open(self) -> Any:
        try:
            return self._store.db.open_table(self.name)
        except DAMAGE as error:
            if _absent(error):
                return None
            raise

    def versions(self) -> list[Version]:
        """What was live and can be again, the newest first."""
        return self.read(lambda table: _versions(table.tags.list()), [])

    def rollback(self, number: int) -> None:
        """Make what version `number` held live again, as a new version: nothing is lost by it.

        Raises HandbookError where there is no such version.
        """
        with self.writing() as table:
            tags = table.tags.list()
            if number not in [version.number for version in _versions(tags)]:
                raise HandbookError(
                    f"The corpus has no version {number}.", "`versions` lists those that it can go back to."
                )
            table.checkout(number)
            table.restore()

    def compact(self, table: Any) -> None:
        """Few files in place of many, and indexes up to date; then the versions go that `thinned` does not
        keep, with their files and with what writers left that had no room. To be called within `writing`."""
        optimise(table)
        age = self._tidied(table)
        table.optimize(cleanup_older_than=age, delete_unverified=True)

    def _tidied(self, table: Any) -> timedelta:
        """Let go of versions. Returns how old a file must be to be of none that stays."""
        tags = table.tags.list()
        live = tags[LIVE]["version"]
        found = sorted((int(name.removeprefix(_AT)), name) for name in tags if name.startswith(_AT))
        stays = thinned([at / 1e6 for at, _ in found])
        for (_, name), kept in zip(found, stays, strict=True):
            if not kept and tags[name]["version"] != live:
                table.tags.delete(name)
        least = min(tag["version"] for tag in table.tags.list().values())
        made = next(v["timestamp"] for v in table.list_versions() if v["version"] == least)
        age: timedelta = datetime.now(made.tzinfo) - made
        return max(age, timedelta()) + MARGIN

    def drop(self) -> None:
        """Remove the table with all its versions."""
        with self._store.writing(), clear_disk_errors(self._store.uri):
            self._handle = None
            self._store.drop(self.name)


def thinned(times: Sequence[float]) -> list[bool]:
    """Which of some versions stay, by when they were made (seconds, rising): the newest of each of the last
    three slots of time of each size in which there is any. So the last three stay whenever they were, and
    where writes are frequent there is always one that is between one and two slots old."""
    stays: set[int] = set()
    for size in SLOTS:
        newest = {int(at // size): which for which, at in enumerate(times)}
        stays.update(list(newest.values())[-KEPT:])
    return [which in stays for which in range(len(times))]


def optimise(table: Any) -> None:
    """Few files, and indexes up to date. Left to itself Lance would look for versions of over a week ago to
    remove, and fail over those that are kept."""
    table.optimize(cleanup_older_than=_NEVER)


def _versions(tags: dict[str, Any]) -> list[Version]:
    live = tags[LIVE]["version"]
    found = [
        Version(
            tag["version"],
            datetime.fromtimestamp(int(name.removeprefix(_AT)) / 1e6, UTC),
            tag["version"] == live,
        )
        for name, tag in tags.items()
        if name.startswith(_AT) and tag["version"] <= live
    ]
    return sorted(found, key=lambda version: -version.number)


def _back(table: Any) -> None:
    """Begin from the live version again, if there is more than it."""
    table.checkout_latest()
    live = table.tags.get_version(LIVE)
    if table.version != live:
        for name, tag in table.tags.list().items():
            if tag["version"] > live:
                table.tags.delete(name)
        table.checkout(live)
        table.restore()


def _unpublished(table: Any) -> bool:
    return LIVE not in table.tags.list()


def _absent(error: Exception) -> bool:
    """Whether there is no such table or tag, which is no damage."""
    return "not found" in str(error) or "does not exist" in str(error)


def damaged(name: str, error: Exception) -> HandbookError:
    return HandbookError(
        f"The search index {name} cannot be read ({str(error).partition(chr(10))[0][:200]}).",
        "Delete the corpus and ingest its documents again.",
    )
