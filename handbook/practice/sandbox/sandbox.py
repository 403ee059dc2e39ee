"""The seam: a sandbox starts cells. Three stand behind it: `worker`, `bubblewrap`, `process`.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

from handbook.practice.sandbox.cell import Cell
from handbook.practice.sandbox.limits import Limits
from handbook.practice.verdicts import Isolation


class Sandbox(abc.ABC):
    """Starts cells, from any thread. isolation: what holds them, and what does not."""

    isolation: Isolation

    @abc.abstractmethod
    def start(
        self,
        main: str,
        channel_fds: Sequence[int],
        limits: Limits,
        files: Mapping[str, bytes] | None = None,
        trusted: bool = False,
    ) -> Cell:
        """Start a cell that runs `main` ("module:function", of PRELOADED): `main(*descriptors)`.

        channel_fds: connected stream sockets, inherited by the cell; the caller closes its copies of them
        afterwards. files: by name, put into the cell's folder, which is its working directory, its HOME and
        its TMPDIR, and the only place that it may write to. trusted: for the book's own code, which may
        import everything that this process can; of the layers only limits and seccomp hold.
        The thread that starts a cell has to outlive it: with the thread, or the process, cells end.
        Raises OSError where no cell can be started.
        """

    def close(self) -> None:  # noqa: B027
        """End every cell and what stands behind them."""
