"""Chunks of a text, as places in it."""

from collections.abc import Callable

SEPARATORS = ("\n\n", "\n", ". ", " ")  # from best to worst; at last, between any two characters


def split(text: str, limit: int, count: Callable[[str], int] = len) -> list[tuple[int, int]]:
    raise NotImplementedError("cut where it is best, join what fits, say where it stands")
