"""Numbers out of a model's metadata, with every fault noted instead of the first one raised."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from handbook.errors import ModelFileError

REQUIRED = object()
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 60
LARGE = 1 << 53  # beyond it a float is no exact integer, and no configuration means it


class Values:
    """A mapping from a file, read key by key.

    What is missing or null takes the default. What can't be is None, and a sentence in `faults`. `prefix`
    stands before every key.
    """

    def __init__(self, mapping: Mapping[str, Any], prefix: str = "", faults: list[str] | None = None) -> None:
        self.mapping, self.prefix = mapping, prefix
        self.faults: list[str] = [] if faults is None else faults

    def raw(self, key: str, default: object = None) -> Any:
        got = self.mapping.get(self.prefix + key)
        return default if got is None else got

    def whole(self, key: str, default: object = REQUIRED, least: int | None = None) -> Any:
        """An integer; where `least` is given, not less than that."""
        return self._number(key, default, least, int)

    def real(self, key: str, default: object = REQUIRED, least: int | None = None) -> Any:
        """A number of a size that calculations stand; where `least` is given, not less than that."""
        return self._number(key, default, least, int, float)

    def _number(self, key: str, default: object, least: int | None, *kinds: type) -> Any:
        got = self.raw(key, default)
        if got is default and default is not REQUIRED:
            return got
        if _is(got, *kinds) and (least is None or got >= least):
            return kinds[-1](got)
        return self._fault(key, got, "a number" if least is None else f"a number from {least} on")

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false; a word that sounds like one is none."""
        got = self.raw(key, default)
        if not isinstance(got, bool):
            self._fault(key, got, "true or false")
        return got is True

    def numbers(self, key: str) -> Sequence[int]:
        """A list of integers, empty where there is none."""
        return self._list(key, self.raw(key, []), int) or ()

    def reals(self, key: str) -> tuple[float, ...] | None:
        """A list of numbers that has to be there."""
        return self._list(key, self.raw(key), int, float)

    def _list(self, key: str, got: Any, *kinds: type) -> tuple[Any, ...] | None:
        if isinstance(got, list) and all(_is(item, *kinds) for item in got):
            return tuple(got)
        self._fault(key, got, "a list of numbers")
        return None

    def inner(self, *keys: str) -> "Values":
        """The mapping under the first of `keys` that is there and not empty; its faults are noted here."""
        for key in keys:
            got = self.raw(key, {})
            if not isinstance(got, Mapping):
                self._fault(key, got, "a table")
            elif got:
                return Values(got, faults=self.faults)
        return Values({}, faults=self.faults)

    def unsupported(self, got: str, known: str) -> None:
        self.faults.append(f"it has {got}, and this decoder computes {known}")

    def _fault(self, key: str, got: object, wanted: str) -> None:
        got = None if got is REQUIRED else got
        self.faults.append(f"it should give {self.prefix}{key} as {wanted}, got {brief(got)}")


def brief(got: object) -> str:
    """How a value from a file is shown, whatever it is: some 60 characters of it."""
    try:
        return SHORT.repr(got)
    except ValueError:  # an integer of thousands of digits
        return "a number without end"


def _is(got: object, *kinds: type) -> bool:
    return isinstance(got, kinds) and not isinstance(got, bool) and abs(got) < LARGE  # type: ignore[arg-type]


def raise_faults(faults: Sequence[str]) -> None:
    """Raises ModelFileError with all of them, where there are any."""
    if faults:  # one of them may be met on two ways
        raise ModelFileError(
            f"The model's configuration cannot be: {'; '.join(dict.fromkeys(faults))}.",
            "Fetch the model again, or choose one that this decoder computes.",
            tuple(dict.fromkeys(faults)),
        )
