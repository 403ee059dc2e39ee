"""What a run learns from: a file read, cleaned, encoded and parted, with a count of all that was left out."""

from collections import Counter
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, Generic, TypeVar

from handbook.errors import DataError
from handbook.model.load import Loaded
from handbook.train.cleaning import (
    WORD,
    Cleaned,
    decontaminated,
    text_of,
    without_duplicates,
    without_near_duplicates,
)
from handbook.train.conversations import Conversation, Pair
from handbook.train.encoding import Encoded, encode_conversations, encode_pairs
from handbook.train.examples import Example
from handbook.train.formats import read_conversations, read_pairs
from handbook.train.lengths import Lengths, lengths_of
from handbook.train.preference import ExamplePair
from handbook.train.settings import Supervised

T = TypeVar("T", bound=Sized)
Any_ = TypeVar("Any_")
MOST_HELD_OUT = 256  # a look at more would cost more than it tells


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that was left out, or cut. line: where it stood; why: in words."""

    what: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Material(Generic[T]):
    """Encoded examples or pairs, and what became of the others; fingerprint: of the files."""

    train: tuple[T, ...]
    held_out: tuple[T, ...]
    lengths: Lengths
    gone: tuple[Gone, ...] = ()
    fingerprint: str = ""

    @property
    def removed(self) -> dict[str, int]:
        """How many records were left out or cut, by reason."""
        return dict(Counter(each.what for each in self.gone))

    def with_items(self, train: tuple[T, ...], held_out: tuple[T, ...]) -> "Material[T]":
        """The same with others in place of its items."""
        return replace(self, train=train, held_out=held_out)


def examples_of(loaded: Loaded, settings: Supervised) -> Material[Example]:
    """Conversations as examples. Raises DataError with all faults by line."""

    def read(path: Path) -> tuple[Conversation, ...]:
        return read_conversations(path, settings.form or None)

    def encode(records: Sequence[Conversation]) -> Encoded[Example]:
        return encode_conversations(loaded, records, settings.longest, settings.long)

    return _material(settings, read, encode, lambda example: example)


def pairs_of(loaded: Loaded, settings: Supervised) -> Material[ExamplePair]:
    """Pairs of answers. Raises as `examples_of`."""

    def read(path: Path) -> tuple[Pair, ...]:
        return read_pairs(path, settings.form or None)

    def encode(records: Sequence[Pair]) -> Encoded[tuple[Example, Example]]:
        return encode_pairs(loaded, records, settings.longest, settings.long)

    return _material(settings, read, encode, lambda both: ExamplePair(*both))


def _material(
    settings: Supervised,
    read: Callable[[Path], tuple[Any, ...]],
    encode: Callable[[Sequence[Any]], Encoded[Any]],
    item_of: Callable[[Any], T],
) -> Material[T]:
    """Read, clean, encode, part. The share that is held out hangs on the seed alone, and on no method."""
    gone: list[Gone] = []
    records = read(Path(settings.data).expanduser())
    tested = read(Path(settings.test).expanduser()) if settings.test else ()
    records = _clean(settings, records, tested, read, gone)[: settings.limit]
    train = tuple(map(item_of, _encoded(encode, records, gone)))
    if tested:
        held_out = tuple(map(item_of, _encoded(encode, tested, gone)))
    else:
        train, held_out = parted(train, settings.held_out, settings.seed)
    if not train:
        raise DataError(
            f"Nothing of {settings.data} is left to train on.", "Allow longer examples, or hold less out."
        )
    documents = [document for item in (*train, *held_out) for document in documents_of(item)]
    lengths = lengths_of(documents, settings.longest)
    return Material(train, held_out, lengths, tuple(gone), fingerprint(settings))


def _clean(
    settings: Supervised,
    records: tuple[Any, ...],
    tested: tuple[Any, ...],
    read: Callable[[Path], tuple[Any, ...]],
    gone: list[Gone],
) -> tuple[Any, ...]:
    """Without what is there twice, and without what is in a set that is measured on."""
    cleaners: list[tuple[str, Callable[[Sequence[Any]], Cleaned[Any]]]] = []
    if settings.dedupe != "none":
        cleaners.append(("duplicates", without_duplicates))
    if settings.dedupe == "near":
        cleaners.append(("near duplicates", without_near_duplicates))
    texts = [text_of(record) for record in tested]
    if settings.against:
        texts += _texts(Path(settings.against).expanduser(), read)
    if texts:
        cleaners.append(("shared with a test set", lambda records: decontaminated(records, texts)))
    for what, clean in cleaners:
        cleaned = clean(records)
        gone += [Gone(what, getattr(records[each.index], "line", 0), each.why) for each in cleaned.removed]
        records = cleaned.records
    return records


def _texts(path: Path, read: Callable[[Path], tuple[Any, ...]]) -> list[str]:
    """The texts of a test set: records as the data has them, or in a .txt file a line each."""
    if path.suffix != ".txt":
        return [text_of(record) for record in read(path)]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}.", "Give a text file, or records.") from error
    return [line for line in lines if WORD.search(line.casefold())]


def _encoded(
    encode: Callable[[Sequence[Any]], Encoded[Any]], records: Sequence[Any], gone: list[Gone]
) -> tuple[Any, ...]:
    encoded = encode(records)
    for what, indices in (("truncated", encoded.truncated), ("too long, dropped", encoded.dropped)):
        gone += [Gone(what, getattr(records[index], "line", 0), what) for index in indices]
    return encoded.examples


def parted(items: Sequence[Any_], share: float, seed: int) -> tuple[tuple[Any_, ...], tuple[Any_, ...]]:
    """What is trained on and what is held out: a share of the items drawn by seed, one at least where there
    is more than one, at most MOST_HELD_OUT."""
    count = min(max(round(share * len(items)), 1 if share else 0), MOST_HELD_OUT, len(items) - 1)
    chosen = set(Random(f"{seed} held out").sample(range(len(items)), max(count, 0)))
    train = tuple(item for index, item in enumerate(items) if index not in chosen)
    return train, tuple(item for index, item in enumerate(items) if index in chosen)


def documents_of(item: Any) -> tuple[Example, ...]:
    """The texts of an item: one, or the two answers of a pair."""
    return (item,) if isinstance(item, Example) else (item.chosen, item.rejected)


def fingerprint(settings: Supervised) -> str:
    """Of the files' contents: another file under the same name is another run."""
    found = sha256()
    for name in (settings.data, settings.test, settings.against):
        with Path(name).expanduser().open("rb") if name else BytesIO() as file:
            found.update(file_digest(file, "sha256").digest())
    return found.hexdigest()
