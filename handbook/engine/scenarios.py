"""Small loads that each show one thing about a scheduler. All requests and times are made up.

    header, steps = run(SCENARIOS["prefix"], Knobs(page=8))

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Mapping
from random import Random

from handbook.engine.scripted import Knobs, Scenario, token_at
from handbook.engine.work import Request

Load = list[tuple[float, Request]]


def _prompt(name: str, length: int, shared: int = 0) -> tuple[int, ...]:
    """Tokens of a prompt; the first `shared` are the same for all."""
    begin = tuple(token_at("shared", 0, place) for place in range(shared))
    return begin + tuple(token_at(f"prompt of {name}", 0, place) for place in range(length - shared))


def _mixed() -> Load:
    random, now, load = Random(4), 0.0, []
    for number in range(16):
        name = f"request {number + 1}"
        prompt = min(220, int(random.lognormvariate(3.6, 0.8)) + 8)
        most = min(90, int(random.lognormvariate(3.2, 0.6)) + 4)
        load.append((now, Request(id=name, prompt=_prompt(name, prompt), max_tokens=most)))
        now += random.expovariate(1 / 0.03)
    return load


def _prefix() -> Load:
    random, load = Random(7), []
    for number in range(10):
        name = f"question {number + 1}"
        prompt = _prompt(name, 128 + random.randrange(6, 30), 128)
        load.append((number * 0.04, Request(id=name, prompt=prompt, max_tokens=random.randrange(16, 40))))
    return load


def _pressure() -> Load:
    random, load = Random(11), []
    for number in range(8):
        name = f"story {number + 1}"
        prompt = _prompt(name, random.randrange(24, 64))
        load.append((number * 0.02, Request(id=name, prompt=prompt, max_tokens=random.randrange(90, 150))))
    return load


def _long() -> Load:
    load = [
        (0.0, Request(id=name, prompt=_prompt(name, 16), max_tokens=60))
        for name in ("chat 1", "chat 2", "chat 3", "chat 4")
    ]
    return [*load, (0.08, Request(id="document", prompt=_prompt("document", 420), max_tokens=24))]


def _copying() -> Load:
    names = ("edit 1", "edit 2", "edit 3")
    return [
        (at * 0.03, Request(id=name, prompt=_prompt(name, 90), max_tokens=80))
        for at, name in enumerate(names)
    ]


def _samples() -> Load:
    pairs = (("poem", 4, 44, 40), ("letter", 2, 70, 30))
    return [
        (at * 0.05, Request(id=name, prompt=_prompt(name, size), max_tokens=most, samples=samples))
        for at, (name, samples, size, most) in enumerate(pairs)
    ]


def _scenarios() -> Mapping[str, Scenario]:
    every = (
        Scenario(
            "mixed",
            "Mixed arrivals",
            "Texts of all lengths come and go; each step the batch is made anew, and a place that is free is "
            "taken at once.",
            _mixed(),
            Knobs(),
        ),
        Scenario(
            "prefix",
            "A shared beginning",
            "Ten questions begin with the same 128 tokens. The first computes them, the others find them: "
            "shared pages carry a number, of those who share them.",
            _prefix(),
            Knobs(),
        ),
        Scenario(
            "pressure",
            "Too little memory",
            "Eight stories grow until no page is left. The last in order makes room and comes back later.",
            _pressure(),
            Knobs(memory=512),
        ),
        Scenario(
            "long-prompt",
            "A long prompt beside chats",
            "Four chats are being answered when a document of 420 tokens comes. In pieces it leaves them "
            "their turn; whole it makes them wait for one long step.",
            _long(),
            Knobs(tokens=48),
        ),
        Scenario(
            "copying",
            "Guessing ahead",
            "Three texts mostly copy. Each step checks four guesses for each; those that are right come at "
            "once.",
            _copying(),
            Knobs(drafts=4),
            right=0.85,
        ),
        Scenario(
            "samples",
            "Several answers to one prompt",
            "Four continuations share the prompt's pages. Who writes into a shared page gets a copy first.",
            _samples(),
            Knobs(memory=512),
        ),
    )
    return {scenario.name: scenario for scenario in every}


SCENARIOS = _scenarios()
