"""Drafters: whoever guesses, the answers stay what they are; a draft model says what it would say alone."""

import dataclasses
import random

import pytest
from drafting import Oracle, all_drafts, first_layers, noisy, stranger
from test_engine import PAGE, Listener, alone, run

from handbook.engine.draft_model import DraftModel, draft_model, unlike
from handbook.engine.drafts import Ahead, Lookup, Wanted
from handbook.engine.engine import Engine
from handbook.engine.generate import generate
from handbook.engine.work import Limits
from handbook.errors import HandbookError
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.records import Sampling

GREEDY = Sampling(temperature=0.0, max_tokens=20)
WARM = Sampling(temperature=0.8, top_p=0.9, max_tokens=20)
REQUESTS = 100
DRAFTS = ("itself", "layers", "noisy", "stranger")


@pytest.fixture(scope="module")
def drafting(loaded) -> dict[str, Loaded]:
    return all_drafts(loaded)


@pytest.fixture(scope="module")
def requests(loaded) -> dict[str, tuple[list[int], Sampling, str]]:
    """Prompts, how they are sampled, and what each is answered alone."""
    draw, found = random.Random(6), {}
    for number in range(REQUESTS):
        beginning = [1, 2, 3, 4, 5, 6, 7, 8, 9] * (number % 2)
        prompt = beginning + [draw.randrange(256) for _ in range(draw.randint(1, 20))]
        if number % 10 == 9:
            prompt = prompt[:3] * 6
        sampling = dataclasses.replace(
            GREEDY if number % 3 else WARM,
            seed=number,
            max_tokens=draw.randint(1, 20),
            repetition_penalty=1.3 if number % 5 == 4 else 1.0,
            frequency_penalty=0.4 if number % 7 == 6 else 0.0,
        )
        found[str(number)] = prompt, sampling, alone(loaded, prompt, sampling)
    return found


def engine_of(loaded: Loaded, draft: Loaded, pages: int, **options) -> tuple[Engine, DraftModel]:
    """Its memory holds so many pages of the model and of the draft model."""
    one = Engine(loaded, memory=1 << 20, page=4, speculation="draft", draft=draft, drafts=5)
    each = (1 << 20) // one.pages.count
    engine = Engine(
        loaded, memory=pages * each, page=4, speculation="draft", draft=draft, drafts=5, **options
    )
    assert isinstance(engine.ahead.drafter, DraftModel)
    return engine, engine.ahead.drafter


@pytest.mark.parametrize("swap", [0, 8])
@pytest.mark.parametrize("name", [*DRAFTS, "lookup"])
def test_the_answers_stay_what_they_are(loaded, drafting, requests, name, swap):
    """Few pages, prompts in pieces, arrivals, cancellations and deadlines in between; greedy and sampled."""
    draw = random.Random(swap)
    limits = Limits(tokens=24, running=6, watermark=0.0, swap=swap)
    options = {"limits": limits, "clock": lambda: 0.0}  # how many drafts are made hangs on no machine
    if name == "lookup":
        engine, drafter = Engine(loaded, memory=20 * PAGE, page=4, drafts=5, **options), None
    else:
        engine, drafter = engine_of(loaded, drafting[name], 20, **options)
    listener, cancelled, told = Listener(), set(), {}
    coming = list(requests)
    while coming or engine.busy:
        while coming and draw.random() < 0.5:
            id = coming.pop()
            prompt, sampling, _ = requests[id]
            told[id] = engine.ask(id, prompt, sampling, listener.of(id))
        if engine.busy and draw.random() < 0.03:
            id = draw.choice(engine.asked)
            cancelled |= {id} if engine.cancel(id) else set()
        engine.step()
        if drafter is not None:
            drafter.pages.check([held.table for held in drafter._held.values()])
    assert 0 < len(cancelled) < REQUESTS / 4
    for id, (_, _, answer) in requests.items():
        said = listener.text[(id, 0)]
        whole = (
            answer.startswith(said.rstrip("\ufffd")) if id in cancelled else said == answer
        )  # half a character
        assert whole, id
    counts = engine.scheduler.counts
    assert counts.preempted
    assert counts.accepted or name == "stranger"
    assert counts.drafted == sum(one.drafted for one in told.values())
    assert counts.accepted == sum(one.accepted for one in told.values())
    assert (counts.accepted == counts.drafted) == (name == "itself")
    assert drafter is None or drafter.pages.available == drafter.pages.count
    assert engine.pages.available == engine.pages.count


@pytest.mark.parametrize("rate", [0.0, 0.7, 1.0])
def test_an_oracle_bounds_what_speculation_brings(loaded, rate):
    """Steps for a text: with k drafts that are all right a step brings k + 1 tokens."""
    prompt = [5, 6, 7]
    answer = list(generate(loaded, prompt, dataclasses.replace(GREEDY, max_tokens=41)))
    engine, listener = Engine(loaded, memory=40 * PAGE, page=4, drafts=4), Listener()
    oracle = Oracle({tuple(prompt): answer}, rate)
    engine.ahead = Ahead(oracle, clock=lambda: 0.0)
    told = engine.ask("a", prompt, dataclasses.replace(GREEDY, max_tokens=41), listener.of("a"))
    steps = 0
    while engine.busy:
        engine.step()
        steps += 1
    assert listener.text[("a", 0)] == loaded.tokenizer.decode(answer)
    assert told.accepted <= told.drafted
    assert told.produced == 41
    assert oracle.forgotten == [0]
    if rate == 1.0:
        assert told.accepted == told.drafted == 32
        assert steps == 1 + 8
    else:
        assert steps == 41 - told.accepted
        assert (told.accepted == 0) == (rate == 0.0)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_a_draft_model_says_what_it_says_alone(loaded, sampling):
    """Whatever part of its drafts was right, what stands in its cache is the text: seven texts, each going
    its own way, in few pages."""
    draft, draw = noisy(loaded, 0.3), random.Random(4)
    drafter = draft_model(loaded, draft, 30, 4, 24, None)
    texts = [[draw.randrange(256) for _ in range(draw.randint(1, 24))] for _ in range(7)]
    checked = 0
    for _ in range(40):
        chosen = draw.sample(range(7), draw.randint(1, 5))
        wanted = [Wanted(n, texts[n], draw.randint(1, 5), sampling, n, 0, 0) for n in chosen]
        found = drafter.guess(wanted)
        drafter.pages.check([held.table for held in drafter._held.values()])
        for one in wanted:
            made = found.get(one.sequence, [])
            assert len(made) <= one.most
            for place in range(len(made)):  # each by a decoder that reads the whole text anew
                before = [*one.tokens, *made[:place]]
                once = dataclasses.replace(sampling, max_tokens=1, seed=one.seed)
                assert [made[place]] == list(generate(draft, before, once))
                checked += 1
            text, right = texts[one.sequence], draw.randint(0, len(made))
            if draw.random() < 0.9:  # and some that were said without drafts
                text += [*made[:right], *(draw.randrange(256) for _ in range(draw.randint(1, 3)))]
            if len(text) > 44:
                drafter.forget(one.sequence)
                texts[one.sequence] = text[:3]
    assert checked > 150
    for number in range(7):
        drafter.forget(number)
    assert drafter.pages.available == 30


def test_one_call_a_draft_for_all(loaded):
    drafter = draft_model(loaded, first_layers(loaded, 1), 64, 4, 512, None)
    texts = [[n, n + 1, n + 2, 9, 8] for n in range(6)]
    found = drafter.guess([Wanted(n, text, 4, GREEDY) for n, text in enumerate(texts)])
    assert [len(made) for made in found.values()] == [4] * 6
    assert drafter.calls == 4
    for number, text in enumerate(texts):
        text += [*found[number], 7]  # all right: two tokens to read
    rows = []
    inner = drafter.executor.run
    drafter.executor.run = lambda batch: rows.append(batch.tokens) or inner(batch)
    drafter.guess([Wanted(n, text, 3, GREEDY) for n, text in enumerate(texts)])
    assert rows == [12, 6, 6]


def test_reading_a_prompt_is_not_what_a_draft_costs(loaded):
    """Reading takes 1 a token; drafts are measured only where the text had gained a token or two."""
    now = [0.0]
    engine, drafter = engine_of(loaded, loaded, 60, clock=lambda: now[0])
    inner = drafter.executor.run

    class Timed:
        def run(self, batch):
            now[0] += batch.tokens
            return inner(batch)

    drafter.executor = Timed()
    engine.ask("a", list(range(30)), GREEDY, Listener().of("a"))
    run(engine)
    assert drafter.calls > 4
    assert set(engine.ahead.pace._making) <= {1.0, 1.2, 1.25, 4 / 3, 1.5, 2.0}, "k drafts, k or k + 1 tokens"


def test_a_long_prompt_is_read_in_pieces(loaded):
    """Others have their drafts meanwhile."""
    drafter = draft_model(loaded, first_layers(loaded, 1), 64, 4, 16, None)
    wanted = [Wanted(0, list(range(50)), 2, GREEDY), Wanted(1, [1, 2, 3], 2, GREEDY)]
    had = []
    for _ in range(4):
        had.append(sorted(drafter.guess(wanted)))
        wanted[1] = wanted[1]._replace(tokens=[*wanted[1].tokens, 4])
    assert had == [[1], [1], [1], [0, 1]]


def test_a_prompt_that_another_text_has_is_not_read_again(loaded):
    drafter = draft_model(loaded, first_layers(loaded, 1), 64, 4, 512, None)
    rows = []
    inner = drafter.executor.run
    drafter.executor.run = lambda batch: rows.append(batch.tokens) or inner(batch)
    first = Wanted(0, list(range(13)), 1, GREEDY)
    drafter.guess([first])
    drafter.guess([first._replace(tokens=[*first.tokens, 5])])  # only now its tokens are certain
    drafter.guess([Wanted(1, list(range(13)), 1, GREEDY), Wanted(2, list(range(13)), 1, GREEDY, salt=b"x")])
    assert rows == [13, 1, 1 + 13]


def test_texts_beyond_its_context_get_no_drafts(loaded):
    drafter = draft_model(loaded, stranger(loaded, context=10), 64, 4, 512, None)
    found = {n: len(drafter.guess([Wanted(n, [1] * n, 4, GREEDY)]).get(n, ())) for n in range(6, 13)}
    assert found == {6: 4, 7: 4, 8: 3, 9: 2, 10: 1, 11: 0, 12: 0}


def test_texts_with_tokens_that_it_has_no_embedding_for_get_no_drafts(loaded):
    """Embeddings of one tokenizer are padded differently; what lies beyond the smaller ones has no row."""
    padded = dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, vocab_size=272))
    drafter = draft_model(padded, loaded, 64, 4, 512, None)
    text = [1] * 9
    assert set(drafter.guess([Wanted(1, [*text, 260], 4, GREEDY), Wanted(2, text, 4, GREEDY)])) == {2}
    assert not drafter.guess([Wanted(2, [*text, 256], 4, GREEDY)])  # drawn since
    drafter.pages.check([])


def test_who_waits_makes_room_and_else_nobody(loaded):
    drafter = draft_model(loaded, first_layers(loaded, 1), 8, 4, 512, None)
    first, second = Wanted(1, [1] * 10, 2, GREEDY), Wanted(2, [2] * 10, 2, GREEDY)
    third = Wanted(3, [3] * 10, 2, GREEDY)
    assert set(drafter.guess([first, second])) == {1, 2}
    assert set(drafter.guess([second, third])) == {2, 3}
    assert set(drafter._held) == {2, 3}
    assert set(drafter.guess([first, second, third])) == {2, 3}  # who has pages keeps them
    drafter.pages.check([held.table for held in drafter._held.values()])


def test_whoever_ends_is_forgotten(loaded, caplog):
    """By a stop string, a cancellation, a listener that fails, a deadline: pages of the draft model too."""
    now = [0.0]
    engine, drafter = engine_of(loaded, loaded, 60, clock=lambda: now[0])
    listener = Listener()

    def faulty(piece) -> None:
        raise RuntimeError("nobody is there")

    whole = alone(loaded, [10, 20, 30], GREEDY)
    stopping = dataclasses.replace(GREEDY, stop=(whole[8:10],))
    engine.ask("stop", [10, 20, 30], stopping, listener.of("stop"), samples=2)
    engine.ask("late", [1, 2], GREEDY, listener.of("late"), seconds=5.0)
    engine.ask("gone", [1, 3], GREEDY, listener.of("gone"))
    engine.ask("bad", [1, 4], GREEDY, faulty)
    engine.step()
    engine.step()
    engine.cancel("gone")
    now[0] = 6.0
    run(engine)
    assert {listener.reason[key] for key in listener.reason} == {"stop", "deadline", "cancelled"}
    assert not drafter._held
    assert drafter.pages.available == drafter.pages.count


def test_lookup_forgets(loaded):
    engine, listener = Engine(loaded, memory=40 * PAGE, page=4), Listener()
    engine.ask("a", [1, 2, 1, 2, 1, 2], GREEDY, listener.of("a"))
    engine.step()
    engine.step()
    assert isinstance(engine.ahead.drafter, Lookup)
    assert engine.ahead.drafter._of
    run(engine)
    assert not engine.ahead.drafter._of


def test_drafts_that_cost_more_than_they_bring_are_given_up(loaded):
    """Time is the test's own: a step takes 1, a draft 0.05 or 2."""
    answer = list(generate(loaded, [5, 6, 7], dataclasses.replace(GREEDY, max_tokens=60)))

    def drafted(seconds: float) -> int:
        now = [0.0]
        engine = Engine(loaded, memory=60 * PAGE, page=4, drafts=4, clock=lambda: now[0])
        oracle, run_batch = Oracle({(5, 6, 7): answer}, 0.6), engine.executor.run

        class Slow:
            steady, forget = True, oracle.forget

            def guess(self, wanted):
                found = oracle.guess(wanted)
                now[0] += seconds * sum(map(len, found.values()))
                return found

        class Timed:
            def run(self, batch):
                now[0] += 1.0
                return run_batch(batch)

        engine.executor, engine.ahead = Timed(), Ahead(Slow(), engine.clock)
        told = engine.ask("a", [5, 6, 7], dataclasses.replace(GREEDY, max_tokens=60), Listener().of("a"))
        run(engine)
        return told.drafted

    assert drafted(0.05) > 40
    assert drafted(2.0) < 12


def other_tokenizer(loaded: Loaded) -> Loaded:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    vocabulary = dict(loaded.tokenizer.backend.get_vocab())
    a, b = sorted(vocabulary)[:2]
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    return dataclasses.replace(
        loaded, tokenizer=Tokenizer(Backend(models.BPE(vocab=vocabulary, merges=[]))), name="other"
    )


def test_another_tokenizer_is_refused(loaded):
    assert unlike(loaded, loaded) == ""
    with pytest.raises(
        HandbookError, match=r"other can't draft for tiny: .* 2 of 256 tokens are others .* its 256"
    ):
        Engine(loaded, speculation="draft", draft=other_tokenizer(loaded))


@pytest.mark.parametrize(("speculation", "given"), [("draft", False), ("lookup", True), ("off", True)])
def test_a_draft_model_and_its_speculation_come_together(loaded, speculation, given):
    with pytest.raises(ValueError, match=f"'{speculation}' with {'a' if given else 'no'} draft model"):
        Engine(loaded, speculation=speculation, draft=loaded if given else None)


def test_a_model_that_knows_fewer_tokens_is_refused(loaded):
    with pytest.raises(HandbookError, match="stranger can't draft for tiny: it reads 200 of 256 tokens"):
        Engine(loaded, speculation="draft", draft=stranger(loaded, vocab_size=200))


def test_layers_that_a_model_does_not_have(loaded):
    with pytest.raises(ValueError, match="expected 1 to 2 layers of one kind, got 3"):
        first_layers(loaded, 3)
