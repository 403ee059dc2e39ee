"""A tiny autograd engine over single numbers."""

from __future__ import annotations


class Value:
    """A number that remembers how it was computed."""

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.0

    def __add__(self, other: Value | float) -> Value:
        raise NotImplementedError("a result that remembers both inputs and their slopes")

    def backward(self) -> None:
        raise NotImplementedError("inputs after all that use them")
