"""Visible tests: the worked examples, plain numbers on both sides, slopes by differences, diamonds."""

import math

from handbook.practice.checks import close, inside


def evaluate(submission, text, numbers, times=1):
    """Computes an expression over values a, b, c: its number, its grad and the grads of the leaves."""
    import math

    leaves = {name: submission.Value(number) for name, number in numbers.items()}
    result = eval(text, {"math": math}, dict(leaves))
    for _ in range(times):
        result.backward()
    return result.data, result.grad, {name: leaf.grad for name, leaf in leaves.items()}


def slopes(text, numbers):
    """Central differences of the same expression over plain numbers."""
    functions = {"math": math}
    for name in ("exp", "log", "tanh"):
        functions[name] = getattr(math, name)
    functions["relu"] = lambda x: max(x, 0.0)

    def at(name, step):
        return eval(text, functions, {**numbers, name: numbers[name] + step})

    return {name: (at(name, 1e-6) - at(name, -1e-6)) / 2e-6 for name in numbers}


def test_worked_examples(submission):
    """The statement's two graphs."""
    number, own, grads = inside(submission, evaluate, "a * b + a.exp()", {"a": 2.0, "b": -3.0})
    close(number, -6 + math.exp(2), "c")
    close(own, 1.0, "c.grad")
    close(grads, {"a": -3 + math.exp(2), "b": 2.0}, "gradients of a and b")
    number, own, grads = inside(submission, evaluate, "a * a + a", {"a": 3.0})
    close((number, own, grads["a"]), (12.0, 1.0, 7.0), "y, y.grad, x.grad")


def test_plain_numbers_on_both_sides(submission):
    """Every operation takes a plain number on the left and on the right."""
    for text in (
        "a + 2",
        "2 + a",
        "a - 2",
        "2 - a",
        "a * 2",
        "2 * a",
        "a / 2",
        "2 / a",
        "-a",
        "a ** 3",
        "a ** -0.5",
    ):
        number, _, grads = inside(submission, evaluate, text, {"a": 1.5})
        close(number, float(eval(text, {"a": 1.5})), text)
        close(grads, slopes(text, {"a": 1.5}), f"gradient of {text}", rtol=1e-5)


def test_two_values(submission):
    """Sums, differences, products and quotients of values pay both sides."""
    numbers = {"a": 1.5, "b": -0.5}
    for text in ("a + b", "a - b", "a * b", "a / b", "a * b - b / a + (a - b) ** 2"):
        number, _, grads = inside(submission, evaluate, text, numbers)
        close(number, eval(text, dict(numbers)), text)
        close(grads, slopes(text, numbers), f"gradients of {text}", rtol=1e-5)


def test_functions(submission):
    """exp, log, tanh and relu, also inside of one another."""
    for inner, number in (("exp", 0.7), ("log", 0.7), ("tanh", 0.7), ("relu", 0.7), ("relu", -0.7)):
        value, _, grads = inside(submission, evaluate, f"(a.{inner}() * a + 1).tanh()", {"a": number})
        plain = f"tanh({inner}(a) * a + 1)"
        functions = {"tanh": math.tanh, "exp": math.exp, "log": math.log, "relu": lambda x: max(x, 0.0)}
        close(value, eval(plain, functions, {"a": number}), plain)
        close(grads, slopes(plain, {"a": number}), f"gradient of {plain} at {number}", rtol=1e-5)


def diamond(submission):
    """d = b + b * a with b = a * a: a and b are each used several times."""
    a = submission.Value(3.0)
    b = a * a
    d = b + b * a
    d.backward()
    return d.data, a.grad, b.grad


def test_values_used_several_times(submission):
    """Gradients are sums over all paths, and a node passes its own on once it is complete."""
    close(inside(submission, diamond), (36.0, 33.0, 4.0), "d, a.grad, b.grad")
