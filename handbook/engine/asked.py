"""What the engine keeps of a request while it is answered, and the pieces that it gives out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from handbook.engine.generate import StopGate
from handbook.engine.speculative import DraftLength
from handbook.engine.work import Reason
from handbook.model.tokenizer import StreamDecoder, Tokenizer
from handbook.records import Sampling, Usage

if TYPE_CHECKING:
    from handbook.engine.constrained import Constraint


class Likely(NamedTuple):
    """A token that was drawn, its log-probability as the model gave it (before penalties, bias and
    temperature), and the likeliest tokens of its place with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is certain, of one continuation.

    tokens: how many it took. reason: why it ended, if it did. likely: of each of its tokens, where asked for.
    """

    sample: int
    text: str
    tokens: int
    reason: Reason | None = None
    likely: tuple[Likely, ...] = ()


@dataclass(slots=True)
class Told:
    """What became of a request so far: prompt tokens found in the cache, drafts made and right, seconds on
    the engine's clock. fault: why its constraint could not go on, where that ended it."""

    prompt: int
    since: float
    first: float | None = None
    last: float | None = None
    reused: int = 0
    drafted: int = 0
    accepted: int = 0
    produced: int = 0
    fault: str = ""

    @property
    def usage(self) -> Usage:
        """As far as it has got. The first token's step counts to the prompt."""
        first, last = self.first or self.since, self.last or self.since
        return Usage(self.prompt, self.produced, first - self.since, last - first)


@dataclass(slots=True)
class Asked:
    """A request that is being answered, and where its pieces go.

    constraint: what each continuation's text is kept to, at its beginning. adapter: its number, or 0.
    """

    sampling: Sampling
    seed: int
    deliver: Callable[[Piece], None]
    told: Told
    logprobs: int | None = None
    constraint: "Constraint | None" = None
    adapter: int = 0
    likely: dict[tuple[int, int], Likely] = field(default_factory=dict)  # by sample and place
    speaking: dict[int, "Speaking"] = field(default_factory=dict)
    _kept: "dict[int, Constraint]" = field(default_factory=dict)

    def kept(self, sample: int) -> "Constraint | None":
        """What this continuation is kept to, at the place where it is."""
        if self.constraint is not None and sample not in self._kept:
            self._kept[sample] = self.constraint.fork()
        return self._kept.get(sample)


class Speaking:
    """One continuation's way from tokens to text."""

    def __init__(self, tokenizer: Tokenizer, sampling: Sampling, drafts: int) -> None:
        self.decoder = StreamDecoder(tokenizer)
        self.gate = StopGate(sampling.stop)
        self.length = DraftLength(drafts)
        self.untold = 0  # tokens whose text is held back
        self.said = 0
        self.likely: list[Likely] = []  # of the tokens whose text is held back
