"""What can go wrong, as types. Exceptions carry information; they print nothing and decide nothing.

HandbookError                 what happened, and the remedy
|-- SettingsError             a setting that cannot be read or is unknown
|-- ModelFileError            a weight file that is missing, truncated, altered, unsafe or unknown
|   `-- AdapterError          an adapter that can't be used, or not with this model
|-- ModelUnavailable          a model that is not on this machine and could not be brought here
|-- TextUnavailable           a text to train on that is not on this machine, or can't be used
|-- DataUnavailable           a set to train on that is not on this machine, or is another one
|-- DataError                 records that can't be trained on, each fault with its line
|-- CheckpointError           a checkpoint that can't be read, or that belongs to another run
|-- Diverged                  a loss or gradient that is no finite number; the step was not taken
|-- BookError                 faults in the book's own files, all of them at once
|-- DatabaseError             a state database that cannot be opened
|   `-- NewerDatabase         ... because a newer handbook wrote it
|-- CorpusError               a corpus that is not there, that is busy, or that this embedder can't ask
|-- Unreadable                a document of which nothing can be read
|-- Refused                   a URL that is not fetched: not of the web, or of an address that is not public
|-- NotFetched                a page that could not be had
|-- ChatError                 a chat model that did not answer
|-- PlanError                 a study plan, or an answer to the diagnostic, that can't be made or read
|-- IsolationError            the judge can't isolate submissions as the settings want it
|-- DiskFull                  no room left while writing; what stood before is untouched
`-- PortBusy                  another program listens on the port
"""


class HandbookError(Exception):
    """Something the person can act on.

    Args:
        what: one sentence: what was expected, what came.
        remedy: one sentence: what to do next. Empty when there is nothing to do.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()


class SettingsError(HandbookError):
    pass


class ModelFileError(HandbookError):
    """`faults` lists each thing that is wrong, where more than one can be."""

    def __init__(self, what: str, remedy: str = "", faults: tuple[str, ...] = ()) -> None:
        super().__init__(what, remedy)
        self.faults = faults


class AdapterError(ModelFileError):
    pass


class ModelUnavailable(HandbookError):
    pass


class TextUnavailable(HandbookError):
    pass


class DataUnavailable(HandbookError):
    pass


class DataError(HandbookError):
    """`faults` lists the first ones, `count` says how many there are in all."""

    def __init__(self, what: str, remedy: str = "", faults: tuple[str, ...] = (), count: int = 0) -> None:
        super().__init__(what, remedy)
        self.faults = faults
        self.count = count or len(faults)


class CheckpointError(HandbookError):
    pass


class Diverged(HandbookError):
    """Training came to no number at `step` (from 1), in micro-batch `micro` of `micros` (from 1; None where
    only all together are too large)."""

    def __init__(self, step: int, micro: int | None, micros: int, what: str) -> None:
        where = "all micro-batches together" if micro is None else f"micro-batch {micro} of {micros}"
        super().__init__(
            f"Step {step}, {where}: {what}; expected a finite number.",
            "The step was not taken, and the last checkpoint stands. Look at the data of that batch; else a "
            "lower rate, a longer warm-up or a smaller clip, or another seed.",
        )
        self.step, self.micro, self.micros = step, micro, micros


class BookError(HandbookError):
    """Raised where a book with faults cannot be used; `faults` lists each one with file and line."""

    def __init__(self, what: str, remedy: str = "", faults: tuple[str, ...] = ()) -> None:
        super().__init__(what, remedy)
        self.faults = faults


class DatabaseError(HandbookError):
    pass


class NewerDatabase(DatabaseError):
    pass


class CorpusError(HandbookError):
    pass


class Unreadable(HandbookError):
    """Encrypted, scanned, cut off, too large, or no document at all."""


class Refused(HandbookError):
    pass


class NotFetched(HandbookError):
    """No answer, an error, too large, too slow."""


class ChatError(HandbookError):
    pass


class PlanError(HandbookError):
    pass


class IsolationError(HandbookError):
    pass


class DiskFull(HandbookError):
    pass


class PortBusy(HandbookError):
    pass
