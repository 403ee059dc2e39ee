"""Which documents of a corpus are new, changed, the same, or gone: by the hash of what they hold.

A file whose size and time of change are those of the last look is not read again, unless it was changed so
shortly before that look that a later change could bear the same time (git calls these entries racily clean).
Times that lie say nothing: what is read is compared by hash alone.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from handbook.rag.formats.faults import Unreadable
from handbook.rag.ingest import read_file
from handbook.rag.walk import File

RACY = 2_000_000_000  # nanoseconds; the coarsest clock of a file system in use (FAT) ticks every two seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """A document as it was when it was last looked at. digest: SHA-256 of its bytes; times in nanoseconds."""

    digest: str
    size: int = -1
    modified: int = 0
    looked: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """Documents by what has to be done: sources, each list in order. faults: those that can't be read now,
    with the reason; what is indexed of them stays. seen: what to remember of all that could be read.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def work(self) -> tuple[str, ...]:
        """What has to be parsed."""
        return (*self.new, *self.changed)

    def __str__(self) -> str:
        return (
            f"{len(self.new):,} new, {len(self.changed):,} changed, {len(self.same):,} the same, "
            f"{len(self.gone):,} gone" + (f", {len(self.faults):,} can't be read" if self.faults else "")
        )


def changes(
    files: Iterable[File],
    known: Mapping[str, Seen],
    read: Callable[[str], bytes] = read_file,
    now: Callable[[], int] = time.time_ns,
) -> Changes:
    """Compare what is there with what was seen.

    Args:
        files: all that is there now; of what is missing it is concluded that it is gone.
        known: what was seen, by source; what is left of another run that was cut off does no harm.
        read: gives the bytes of a file.
    """
    new: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    faults: dict[str, str] = {}
    seen: dict[str, Seen] = {}
    present = set()
    for file in files:
        present.add(file.path)
        before = known.get(file.path)
        if before and _untouched(file, before):
            seen[file.path] = before
            same.append(file.path)
            continue
        looked = now()  # before reading: what is written meanwhile is found at the next look
        try:
            digest = hashlib.sha256(read(file.path)).hexdigest()
        except Unreadable as error:
            faults[file.path] = str(error)
            continue
        seen[file.path] = Seen(digest, file.size, file.modified, looked)
        (new if before is None else same if before.digest == digest else changed).append(file.path)
    gone = tuple(source for source in known if source not in present)
    return Changes(tuple(new), tuple(changed), tuple(same), gone, faults, seen)


def _untouched(file: File, before: Seen) -> bool:
    return (
        file.size == before.size and file.modified == before.modified and file.modified + RACY < before.looked
    )
