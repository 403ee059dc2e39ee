# Fault: sets gradients where it should add, so a value used twice loses one use.
# Rejected by: test_values_used_several_times

from __future__ import annotations

import math


class Value:
    """A number that remembers its inputs, each with the slope of this number along it."""

    def __init__(self, data: float, inputs: tuple[tuple[Value, float], ...] = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.inputs = inputs

    def __add__(self, other: Value | float) -> Value:
        other = _value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Value | float) -> Value:
        other = _value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def __pow__(self, power: float) -> Value:
        if not isinstance(power, (int, float)):
            raise TypeError(f"Expected a plain number as power, got {type(power).__name__}.")
        return Value(self.data**power, ((self, power * self.data ** (power - 1) if power else 0.0),))

    def exp(self) -> Value:
        result = math.exp(self.data)
        return Value(result, ((self, result),))

    def log(self) -> Value:
        return Value(math.log(self.data), ((self, 1 / self.data),))

    def tanh(self) -> Value:
        result = math.tanh(self.data)
        return Value(result, ((self, 1 - result * result),))

    def relu(self) -> Value:
        return Value(max(self.data, 0.0), ((self, float(self.data > 0)),))

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    def __rsub__(self, other: float) -> Value:
        return -self + other

    def __truediv__(self, other: Value | float) -> Value:
        return self * _value(other) ** -1.0

    def __rtruediv__(self, other: float) -> Value:
        return self**-1.0 * other

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        """Adds to every grad below. One call's gradients are kept apart, so old ones are not passed on."""
        gradients = {self: 1.0}
        for node in reversed(self._order()):
            gradient = gradients[node]
            node.grad += gradient
            for source, slope in node.inputs:
                gradients[source] = slope * gradient

    def _order(self) -> list[Value]:
        """All values below, inputs before what uses them; a stack, since graphs are deeper than Python's."""
        order: list[Value] = []
        seen = {self}
        stack = [(self, iter(self.inputs))]
        while stack:
            node, rest = stack[-1]
            for source, _ in rest:
                if source not in seen:
                    seen.add(source)
                    stack.append((source, iter(source.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
        return order


def _value(number: Value | float) -> Value:
    return number if isinstance(number, Value) else Value(number)
