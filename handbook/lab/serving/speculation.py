"""Speculation by numbers: what drafts bring on text that copies and on text that doesn't, how well the
formula foretells it, and that neither way to accept changes what is said.
"""

from functools import cache
from random import Random

import torch

from handbook.engine.drafts import Speculation
from handbook.engine.sampler import draw
from handbook.engine.speculative import PromptLookup, accept_by_rejection, expected_tokens
from handbook.lab import kit
from handbook.lab.serving.machine import LETTERS, Session, in_turns, random_model, run
from handbook.lab.serving.streams import Job, Lengths, stream
from handbook.lab.transformer.subjects import PASSAGE
from handbook.records import Message, Sampling

PLAIN = Sampling(temperature=0.0)
COPY = "Repeat this text word for word:\n\n" + ". ".join(PASSAGE.split(". ")[:4]) + "."
PROSE = "Write a story about a storm at sea."


def prompt(request: str) -> list[int]:
    """In the tokens of SmolLM2-135M, as one turn of a conversation. Raises ModelUnavailable without it."""
    loaded = kit.chat_model()
    assert loaded.template is not None
    return loaded.tokenizer.encode(loaded.template.render([Message("user", request)]))


def saying(request: str, tokens: int, speculation: Speculation) -> Session:
    return run(kit.chat_model(), [Job(0.0, prompt(request), tokens)], speculation=speculation, pages=64)


def seconds_per_token(session: Session) -> float:
    """Of an answer, its first token apart."""
    times = session.times[0]
    return (times[-1] - times[0]) / (len(times) - 1)


def gain(request: str, small: bool) -> list[float]:
    tokens = 20 if small else 64

    def pace(speculation: Speculation) -> float:
        return seconds_per_token(saying(request, tokens, speculation))

    return in_turns(lambda: pace("off"), lambda: pace("lookup"), 3 if small else 5)


def lookup_gain_copy(small: bool = True) -> list[float]:
    return gain(COPY, small)


def lookup_gain_prose(small: bool = True) -> list[float]:
    return gain(PROSE, small)


def lookup_acceptance_copy(small: bool = True) -> float:
    told = saying(COPY, 24 if small else 64, "lookup").told[0]
    return told.accepted / told.drafted


@cache
def copied(small: bool, drafts: int = 8) -> Session:
    """The copied text, drawn at temperature 0.7 for several readers at once, always with `drafts` drafts."""
    readers, tokens = (2, 32) if small else (6, 64)
    job = Job(0.0, prompt(COPY), tokens)
    with kit.quiet():
        session = Session(
            kit.chat_model(), [job] * readers, share=True, sampling=Sampling(temperature=0.7, seed=1)
        )
        scheduler, lookups = session.engine.scheduler, [PromptLookup() for _ in range(readers)]
        while session.engine.busy:
            for sequence in scheduler.running:
                if len(sequence.tokens) - sequence.table.length == 1:
                    lookup = lookups[int(sequence.request.id)]
                    scheduler.propose(sequence.id, lookup.guess(sequence.tokens, drafts))
            session.step()
    return session


def against_formula(session: Session) -> tuple[float, float, float]:
    """Share of drafts that were right, of those that were decided; tokens per step with drafts, measured and
    by the formula for that share."""
    steps = [pair for step in session.steps for pair in step.drafts]
    right = sum(accepted for _, accepted in steps)
    wrong = sum(accepted < drafted for drafted, accepted in steps)
    acceptance = right / (right + wrong)
    formula = sum(expected_tokens(acceptance, drafted) for drafted, _ in steps) / len(steps)
    return acceptance, right / len(steps) + 1, formula


def speculation_expected_error(small: bool = True) -> float:
    _, measured, formula = against_formula(copied(small))
    return abs(measured / formula - 1)


def rejection_distance(small: bool = True) -> list[float]:
    """Total variation between the first two tokens that are said through rejection and the model's own
    distribution of them: 4 tokens, each hanging on the one before it, drafts from another distribution."""
    times = 4_000 if small else 20_000
    return [said_apart(seed, times) for seed in range(1 if small else 3)]


def said_apart(seed: int, times: int, V: int = 4, drafts: int = 2) -> float:
    chance = torch.Generator().manual_seed(seed)
    p, q = (torch.randn(V, V, generator=chance).mul(1.5).softmax(-1) for _ in "pq")
    uniform, counts = Random(seed).random, torch.zeros(V, V)
    for _ in range(times):
        said = [0]
        while len(said) < 3:
            guessed = [said[-1]]
            for _ in range(drafts):
                guessed.append(draw(q[guessed[-1]], uniform()))
            uniforms = [uniform() for _ in range(2 * drafts + 2)]
            said += accept_by_rejection(guessed[1:], q[guessed[:-1]], p[guessed], uniforms)
        counts[said[1], said[2]] += 1
    return float((counts / times - p[0][:, None] * p).abs().sum()) / 2


def answers(speculation: Speculation, jobs: list[Job], alone: bool = False) -> list[str]:
    """What the random model says, drawn at temperature 0.1, where guesses are often right: all at once, or
    each `alone`."""
    found: list[str] = []
    for part in [[job] for job in jobs] if alone else [jobs]:
        session = Session(random_model(), sampling=Sampling(temperature=0.1), speculation=speculation)
        for number, job in enumerate(part, start=len(found)):
            session.ask(job, seed=number)
        with kit.quiet():
            found += session.run().texts
    return found


def small_talk() -> list[Job]:
    """Prompts that say something twice, so that there is something to look up."""
    lengths = Lengths(12, 16, 24, 0.3)
    jobs = stream(12, seed=9, prompts=lengths, answers=Lengths(40, 40, 40, 0.0), vocabulary=LETTERS)
    return [job._replace(prompt=(*job.prompt, *job.prompt)) for job in jobs]


def same_draw_identical(small: bool = True) -> float:
    jobs = small_talk()
    pairs = list(zip(answers("off", jobs), answers("lookup", jobs), strict=True))
    return sum(a == b for a, b in pairs) / len(pairs)


def batch_invariance(small: bool = True) -> float:
    """Answers that differ from what the same request says alone."""
    jobs = small_talk()
    together, alone = answers("off", jobs), answers("off", jobs, alone=True)
    return sum(a != b for a, b in zip(together, alone, strict=True))
