"""The pair of sorted scores whose sum is nearest to a target."""


def nearest_pair(scores: list[int], target: int) -> tuple[int, int]:
    raise NotImplementedError("two indices that walk towards each other")
