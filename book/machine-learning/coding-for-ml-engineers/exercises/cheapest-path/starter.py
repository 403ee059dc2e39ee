"""The quickest route between two services."""

from collections.abc import Hashable


def quickest_route(
    links: dict[Hashable, list[tuple[Hashable, int]]],
    start: Hashable,
    goal: Hashable,
) -> tuple[int, list[Hashable]] | None:
    raise NotImplementedError("a heap of what can be reached, the quickest first")
