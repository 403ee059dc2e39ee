"""What every lab needs to measure fairly: paired timings, counted bytes, the model loaded once.

A lab's measuring functions return plain floats, or one per repetition; nothing here prints or asserts except
`report`, which a lab calls when it runs as a script. Torch loads on use.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize

from handbook.settings import load as load_settings

if TYPE_CHECKING:
    from handbook.book.verify import Outcome, Progress
    from handbook.model.load import Loaded

WITHOUT_MODEL = (
    "Bring it with `handbook models get smollm2-135m-instruct`, then reload this page. "
    "Until then the parts that read it stay empty; the others work."
)
_loading = Lock()


def chat_model() -> "Loaded":
    """The packaged chat model, in evaluation mode, read once per process (readers' sessions share it).

    Raises ModelUnavailable, with the remedy, when its weights are not on this machine.
    """
    with _loading:  # two sessions that open the lab at once wait for one load
        return _load_chat_model()


@cache
def _load_chat_model() -> "Loaded":
    from handbook.model.load import load_model

    loaded = load_model("smollm2-135m-instruct", load_settings())
    loaded.model.eval()
    return loaded


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many CPU threads for the block. More than free cores is no gain: they wait for each other by
    spinning. The order of sums, and so the last digits, hangs on the number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """One CPU thread and no gradients, for the time of the block.

    One thread, because two that wait for each other on a busy machine measure the neighbours, and because a
    ratio taken on one thread means the same on two cores and on sixty-four.
    """
    import torch

    with threads(1), torch.inference_mode():
        yield


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def paired(
    slow: Callable[[], object], fast: Callable[[], object], pairs: int, inner: int = 1, warm: bool = True
) -> list[float]:
    """seconds(slow) / seconds(fast), `pairs` times, taking turns, after one untimed call of the fast side
    and, if `warm`, of the slow one.

    On one thread (`quiet`). Taking turns lets a slow phase of a shared machine hit both sides alike. The fast
    side runs `inner` times per turn and counts with its mean, for calls that are short against the scheduler.
    """
    ratios = []
    with quiet():
        fast()
        if warm:
            slow()
        for turn in range(pairs):
            order = (True, False) if turn % 2 else (False, True)
            took: dict[bool, float] = {}
            for is_slow in order:
                took[is_slow] = seconds(slow) if is_slow else sum(seconds(fast) for _ in range(inner)) / inner
            ratios.append(took[True] / took[False])
    return ratios


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes of tensors made by one call that were alive at the same moment, its result included.

    Sees what torch operators return, not the scratch memory inside a kernel.
    """
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    alive: dict[int, int] = {}
    peak = 0

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            nonlocal peak
            before = {
                leaf.untyped_storage().data_ptr()
                for leaf in tree_leaves((args, kwargs))
                if isinstance(leaf, Tensor)
            }
            out = func(*args, **(kwargs or {}))
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    storage = leaf.untyped_storage()
                    key = storage.data_ptr()
                    if key not in before and key not in alive:  # views and in-place results own no new bytes
                        alive[key] = storage.nbytes()
                        finalize(storage, alive.pop, key, None)
            peak = max(peak, sum(alive.values()))
            return out

    with Watch():  # type: ignore[no-untyped-call]
        work()
    return peak


def outcomes(lab: Path, progress: "Progress | None" = None) -> "list[Outcome]":
    """The claims of the chapter that a lab belongs to, measured on this machine with their small settings."""
    from handbook.book.load import open_book
    from handbook.book.verify import verify

    chapter = f"{lab.parent.parent.name}/{lab.parent.name}"
    return verify(open_book(lab.parent.parent.parent), chapter, small=True, progress=progress)


def row(outcome: "Outcome") -> dict[str, str]:
    """An outcome as a line of a table."""
    if outcome.skipped:
        return {
            "claim": outcome.claim.id,
            "here": "skipped",
            "lowest": "",
            "highest": "",
            "bound": outcome.reason,
            "holds": "",
        }
    numbers = (f"{number:.6g}" for number in (outcome.value, outcome.low, outcome.high))
    named = dict(zip(("here", "lowest", "highest"), numbers, strict=True))
    return {
        "claim": outcome.claim.id,
        **named,
        "bound": outcome.claim.bound,
        "holds": "yes" if outcome.holds else "NO",
    }


def report(lab: Path) -> None:
    """Measure the claims of a lab, print them as a table, and hold their bounds.

    Raises AssertionError that names every claim that does not hold, with the reason.
    """
    found = outcomes(lab)
    rows = [row(outcome) for outcome in found]
    wide = {
        name: max(len(line[name]) for line in (*rows, {name: name})) for name in rows[0] if name != "bound"
    }
    for line in ({name: name for name in rows[0]}, *rows):
        print("  ".join(line[name].ljust(wide.get(name, 20)) for name in rows[0]).rstrip())
    failed = [f"{outcome.claim.id}: {outcome.reason}" for outcome in found if outcome.failed]
    assert not failed, "claims that do not hold here: " + "; ".join(failed)
