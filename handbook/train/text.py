"""Where the training text comes from: a file that the person names, the data folder, or the network, once.

Tiny Shakespeare is about a million characters of Shakespeare's plays, put together by Karpathy for char-rnn
(2015). Nothing here imports torch.
"""

from pathlib import Path

from handbook.errors import TextUnavailable
from handbook.settings import Settings
from handbook.train.pinned import Open, Pinned

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SIZE = 1_115_394  # bytes, and characters: it is ASCII
URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
    "data/tinyshakespeare/input.txt"
)
SHAKESPEARE = Pinned(
    what="Tiny Shakespeare",
    place="texts/tinyshakespeare.txt",
    url=URL,
    sha256=SHA256,
    size=SIZE,
    missing=TextUnavailable,
    otherwise="`handbook train tiny` downloads it. Without a network: put {url} (SHA-256 {sha256}) at "
    "{home}, or set HANDBOOK_TEXT to where it is.",
)
home = SHAKESPEARE.home


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
        raise TextUnavailable("Tiny Shakespeare is not on this machine.", SHAKESPEARE.by_hand(settings))
    return SHAKESPEARE.check(path, settings)


def bring(settings: Settings, file: Path | None = None, open_url: Open | None = None) -> Path:
    """As `find`, and downloads what is missing, in one step: the file is whole or not there.

    Raises TextUnavailable where nothing is reachable or something else came, DiskFull where there is no room.
    """
    found = find(settings, file)
    if found is not None:
        return found if file or settings.text else pinned(settings)
    return SHAKESPEARE.download(settings, open_url)


def read(path: Path) -> str:
    """The text as it is, line ends included. Raises TextUnavailable where it is no UTF-8 text."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise TextUnavailable(
            f"{path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise TextUnavailable(f"{path} is not UTF-8 text: {error}.", "Name a plain text file.") from error
