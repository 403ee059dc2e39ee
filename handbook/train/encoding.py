"""A whole set of records, encoded: what is too long is truncated, dropped or refused, counted and told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from handbook.errors import ChatError, DataError
from handbook.train.conversations import Conversation, Pair
from handbook.train.examples import Example, encode_conversation, encode_pair, shortened, shortened_pair
from handbook.train.lines import Faults, listed

if TYPE_CHECKING:
    from handbook.model.load import Loaded

Overlong = Literal["truncate", "drop", "raise"]
Coded = TypeVar("Coded", Example, tuple[Example, Example])
Records = Sequence[Conversation | Pair]


@dataclass(frozen=True, slots=True)
class Encoded(Generic[Coded]):
    """What became of a set. kept: the index of the record of each example. truncated, dropped: indices of
    those that were too long."""

    examples: tuple[Coded, ...]
    kept: tuple[int, ...]
    truncated: tuple[int, ...]
    dropped: tuple[int, ...]

    def __str__(self) -> str:
        told = f"{len(self.examples)} examples"
        told += f", {len(self.truncated)} of them truncated" if self.truncated else ""
        return told + (f"; {len(self.dropped)} dropped as too long" if self.dropped else "")


def encode_conversations(
    loaded: "Loaded", records: Sequence[Conversation], most: int, overlong: Overlong = "truncate"
) -> Encoded[Example]:
    """All of them, each of at most `most` tokens.

    overlong: what becomes of longer ones. "truncate" keeps the first tokens, and drops a record where none of
    these counts. Raises DataError with all faults by line: of the template and, with "raise", what is too
    long.
    """
    return _encode(records, lambda one: encode_conversation(loaded, one), len, shortened, most, overlong)


def encode_pairs(
    loaded: "Loaded", records: Sequence[Pair], most: int, overlong: Overlong = "truncate"
) -> Encoded[tuple[Example, Example]]:
    """As `encode_conversations`; `most` holds for each of the two."""
    return _encode(records, lambda pair: encode_pair(loaded, pair), _longer, shortened_pair, most, overlong)


def _longer(pair: tuple[Example, Example]) -> int:
    return max(map(len, pair))


def _tried(shorten: Callable[[Coded, int], Coded], example: Coded, most: int) -> Coded | None:
    try:
        return shorten(example, most)
    except DataError:
        return None


def _encode(
    records: Records,
    encode: Callable[..., Coded],
    length: Callable[[Coded], int],
    shorten: Callable[[Coded, int], Coded],
    most: int,
    overlong: Overlong,
) -> Encoded[Coded]:
    faults, examples = Faults(), list[Coded]()
    kept, truncated, dropped = list[int](), list[int](), list[int]()
    for index, record in enumerate(records):
        place = record.line or index + 1
        try:
            example = encode(record)
        except (ChatError, DataError) as error:
            faults.add(place, str(error))
            continue
        if length(example) > most:
            if overlong == "raise":
                faults.add(place, f"{length(example)} tokens, at most {most} are wanted")
                continue
            cut = _tried(shorten, example, most) if overlong == "truncate" else None
            if cut is None:
                dropped.append(index)
                continue
            truncated.append(index)
            example = cut
        examples.append(example)
        kept.append(index)
    if faults.count:
        raise DataError(
            listed(f"{faults.count} of {len(records)} records can't be trained on:", faults.kept),
            "Correct or remove them.",
            tuple(faults.kept),
            faults.count,
        )
    return Encoded(tuple(examples), tuple(kept), tuple(truncated), tuple(dropped))
