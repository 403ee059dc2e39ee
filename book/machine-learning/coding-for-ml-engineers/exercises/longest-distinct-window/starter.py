"""The longest stretch of tokens in which none occurs twice."""


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    raise NotImplementedError("grow to the right, begin anew behind a repetition")
