"""Windows of neighbouring values that add up to a total."""


def count_windows(changes: list[int], total: int) -> int:
    raise NotImplementedError("running sums, and which of them were seen")
