"""Drawing a step's tokens: for each sequence of a batch its own way, whoever else is in it.

Book: inference-ops/llm-serving-optimization
"""

import logging
import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from handbook.engine.asked import Asked, Likely
from handbook.engine.sampler import distribution, draw, randomness
from handbook.engine.scheduler import Running, Scheduler
from handbook.engine.schemas import BadGrammar
from handbook.engine.speculative import accept_same_draw
from handbook.engine.work import Batch, Work, rows_wanted
from handbook.records import Sampling

log = logging.getLogger(__name__)


def only_best(scheduler: Scheduler, asking: Mapping[str, Asked], batch: Batch) -> bool:
    """Whether nobody in a batch needs more than the likeliest tokens."""
    for work in batch.work:
        if work.wanted and (sequence := scheduler.sequence(work.sequence)) is not None:
            asked = asking[sequence.request.id]
            if asked.constraint is not None or asked.logprobs is not None or not plain(asked.sampling):
                return False
    return True


def draw_batch(
    scheduler: Scheduler,
    asking: Mapping[str, Asked],
    batch: Batch,
    logits: Tensor,
    best: list[int] | None = None,
) -> dict[int, list[int]]:
    """The tokens of each work that wants some, by its sequence; logits [M, V].

    best: the likeliest token of each row, where they are known; of a batch that needs `only_best`, logits may
    then be empty.

    asking: the requests that are being answered, by their ids. One whose constraint can't go on is cancelled,
    with the reason "error".
    """
    sampled: dict[int, list[int]] = {}
    at = 0
    for work in batch.work:
        if not work.wanted:
            continue
        rows = slice(at, at + rows_wanted(work))
        at = rows.stop
        sequence = scheduler.sequence(work.sequence)
        if sequence is None:  # another sample of its request could not go on
            continue
        asked = asking[sequence.request.id]
        asked.told.reused = sequence.reused
        if best is None and plain(asked.sampling):
            best = logits.argmax(dim=-1).tolist()
        drafts = work.tokens[-work.drafts :] if work.drafts else ()
        kept = asked.kept(sequence.sample)
        guessed = kept is None or kept.forced(work.drafts) != list(drafts)
        if kept is not None:
            try:
                drawn = _draw_kept(logits[rows], best[rows] if best else (), asked, sequence, work)
            except BadGrammar as error:
                log.warning("the constraint of %s can't go on: %s", sequence.request.id, error)
                asked.told.fault = str(error)
                scheduler.cancel(sequence.request.id, "error")
                continue
        elif plain(asked.sampling):
            assert best is not None
            drawn = best[rows] * (1 if work.drafts else work.wanted)
        elif work.drafts:
            drawn = _draw_ahead(logits[rows], asked, sequence, work)
        else:
            first = sequence.sample
            shares = distribution(logits[rows.start], asked.sampling, sequence.tokens, asked.told.prompt)
            place = len(sequence.tokens)
            drawn = [draw(shares, randomness(asked.seed, place, first + n)) for n in range(work.wanted)]
        if work.drafts:
            drawn = accept_same_draw(drafts, drawn)
            asked.told.drafted += work.drafts
            asked.told.accepted += len(drawn) - 1
            if guessed:  # forced tokens tell nothing about guesses
                asked.speaking[sequence.sample].length.saw(work.drafts, len(drawn) - 1)
        if asked.logprobs is not None:
            _note(logits[rows], asked, sequence, work, drawn)
        sampled[work.sequence] = drawn
    return sampled


def _note(logits: Tensor, asked: Asked, sequence: Running, work: Work, drawn: Sequence[int]) -> None:
    """Keep how likely the drawn tokens were: logits [drafts + 1, V]. With drafts they follow each other,
    else each begins or goes on in its own sample."""
    shares = logits.float().log_softmax(dim=-1)
    best = shares.topk(min(asked.logprobs or 0, shares.shape[-1]))
    for n, token in enumerate(drawn):
        row, sample, ahead = (n, 0, n) if work.drafts else (0, n, 0)
        top = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
        key = sequence.sample + sample, len(sequence.tokens) + ahead
        asked.likely[key] = Likely(token, float(shares[row, token]), tuple(top))


def _draw_ahead(logits: Tensor, asked: Asked, sequence: Running, work: Work) -> list[int]:
    """What would be said at each place, as far as the drafts are right: logits [drafts + 1, V]."""
    history, drawn = list(sequence.tokens), []
    for row, draft in zip(logits, (*work.tokens[-work.drafts :], None), strict=True):
        shares = distribution(row, asked.sampling, history, asked.told.prompt)
        drawn.append(draw(shares, randomness(asked.seed, len(history), sequence.sample)))
        if drawn[-1] != draft:
            break
        history.append(drawn[-1])
    return drawn


def _draw_kept(logits: Tensor, best: Sequence[int], asked: Asked, sequence: Running, work: Work) -> list[int]:
    """Likewise under a constraint, which goes on with every token; without drafts, one for each sample.

    best: the likeliest tokens of the rows, for who takes those.
    """
    if not work.drafts:
        samples = range(sequence.sample, sequence.sample + work.wanted)
        return [_kept_token(logits[0], best[:1], asked, sequence.tokens, sample) for sample in samples]
    history, drawn = list(sequence.tokens), []
    for row, draft in enumerate((*work.tokens[-work.drafts :], None)):
        drawn.append(_kept_token(logits[row], best[row : row + 1], asked, history, sequence.sample))
        kept = asked.kept(sequence.sample)
        if drawn[-1] != draft or kept is None or kept.ended:
            break
        history.append(drawn[-1])
    return drawn


def _kept_token(
    logits: Tensor, best: Sequence[int], asked: Asked, history: Sequence[int], sample: int
) -> int:
    """One token out of those that the constraint allows: logits [V]. Others never count, whatever they
    weigh: filters and penalties see the allowed ones only."""
    kept = asked.kept(sample)
    assert kept is not None
    greedy = plain(asked.sampling)
    if forced := kept.forced(1):
        token = forced[0]  # `allowed` would have no other
    elif greedy and kept.allows(best[0]):
        token = best[0]
    else:
        logits = logits.masked_fill(~kept.allowed().to(logits.device), -math.inf)
        if greedy:
            token = int(logits.argmax())
        else:
            shares = distribution(logits, asked.sampling, history, asked.told.prompt)
            token = draw(shares, randomness(asked.seed, len(history), sample))
    kept.accept(token)
    return token


def plain(sampling: Sampling) -> bool:
    """Whether the likeliest token is always taken, as it comes from the model."""
    return (
        sampling.temperature <= 0
        and sampling.repetition_penalty == 1.0
        and sampling.presence_penalty == sampling.frequency_penalty == 0.0
        and not sampling.logit_bias
    )
