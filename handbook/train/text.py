"""Where the training text comes from: a file that the person names, the data folder, or the network, once.

Tiny Shakespeare is about a million characters of Shakespeare's plays, put together by Karpathy for char-rnn
(2015). It is pinned by SHA-256, because numbers measured on another text mean something else. Nothing here
imports torch.
"""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from handbook.errors import TextUnavailable
from handbook.settings import Settings
from handbook.train.whole import written_whole

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SIZE = 1_115_394  # bytes, and characters: it is ASCII
URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
    "data/tinyshakespeare/input.txt"
)
TIMEOUT = 15.0  # seconds of silence until the network counts as out of reach

Open = Callable[[str], bytes]


def home(settings: Settings) -> Path:
    """Where the text lies in the data folder, whether it is there or not."""
    return settings.data / "texts" / "tinyshakespeare.txt"


def find(settings: Settings, file: Path | None = None) -> Path | None:
    """The text to train on: `file`, else the setting `text`, else the data folder's; None where it would have
    to be downloaded.

    Raises TextUnavailable where a file was named and isn't there.
    """
    named = file or settings.text
    if named is None:
        return home(settings) if home(settings).is_file() else None
    if not named.is_file():
        raise TextUnavailable(f"{named} is not a file.", "Name a text file, or none, for Tiny Shakespeare.")
    return named


def pinned(settings: Settings) -> Path:
    """Tiny Shakespeare on this machine, its hash checked. Downloads nothing.

    Raises TextUnavailable where it isn't here, or where the setting names another text.
    """
    path = find(settings)
    if path is None:
        raise TextUnavailable("Tiny Shakespeare is not on this machine.", _by_hand(settings))
    got = hashlib.sha256(_bytes(path)).hexdigest()
    if got != SHA256:
        raise TextUnavailable(
            f"{path} is not Tiny Shakespeare: expected SHA-256 {SHA256}, got {got}.", _by_hand(settings)
        )
    return path


def bring(settings: Settings, file: Path | None = None, open_url: Open | None = None) -> Path:
    """As `find`, and downloads what is missing, in one step: the file is whole or not there.

    Raises TextUnavailable where nothing is reachable or something else came, DiskFull where there is no room.
    """
    found = find(settings, file)
    if found is not None:
        return found if file or settings.text else pinned(settings)
    target = home(settings)
    try:
        content = (open_url or _download)(URL)
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise TextUnavailable(
            f"Tiny Shakespeare could not be downloaded from {URL} ({reason}).", _by_hand(settings)
        ) from error
    got = hashlib.sha256(content).hexdigest()
    if got != SHA256:
        raise TextUnavailable(
            f"{URL} gave {len(content)} bytes with SHA-256 {got}; expected {SIZE} with {SHA256}.",
            _by_hand(settings),
        )
    with written_whole(target) as whole:
        whole.write(content)
    return target


def read(path: Path) -> str:
    """The text as it is, line ends included. Raises TextUnavailable where it is no UTF-8 text."""
    try:
        return _bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextUnavailable(f"{path} is not UTF-8 text: {error}.", "Name a plain text file.") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TextUnavailable(
            f"{path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error


def _download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # the pinned https address, nobody's input
        return bytes(answer.read(2 * SIZE))


def _by_hand(settings: Settings) -> str:
    return (
        f"`handbook train tiny` downloads it. Without a network: put {URL} (SHA-256 {SHA256}) at "
        f"{home(settings)}, or set HANDBOOK_TEXT to where it is."
    )
