"""The shortest window of a document that holds every word of a query."""


def covering_window(words: list[str], needed: list[str]) -> tuple[int, int] | None:
    raise NotImplementedError("grow to the right, shrink from the left")
