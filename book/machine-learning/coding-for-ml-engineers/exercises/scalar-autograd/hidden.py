"""Hidden tests: the library on random graphs, paths without number, depth, second calls, powers, leaves."""

import random

import torch

from handbook.practice.checks import close, equal, inside


def compute(submission, program, numbers):
    """Runs a program of (operation, left, right) over a growing list of values; grads of all of them."""
    values = [submission.Value(number) for number in numbers]
    for operation, left, right in program:
        a, b = values[left], values[right]
        if operation == "+":
            values.append(a + b)
        elif operation == "-":
            values.append(a - b)
        elif operation == "*":
            values.append(a * b * 0.5)
        elif operation == "/":
            values.append(a / (b * b + 1))
        else:
            values.append(getattr(a, operation)())
    values[-1].backward()
    return [value.data for value in values], [value.grad for value in values]


def beside(program, numbers):
    values = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
    for operation, left, right in program:
        a, b = values[left], values[right]
        if operation in "+-*/":
            values.append({"+": a + b, "-": a - b, "*": a * b * 0.5, "/": a / (b * b + 1)}[operation])
        else:
            values.append(getattr(a, operation)())
        values[-1].retain_grad()
    values[-1].backward()
    return [v.item() for v in values], [0.0 if v.grad is None else v.grad.item() for v in values]


def test_parity_with_torch(submission):
    """Forty random graphs of 25 operations: numbers and gradients of every value equal torch's."""
    for seed in range(40):
        chance = random.Random(seed)
        numbers = [chance.uniform(-2, 2) for _ in range(3)]
        kinds = ("+", "-", "*", "/", "tanh", "relu", "tanh")
        program = [
            (chance.choice(kinds), chance.randrange(3 + i), chance.randrange(3 + i)) for i in range(25)
        ]
        data, grads = inside(submission, compute, program, numbers)
        expected_data, expected = beside(program, numbers)
        close(data, expected_data, f"numbers of graph {seed}", rtol=1e-9, peer="torch")
        close(grads, expected, f"gradients of graph {seed}", rtol=1e-7, atol=1e-10, peer="torch")


def doublings(submission, count):
    """x + x, and that plus itself, count times: 2 to the count paths."""
    x = submission.Value(1.0)
    y = x
    for _ in range(count):
        y = y + y
    y.backward()
    return x.grad


def test_paths_without_number(submission):
    """Forty doublings have 10 to the 12th paths and 40 operations."""
    equal(inside(submission, doublings, 40), 2.0**40, "gradient through 40 doublings")


def chain(submission, count):
    """A running sum of count terms."""
    x = submission.Value(2.0)
    total = x
    for _ in range(count):
        total = total + x * 0.5
    total.backward()
    return total.data, x.grad


def test_deep_graphs(submission):
    """20,000 additions in a row: no recursion limit."""
    close(inside(submission, chain, 20_000), (20_002.0, 10_001.0), "sum and gradient of a chain")


def again(submission):
    """Two calls on one result, then one on another that shares a and b."""
    a, b = submission.Value(3.0), submission.Value(2.0)
    c = a * b
    d = c * c
    d.backward()
    first = a.grad, b.grad, c.grad, d.grad
    d.backward()
    second = a.grad, b.grad, c.grad, d.grad
    (a + b).backward()
    return first, second, (a.grad, b.grad, c.grad)


def test_calls_add_up(submission):
    """A second backward adds the same once more; another result adds its own."""
    first, second, third = inside(submission, again)
    close(first, (24.0, 36.0, 12.0, 1.0), "after the first call")
    close(second, (48.0, 72.0, 24.0, 2.0), "after the second call")
    close(third, (49.0, 73.0, 24.0), "after the call on a + b")


def edges(submission):
    """Powers and relu at 0, and what is not a power."""
    at = []
    for make in (lambda a: a**0, lambda a: a**1, lambda a: a**2, lambda a: a.relu()):
        a = submission.Value(0.0)
        result = make(a)
        result.backward()
        at.append((float(result.data), float(a.grad)))
    refused = []
    for power in (submission.Value(2.0), "2", None):
        try:
            submission.Value(2.0) ** power
            refused.append("passed")
        except Exception as error:
            refused.append(type(error).__name__)
    return at, refused


def test_zero_and_powers(submission):
    """At 0: slopes of powers 0, 1 and 2 and of relu; a power that is no plain number raises TypeError."""
    at, refused = inside(submission, edges)
    close(at, [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.0, 0.0)], "numbers and slopes at 0")
    equal(refused, ["TypeError"] * 3, "powers that are a Value, a text and None")


def changed(submission):
    """A leaf's number changes after the result was computed."""
    a, b = submission.Value(2.0), submission.Value(5.0)
    c = a * b
    before, fresh = c.data, a.grad
    a.data = 100.0
    c.backward()
    return before, fresh, c.data, b.grad, (a * b).data


def test_results_keep_their_numbers(submission):
    """Changing a leaf changes later results, and neither finished ones nor their slopes."""
    close(inside(submission, changed), (10.0, 0.0, 10.0, 2.0, 500.0), "c, a.grad, c, b.grad, a new product")


def learn(submission):
    """Fits y = 2x - 1 by a line with tanh-free gradient descent."""
    w, b = submission.Value(0.0), submission.Value(0.0)
    loss = None
    for _ in range(200):
        w.grad = b.grad = 0.0
        loss = sum(((w * x + b - (2 * x - 1)) ** 2 for x in (-1.0, 0.0, 1.0, 2.0)), submission.Value(0.0)) / 4
        loss.backward()
        w.data -= 0.1 * w.grad
        b.data -= 0.1 * b.grad
    return w.data, b.data, loss.data


def test_it_trains(submission):
    """200 steps of gradient descent find the line 2x - 1."""
    close(inside(submission, learn), (2.0, -1.0, 0.0), "w, b and loss", rtol=1e-3, atol=1e-3)
