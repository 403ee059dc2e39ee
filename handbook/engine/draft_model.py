"""A small model drafts for a large one of the same tokenizer, over pages of its own.

Leviathan et al. 2022 (arXiv:2211.17192), section 2. One call reads what the texts have gained since the last
one and makes each sequence's first draft; every further call makes one more draft for all of them. What was
computed for drafts that turned out wrong is written over. A draft is drawn with the random number that its
place has in any case, so that where both models agree, both draw the same token.

Axes: M rows, V vocabulary.

Book: inference-ops/llm-serving-optimization
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.drafts import Wanted
from handbook.engine.drawing import plain
from handbook.engine.executor import Executor
from handbook.engine.fast import pick
from handbook.engine.kernels.pack import Precision
from handbook.engine.pages import OutOfPages, Pages, Table
from handbook.engine.sampler import distribution, draw, randomness
from handbook.engine.store import PageStore
from handbook.engine.work import Batch, Work
from handbook.errors import HandbookError
from handbook.model.load import Loaded
from handbook.model.transformer import Transformer


class Held:
    """What the draft model has of a sequence: in `table`, `known` tokens of the text and `drafts` behind."""

    __slots__ = ("drafts", "known", "table")

    def __init__(self, table: Table) -> None:
        self.table, self.known = table, table.length
        self.drafts: list[int] = []

    def right(self, tokens: Sequence[int]) -> int:
        """Positions that hold what the text says by now, its last token left out: its logits are wanted."""
        length = self.known
        for draft in self.drafts:
            if length >= len(tokens) or tokens[length] != draft:
                break
            length += 1
        return min(length, len(tokens) - 1)


class DraftModel:
    """Drafts from a model.

    Args:
        executor: computes the draft model over `pages`.
        context: positions that it reads; longer texts get no drafts.
        vocabulary: V of the large model; embeddings of one tokenizer may be padded to different sizes.
        reads: tokens that the draft model has embeddings for; texts with another get no drafts.
        budget: tokens of a call. A long prompt is read over several steps, and gets no drafts before its end.
    """

    def __init__(
        self, executor: Executor, pages: Pages, context: int, vocabulary: int, reads: int, budget: int = 512
    ) -> None:
        self.executor, self.pages, self.context = executor, pages, context
        self.vocabulary, self.reads, self.budget = vocabulary, reads, budget
        self._held: dict[int, Held] = {}  # the longest unused first
        self.calls = 0
        self.steady = False

    def guess(self, wanted: Sequence[Wanted]) -> dict[int, list[int]]:
        going, logits = self._read(self._with_room(wanted))
        drafts: dict[int, list[int]] = {one.sequence: [] for one in going}
        while going:
            for one, token in zip(going, self._draw(going, drafts, logits), strict=True):
                drafts[one.sequence].append(token)
            going = [one for one in going if len(drafts[one.sequence]) < self._most(one)]
            logits = self._run([self._last(one, drafts[one.sequence]) for one in going])
        for number, made in drafts.items():
            self._held[number].drafts = made[:-1]  # nothing read the last one
        return drafts

    def forget(self, sequence: int) -> None:
        held = self._held.pop(sequence, None)
        if held is not None:
            self.pages.release(held.table)

    def _most(self, one: Wanted) -> int:
        return min(one.most, self.context - len(one.tokens) + 1)

    def _with_room(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Those who can be drafted for, with pages for all that will be computed. Who has waited longest
        without drafts makes room first; who finds none goes without."""
        asking, found = {one.sequence for one in wanted}, []
        for one in wanted:
            if one.most < 1 or len(one.tokens) > self.context:
                continue
            held = self._held.pop(one.sequence, None)
            if held is None:
                held = Held(self.pages.adopt(self.pages.names(one.tokens, one.salt), one.salt))
            self._held[one.sequence] = held
            readable = max(one.tokens[held.known - 1 if held.known else 0 :]) < self.reads
            if readable and self._reserve(held.table, len(one.tokens) + self._most(one) - 1, asking):
                found.append(one)
            else:
                self.forget(one.sequence)
        return found

    def _reserve(self, table: Table, length: int, asking: set[int]) -> bool:
        while True:
            try:
                copy = self.pages.reserve(table, length)
            except OutOfPages:
                unused = next((number for number in self._held if number not in asking), None)
                if unused is None:
                    return False
                self.forget(unused)
            else:
                assert copy is None  # only whole pages are shared, and those are never written again
                return True

    def _read(self, wanted: Sequence[Wanted]) -> tuple[list[Wanted], Tensor]:
        """Take in what the texts have gained, shortest first. Those that were read to their end, and the
        logits behind it."""
        works, going, left = [], [], self.budget
        self.steady = True
        for one in sorted(wanted, key=lambda one: len(one.tokens) - self._held[one.sequence].known):
            held, tokens = self._held[one.sequence], one.tokens
            start = held.right(tokens)
            end = min(len(tokens), start + left)
            left -= end - start
            self.pages.commit(held.table, tokens, start)
            held.known, held.drafts = end, []
            self.steady &= end - start <= 2  # the last draft, where all were right, and what came behind
            if end == len(tokens):
                going.append(one)
            if end > start:
                works.append(
                    Work(one.sequence, start, tokens[start:end], held.table.pages, 0, int(end == len(tokens)))
                )
        return going, self._run(works)

    def _last(self, one: Wanted, drafts: Sequence[int]) -> Work:
        """Read the last draft."""
        place = len(one.tokens) + len(drafts) - 1
        return Work(one.sequence, place, drafts[-1:], self._held[one.sequence].table.pages, 0, 1)

    def _run(self, works: Sequence[Work]) -> Tensor:
        if not works:
            return torch.empty(0, self.vocabulary)
        self.calls += 1
        return self.executor.run(Batch(tuple(works)))

    def _draw(
        self, going: Sequence[Wanted], drafts: Mapping[int, Sequence[int]], logits: Tensor
    ) -> list[int]:
        """The next draft of each, from logits [M, V'], V' the draft model's own vocabulary."""
        if logits.shape[1] != self.vocabulary:
            logits = F.pad(logits, (0, self.vocabulary - logits.shape[1]), value=-math.inf)
        best: list[int] = logits.argmax(dim=-1).tolist()
        for row, one in enumerate(going):
            if not plain(one.sampling):
                said = [*one.tokens, *drafts[one.sequence]]
                shares = distribution(logits[row], one.sampling, said, one.prompt)
                best[row] = draw(shares, randomness(one.seed, len(said), one.sample))
        return best


def draft_model(
    target: Loaded, draft: Loaded, pages: int, page: int, budget: int, precision: Precision | None
) -> DraftModel:
    """Drafts by `draft` for `target`, over so many pages of so many positions.

    precision: as of `Engine`. Raises HandbookError when the two have different tokenizers.
    """
    if fault := unlike(target, draft):
        raise HandbookError(
            f"{draft.name} can't draft for {target.name}: {fault}.",
            "Choose a draft model of the same family, or speculation by lookup.",
        )
    model = draft.model
    store = PageStore(draft.config, pages, page, 0, draft_dtype(draft, precision), model.device)
    executor = pick(model, store, precision).executor
    sizes = draft.config.context, target.config.vocab_size, draft.config.vocab_size
    return DraftModel(executor, Pages(pages, page), *sizes, budget)


def draft_dtype(draft: Loaded, precision: Precision | None) -> torch.dtype:
    """Of the draft model's pages: as of `Engine`'s own."""
    return draft.model.dtype if precision in (None, "fp32") else torch.bfloat16


def unlike(target: Loaded, draft: Loaded) -> str:
    """What keeps one from drafting for the other, in words; empty where both know the same token ids."""
    ours, theirs = (loaded.tokenizer.backend.get_vocab() for loaded in (target, draft))
    if ours == theirs:
        few = draft.config.vocab_size < target.tokenizer.vocab_size
        return f"it reads {draft.config.vocab_size:,} of {len(ours):,} tokens" if few else ""
    other = sum(theirs.get(text) != token for text, token in ours.items())
    return (
        f"both need the same token ids, and {other:,} of {len(ours):,} tokens are others or missing among "
        f"its {len(theirs):,}"
    )


def first_layers(loaded: Loaded, count: int) -> Loaded:
    """A draft model without training: the model's own first blocks, then its final norm and head. Nothing is
    copied. Zhang et al. 2023 (arXiv:2309.08168) skip layers so; see there how few can be left out.

    Raises ValueError when the model has fewer layers.
    """
    config = loaded.config
    if not 1 <= count <= config.layers or config.mixture is not None or any(config.windows):
        raise ValueError(f"expected 1 to {config.layers} layers of one kind, got {count}")
    smaller = replace(config, layers=count)
    with torch.device("meta"):
        model = Transformer(smaller)
    model.embed, model.norm, model.head = loaded.model.embed, loaded.model.norm, loaded.model.head
    model.blocks = loaded.model.blocks[:count]
    return replace(loaded, model=model.eval(), config=smaller, name=f"{loaded.name}, {count} layers")
