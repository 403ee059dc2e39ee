"""Quantiles of a stream with a guaranteed rank error, in little memory, mergeable."""


class Quantiles:
    def __init__(self, eps: float) -> None:
        self.eps, self.count = eps, 0

    def add(self, value: float) -> None:
        raise NotImplementedError("into the lowest buffer; compact what is full")

    def merge(self, other: "Quantiles") -> None:
        raise NotImplementedError("level by level, then compact")

    def rank(self, value: float) -> float:
        raise NotImplementedError("weights of what is at most value")

    def quantile(self, q: float) -> float:
        raise NotImplementedError("the first value whose running weight is enough")

    def held(self) -> int:
        raise NotImplementedError("numbers stored")
