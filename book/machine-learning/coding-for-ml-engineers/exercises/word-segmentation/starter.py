"""The cheapest way to cut a text into pieces of a vocabulary."""


def segment(text: str, costs: dict[str, int]) -> list[str] | None:
    raise NotImplementedError("the cheapest cost of every beginning of the text")
