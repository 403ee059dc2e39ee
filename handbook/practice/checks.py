"""What tests compare with: `close`, `equal`, `raises`, `unchanged`, `gradients`; and `inside` for drivers.

Each raises `Mismatch`, an AssertionError that says expected and got and carries a Difference. Nothing heavy
is imported before an array is compared.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from handbook.practice.showing import array_of, described, dtype_of, is_array, kind_of
from handbook.practice.verdicts import Difference

WHOLE = 12  # values of an array that a message shows all of
INSIDE = "__handbook_inside__"  # attribute of the type of what stands for a submission in another process


class Mismatch(AssertionError):
    """What came is not what was expected. difference says where."""

    def __init__(self, difference: Difference, message: str = "") -> None:
        what = f"{difference.what}: " if difference.what else ""
        super().__init__(message or f"{what}expected {difference.expected}, got {difference.got}")
        self.difference = difference


def _differ(what: str, expected: str, got: str, peer: str = "") -> NoReturn:
    raise Mismatch(Difference(what, expected, got, peer=peer))


def close(
    got: Any,
    expected: Any,
    what: str = "",
    rtol: float = 1e-6,
    atol: float = 1e-8,
    dtype: Any = None,
    peer: str = "",
) -> None:
    """|got - expected| <= atol + rtol |expected|, element by element; NaN equals NaN.

    Arrays want an array of the same library and shape, and of `dtype` if one is given; numbers want a number;
    lists, tuples and dicts want the same container, whose items are compared likewise, by path.
    """
    if is_array(expected):
        _close_arrays(got, expected, what, (rtol, atol), dtype, peer)
    elif isinstance(expected, list | tuple):
        _container(got, expected, what, peer)
        for i, item in enumerate(expected):
            close(got[i], item, f"{what}[{i}]", rtol, atol, dtype, peer)
    elif isinstance(expected, dict):
        _container(got, expected, what, peer)
        for key, item in expected.items():
            close(got[key], item, f"{what}[{key!r}]", rtol, atol, dtype, peer)
    elif kind_of(expected) in ("int", "float", "complex"):
        if kind_of(got) not in ("int", "float", "complex"):
            _differ(what, f"a number, {described(expected)}", described(got, typed=True), peer)
        if dtype is not None and dtype_of(got) != dtype_of(dtype):
            _differ(what, f"dtype {dtype_of(dtype)}", f"{dtype_of(got)}", peer)
        distance = abs(got - expected)
        same = got == expected or (got != got and expected != expected)
        if not (same or distance <= atol + rtol * abs(expected)):
            tolerance = f"rtol={rtol:g}, atol={atol:g}"
            raise Mismatch(
                Difference(
                    what,
                    described(expected),
                    described(got),
                    tolerance=tolerance,
                    differing=1,
                    of=1,
                    worst=float(distance),
                    peer=peer,
                )
            )
    else:
        equal(got, expected, what)


def _container(got: Any, expected: Any, what: str, peer: str = "") -> None:
    """The same kind of container with as many items, or the same keys."""
    kind = next(kind for kind in (list, tuple, dict) if isinstance(expected, kind))
    if not isinstance(got, kind):
        _differ(what, f"a {kind.__name__}, {described(expected)}", described(got, typed=True), peer)
    if kind is dict:
        missing = [key for key in expected if key not in got]
        extra = [key for key in got if key not in expected]
        if missing or extra:
            said = f"{described(got)} (without {described(missing)})" if missing else described(got)
            said += f" (with {described(extra)} too many)" if extra else ""
            _differ(what, described(expected), said, peer)
    elif len(got) != len(expected):
        many = f"{len(expected)} item{'' if len(expected) == 1 else 's'}, {described(expected)}"
        _differ(what, many, f"{len(got)}, {described(got)}", peer)


def _close_arrays(
    got: Any, expected: Any, what: str, tolerance: tuple[float, float] | None, dtype: Any, peer: str
) -> None:
    """tolerance: rtol and atol; None: exactly equal."""
    import numpy as np

    if kind_of(got) != kind_of(expected):
        wanted = "a NumPy array" if kind_of(expected) == "array" else "a torch tensor"
        _differ(what, f"{wanted} of shape {tuple(expected.shape)}", described(got, typed=True), peer)
    shapes = {"expected_shape": tuple(expected.shape), "got_shape": tuple(got.shape)}
    types = {"expected_dtype": dtype_of(expected if dtype is None else dtype), "got_dtype": dtype_of(got)}
    said = f"rtol={tolerance[0]:g}, atol={tolerance[1]:g}" if tolerance else "exact"
    fields: dict[str, Any] = {**shapes, **types, "tolerance": said, "peer": peer}
    whole: dict[str, Any] = {"what": what, "expected": described(expected), "got": described(got)}
    start = f"{what}: " if what else ""
    if shapes["expected_shape"] != shapes["got_shape"]:
        message = f"{start}expected shape {shapes['expected_shape']}, got shape {shapes['got_shape']}"
        raise Mismatch(Difference(**whole, **fields), message)
    if dtype is not None and types["expected_dtype"] != types["got_dtype"]:
        message = f"{start}expected dtype {types['expected_dtype']}, got {types['got_dtype']}"
        raise Mismatch(Difference(**whole, **fields), message)
    mine, theirs = array_of(got), array_of(expected)
    wrong, distance = _apart(mine, theirs, tolerance)
    count = int(np.count_nonzero(wrong))
    if not count:
        return
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    one, other = described(theirs[first]), described(mine[first])
    far = [] if distance is None else distance[wrong & np.isfinite(distance)]
    worst = float(max(far)) if len(far) else None
    if theirs.size <= WHOLE:
        shown, mine_shown = (" ".join(described(value).split()) for value in (expected, got))
        message = f"{start}expected {shown}, got {mine_shown}"
    else:
        message = f"{start}expected {one} at {list(first)}, got {other}"
    message += f" ({count} of {theirs.size} differ" + (f", by at most {worst:.3g})" if worst else ")")
    found: dict[str, Any] = {"first": first, "first_expected": one, "first_got": other, "worst": worst}
    raise Mismatch(Difference(**whole, **fields, **found, differing=count, of=theirs.size), message)


def _apart(got: Any, expected: Any, tolerance: tuple[float, float] | None) -> tuple[Any, Any]:
    """Which elements differ, and by how much (None where that has no meaning)."""
    import numpy as np

    kinds = got.dtype.kind + expected.dtype.kind
    if not set(kinds) <= set("biufc"):
        return np.asarray(got != expected, dtype=bool), None
    wide = np.complex128 if "c" in kinds else np.float64
    with np.errstate(all="ignore"):
        a, b = got.astype(wide), expected.astype(wide)
        distance = np.abs(a - b)
        exact = (got == expected) | (np.isnan(a) & np.isnan(b))
        if tolerance is None:
            return ~exact, distance
        rtol, atol = tolerance
        near = (distance <= atol + rtol * np.abs(b)) & np.isfinite(b)
        if set(kinds) <= set("biu") and atol < 1 and rtol < 1e-3:
            near = np.zeros_like(exact)  # integers are equal or not, also those beyond 2^53
    return ~(exact | near), distance


def equal(got: Any, expected: Any, what: str = "") -> None:
    """The same plain data, exactly, down to the first path that differs.

    True is not 1, 1.0 is not 1, a list is not a tuple; NumPy's numbers count as Python's. NaN equals NaN.
    """
    if is_array(expected):
        _close_arrays(got, expected, what, None, None, "")
        if (array_of(got).dtype == bool) != (array_of(expected).dtype == bool):
            _differ(what, f"dtype {dtype_of(expected)}", dtype_of(got))
    elif isinstance(expected, list | tuple):
        _container(got, expected, what)
        for i, item in enumerate(expected):
            equal(got[i], item, f"{what}[{i}]")
    elif isinstance(expected, dict):
        _container(got, expected, what)
        for key, item in expected.items():
            equal(got[key], item, f"{what}[{key!r}]")
    else:
        mine, theirs = kind_of(got), kind_of(expected)
        if mine != theirs and (mine, theirs) != ("int", "float"):  # 0 will do where 0.0 is expected
            _differ(what, described(expected, typed=True), described(got, typed=True))
        if not (got == expected or (mine in ("float", "complex") and got != got and expected != expected)):
            _differ(what, described(expected), described(got))


def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...],
    function: Callable[..., Any],
    *args: Any,
    what: str = "",
    **kw: Any,
) -> BaseException:
    """The exception that function(*args, **kw) raises, of that kind. Another, or none, is a Mismatch."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    name = " or ".join(one.__name__ for one in kinds)
    try:
        result = function(*args, **kw)
    except kinds as error:
        return error
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
    else:
        got = f"the result {described(result)}"
    _differ(what, name, got)


def unchanged(now: Any, before: Any, what: str) -> None:
    """An argument is as it was: `now` after the call, `before` a copy from before it."""
    try:
        equal(now, before, what)
    except Mismatch as error:
        message = f"{what}: expected it unchanged, {described(before)}, got {described(now)}"
        raise Mismatch(error.difference, message) from None


def gradients(
    function: Callable[..., Any],
    arrays: Sequence[Any],
    analytic: Sequence[Any],
    what: str = "",
    eps: float = 1e-6,
    rtol: float = 1e-4,
    atol: float = 1e-6,
) -> None:
    """A submission's gradients against central differences, in float64.

    function(*arrays) is a number; analytic: its gradient by each array, in their order and shapes. Each
    element costs two calls, each of which must give a finite number. (f(x + h) - f(x - h)) / 2h is off by
    O(h^2), and by rounding of O(1e-16 / h).
    """
    import numpy as np

    if not isinstance(analytic, list | tuple) or len(analytic) != len(arrays):
        many = len(analytic) if isinstance(analytic, list | tuple) else described(analytic, typed=True)
        _differ(what or "gradients", f"{len(arrays)} gradients", f"{many}")
    points = [np.array(array, dtype=np.float64) for array in arrays]
    for n, point in enumerate(points):
        numeric = np.zeros_like(point)
        for index in np.ndindex(*point.shape):
            kept = point[index]
            step = eps * max(1.0, abs(float(kept)))
            point[index] = kept + step
            above = float(function(*[p.copy() for p in points]))
            point[index] = kept - step
            below = float(function(*[p.copy() for p in points]))
            point[index] = kept
            if not np.isfinite([above, below]).all():  # NaN slopes would agree with NaN gradients
                bad = above if not np.isfinite(above) else below
                _differ(f"{what or 'gradients'}: the function beside array {n}", "a finite number", f"{bad}")
            numeric[index] = (above - below) / (2 * step)
        got = np.asarray(analytic[n]) if kind_of(analytic[n]) in ("int", "float") else analytic[n]
        close(got, numeric, f"{what or 'gradients'}[{n}]", rtol, atol, peer="central differences")


def inside(submission: Any, driver: Callable[..., Any], *args: Any) -> Any:
    """driver(submission, *args), run beside the submission, wherever that is; returns plain data.

    driver: a plain function of the test file that imports what it needs in its body and reads no other name
    of the file, because only its source goes there. What it returns is the submission's word: compare here.
    """
    remote = inspect.getattr_static(type(submission), INSIDE, None)
    if remote is None:
        return driver(submission, *args)
    return remote(submission, driver, args)
