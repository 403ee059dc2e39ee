"""Public files to train on, pinned by SHA-256, because numbers measured on another file mean something else.

A file is where a setting says, or in the data folder, or on the network, once. Nothing here imports torch.
"""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handbook.errors import DataUnavailable, TextUnavailable
from handbook.settings import Settings
from handbook.train.whole import written_whole

TIMEOUT = 15.0  # seconds of silence until the network counts as out of reach

Open = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One public file. place: below the data folder; size: in bytes; otherwise: what to do where there is no
    network, with {home} for where the file may lie."""

    what: str
    place: str
    url: str
    sha256: str
    size: int
    otherwise: str
    missing: type[TextUnavailable | DataUnavailable] = DataUnavailable

    def home(self, settings: Settings) -> Path:
        """Where it lies in the data folder, whether it is there or not."""
        return settings.data / self.place

    def check(self, path: Path, settings: Settings) -> Path:
        """The path, when it holds this file and no other. Raises what `missing` says."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise self.missing(
                f"{path} cannot be read: {error.strerror}.", "Check its permissions."
            ) from error
        got = hashlib.sha256(content).hexdigest()
        if got != self.sha256:
            raise self.missing(
                f"{path} is not {self.what}: expected SHA-256 {self.sha256}, got {got}.",
                self.by_hand(settings),
            )
        return path

    def download(self, settings: Settings, open_url: Open | None = None) -> Path:
        """Bring it into the data folder, in one step: the file is whole or not there.

        Raises what `missing` says where nothing is reachable or something else came, DiskFull where there is
        no room.
        """
        try:
            content = (open_url or self._fetch)(self.url)
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            raise self.missing(
                f"{self.what} could not be downloaded from {self.url} ({reason}).", self.by_hand(settings)
            ) from error
        got = hashlib.sha256(content).hexdigest()
        if got != self.sha256:
            raise self.missing(
                f"{self.url} gave {len(content)} bytes with SHA-256 {got}; expected {self.size} with "
                f"{self.sha256}.",
                self.by_hand(settings),
            )
        target = self.home(settings)
        with written_whole(target) as whole:
            whole.write(content)
        return target

    def by_hand(self, settings: Settings) -> str:
        """What to do without a network."""
        return self.otherwise.format(url=self.url, sha256=self.sha256, home=self.home(settings))

    def _fetch(self, url: str) -> bytes:
        with urllib.request.urlopen(
            url, timeout=TIMEOUT
        ) as answer:  # the pinned https address, nobody's input
            return bytes(answer.read(2 * self.size))
