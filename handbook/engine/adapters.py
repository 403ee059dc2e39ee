"""The adapters that an engine has, by name: which may be asked for, and which only end what they began.

Each that is loaded gets a number that no other ever had, so that pages named with it never serve another, of
the same name though it be.

Book: model-training/fine-tuning-strategies
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from handbook.engine.adapting import Adapting, lows_of
from handbook.engine.executor import Executor
from handbook.engine.work import NoAdapter
from handbook.errors import AdapterError
from handbook.model.adapters import Adapter
from handbook.model.transformer import Transformer


class Adapters:
    """Names, numbers, and who is being answered with which."""

    def __init__(self, model: Transformer, executor: Executor) -> None:
        self.model, self.executor = model, executor
        self.numbers: Mapping[str, int] = MappingProxyType({})  # never changed, only replaced: others read it
        self._last = 0
        self._used: Counter[int] = Counter()
        self._leaving: set[int] = set()

    def load(self, name: str, adapter: Adapter, taken: str) -> None:
        """See `Engine.load_adapter`. taken: the model's own name."""
        faults = []
        if not name or len(name) > 200 or not name.isprintable() or name != name.strip():
            faults.append(f"an adapter's name is printable and has no space around it, got {name[:40]!r}")
        if name == taken or name in self.numbers:
            faults.append(f"there is {'a model' if name == taken else 'an adapter'} called {name} already")
        if not isinstance(self.executor, Adapting):
            faults.append(f"{type(self.executor).__name__} computes without adapters")
        if faults:
            raise AdapterError(
                f"No adapter was loaded: {'; '.join(faults)}.",
                "Choose another name, or unload what has it.",
                tuple(faults),
            )
        assert isinstance(self.executor, Adapting)
        number = self._last + 1
        self.executor.adapt(number, lows_of(self.model, adapter))
        self._last = number
        self.numbers = MappingProxyType({**self.numbers, name: number})

    def unload(self, name: str) -> None:
        """See `Engine.unload_adapter`."""
        number = self.number(name)
        self.numbers = MappingProxyType({n: other for n, other in self.numbers.items() if n != name})
        self._leaving.add(number)
        self._let_go(number)

    def number(self, name: str | None) -> int:
        """0 for None. Raises NoAdapter."""
        if name is None:
            return 0
        if name not in self.numbers:
            there = ", ".join(self.numbers) or "none"
            raise NoAdapter(f"there is no adapter {name[:200]!r} here; there is {there}")
        return self.numbers[name]

    def begin(self, number: int) -> None:
        """A request is answered with it."""
        self._used[number] += bool(number)

    def end(self, number: int) -> None:
        """It has ended."""
        self._used[number] -= bool(number)
        self._let_go(number)

    def _let_go(self, number: int) -> None:
        if number in self._leaving and not self._used[number]:
            assert isinstance(self.executor, Adapting)
            self.executor.drop(number)
            self._leaving.discard(number)
            del self._used[number]
