"""Log-probabilities through the engine are the model's own, whatever way the tokens came about."""

import dataclasses

import pytest
import torch

from handbook.engine.asked import Likely, Piece
from handbook.engine.engine import Engine
from handbook.engine.work import Limits
from handbook.records import Sampling

GREEDY = Sampling(temperature=0.0, max_tokens=24)
WARM = Sampling(temperature=1.3, top_p=0.9, logit_bias={7: 9.0, 9: 9.0}, seed=4, max_tokens=24)
PAGE = 2 * 2 * 2 * 8 * 4 * 4


@pytest.mark.parametrize("sampling", [GREEDY, WARM])
@pytest.mark.parametrize("speculation", ["off", "lookup"])
def test_they_are_the_models_own(loaded, sampling, speculation):
    """On pages too few for all, with drafts and with several samples of a prompt."""
    limits = Limits(tokens=24, running=6, watermark=0.0)
    engine = Engine(loaded, memory=20 * PAGE, page=4, limits=limits, speculation=speculation)
    heard: dict[tuple[int, int], list[Likely]] = {}
    counted: dict[tuple[int, int], int] = {}

    def listen(number: int):
        def deliver(piece: Piece) -> None:
            key = number, piece.sample
            assert len(piece.likely) == piece.tokens
            heard.setdefault(key, []).extend(piece.likely)
            counted[key] = counted.get(key, 0) + piece.tokens

        return deliver

    prompts = [[7, 7, 7, 7, 7, 7, number] for number in range(5)]
    for number, prompt in enumerate(prompts):
        samples = 3 if number == 2 and sampling is WARM else 1
        engine.ask(str(number), prompt, sampling, listen(number), samples=samples, logprobs=2)
    for _ in range(3000):
        if not engine.busy:
            break
        engine.step()
    assert engine.scheduler.counts.preempted
    assert (engine.scheduler.counts.drafted > 0) == (speculation == "lookup")
    assert all(count == 24 for count in counted.values())
    for (number, _), likely in heard.items():
        ids = prompts[number] + [each.token for each in likely]
        with torch.inference_mode():
            shares = loaded.model(torch.tensor([ids]))[0].log_softmax(dim=-1)
        for place, each in enumerate(likely, len(prompts[number])):
            row = shares[place - 1]
            assert each.logprob == pytest.approx(float(row[each.token]), abs=1e-4)  # fp32, in other batches
            best = row.topk(2).values.tolist()
            assert [logprob for _, logprob in each.top] == pytest.approx(best, abs=1e-4)


def test_nobody_asked(loaded):
    engine, pieces = Engine(loaded, memory=20 * PAGE, page=4), []
    engine.ask("a", [1, 2, 3], dataclasses.replace(GREEDY, max_tokens=4), pieces.append)
    while engine.busy:
        engine.step()
    assert pieces
    assert not any(piece.likely for piece in pieces)


def test_stop_tokens_may_be_passed(loaded):
    from handbook.model.tokenizer import Tokenizer

    ending = dataclasses.replace(loaded, tokenizer=Tokenizer(loaded.tokenizer.backend, stops=range(256)))
    for past, tokens in ((True, 5), (False, 0)):
        engine, pieces = Engine(ending, memory=20 * PAGE, page=4), []
        engine.ask("a", [1, 2, 3], dataclasses.replace(GREEDY, max_tokens=5), pieces.append, past_stops=past)
        while engine.busy:
            engine.step()
        assert sum(piece.tokens for piece in pieces) == tokens
