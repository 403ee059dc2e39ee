"""Visible tests: the worked example, the ends of both methods, a factor of 1, what is refused."""

import math

import torch

TRAINED = [10 ** (-i / 2) for i in range(8)]  # D = 16, theta = 10,000
EXAMPLE = [1.0, 0.316228, 0.1, 0.025694, 0.00625, 0.00138346, 0.00025, 0.0000790569]


def close(got, expected, what, relative=1e-4):
    """Numbers of very different sizes: each may be off by a share of itself."""
    got, expected = torch.as_tensor(got).double(), torch.as_tensor(expected).double()
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    off = ((got - expected).abs() / expected).max().item()
    say = [[f"{number:.6g}" for number in values.flatten().tolist()] for values in (expected, got)]
    assert off < relative, f"{what}: expected {', '.join(say[0])}, got {', '.join(say[1])}"


def new_base(submission, *args):
    function = getattr(submission, "ntk_base", None)
    assert function, "expected a function ntk_base beside yarn, got none"
    return function(*args)


def refused(what, function, *args, **options):
    try:
        function(*args, **options)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what}: expected ValueError, got a result")


def test_base_of_the_example(submission):
    close(new_base(submission, 16, 10000.0, 4.0), 48760.5, "ntk_base(16, 10000, 4)")


def test_base_slows_the_slowest_pair_by_the_factor(submission):
    for dim, theta, factor in ((64, 10000.0, 2.0), (128, 500000.0, 8.0), (4, 100.0, 3.0)):
        base = new_base(submission, dim, theta, factor)
        slowest = (dim - 2) / dim
        close(
            theta**slowest * factor,
            base**slowest,
            f"D = {dim}, s = {factor:g}: wavelength of the slowest pair",
        )


def test_worked_example(submission):
    frequencies, attention = submission.yarn(16, 10000.0, 4.0, 4096)
    assert isinstance(frequencies, torch.Tensor), (
        f"frequencies: expected a tensor, got {type(frequencies).__name__}"
    )
    assert frequencies.dtype == torch.float32, f"frequencies: expected float32, got {frequencies.dtype}"
    close(frequencies, EXAMPLE, "frequencies of the example")
    close(attention, 1 + math.log(4) / 10, "attention of the example")


def test_factor_of_one_changes_nothing(submission):
    close(new_base(submission, 16, 10000.0, 1.0), 10000.0, "ntk_base with s = 1")
    frequencies, attention = submission.yarn(16, 10000.0, 1.0, 4096)
    close(frequencies, TRAINED, "frequencies with s = 1")
    close(attention, 1.0, "attention with s = 1")


def test_ends_are_kept_and_squeezed(submission):
    """SmolLM2-135M's sizes: the first pair stays, the last turns s times slower."""
    frequencies, _ = submission.yarn(64, 100000.0, 8.0, 8192)
    close(frequencies[0], 1.0, "pair 0 of 32")
    close(frequencies[-1], 100000.0 ** (-62 / 64) / 8, "pair 31 of 32")


def test_sizes_that_cannot_be_are_refused(submission):
    for dim, factor in ((15, 4.0), (2, 4.0), (0, 4.0), (16, 0.5)):
        for name, more in (("ntk_base", ()), ("yarn", (4096,))):
            what = f"{name} with D = {dim}, s = {factor:g}"
            refused(what, getattr(submission, name), dim, 10000.0, factor, *more)
