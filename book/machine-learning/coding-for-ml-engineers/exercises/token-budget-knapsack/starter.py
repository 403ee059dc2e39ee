"""The passages that are worth most within a budget of tokens."""


def choose_passages(tokens: list[int], values: list[int], budget: int) -> tuple[int, list[int]]:
    raise NotImplementedError("the best value for every budget, passage by passage")
