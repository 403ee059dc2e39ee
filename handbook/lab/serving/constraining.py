"""Constrained decoding by numbers: what a JSON schema costs a text, and what one mask costs a step."""

import json
from statistics import median
from typing import Any

from handbook.engine.constrained import Constraint, Vocabulary, json_schema
from handbook.lab import kit
from handbook.lab.serving.machine import Session, in_turns
from handbook.lab.serving.speculation import prompt, seconds_per_token
from handbook.lab.serving.steps import Bench
from handbook.lab.serving.streams import Job

SHORT = {"type": "string", "minLength": 1, "maxLength": 24}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": SHORT,
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "home": {"type": "object", "properties": {"street": SHORT, "city": SHORT}, "required": ["city"]},
        "books": {"type": "array", "items": SHORT, "minItems": 2, "maxItems": 4},
        "mood": {"enum": ["calm", "curious", "cross"]},
    },
    "required": ["name", "age", "home", "books", "mood"],
    "additionalProperties": False,
}
QUESTION = "Invent a lighthouse keeper and describe the person as JSON."
EXAMPLE = {
    "name": "Ada Holm",
    "age": 61,
    "home": {"street": "Harbour Row 4", "city": "Skagen"},
    "books": ["Weather", "Tides and stars"],
    "mood": "calm",
}


def constraint() -> Constraint:
    """Of the schema, for SmolLM2-135M. Raises ModelUnavailable without it."""
    loaded = kit.chat_model()
    vocabulary = Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size)
    return vocabulary.compile(json_schema(SCHEMA))


def described(tokens: int, bound: bool) -> Session:
    """The answer, at temperature 0, kept to the schema or not, with drafts on both sides."""
    session = Session(kit.chat_model(), pages=64, speculation="lookup")
    session.ask(Job(0.0, prompt(QUESTION), tokens), constraint=constraint() if bound else None)
    with kit.quiet():
        return session.run()


def constrained_step_cost(small: bool = True) -> list[float]:
    """Tokens per second with the schema over without, the first token apart."""
    tokens = 20 if small else 64
    return in_turns(
        lambda: seconds_per_token(described(tokens, bound=False)),
        lambda: seconds_per_token(described(tokens, bound=True)),
        3 if small else 5,
    )


def constrained_mask_share(small: bool = True) -> float:
    """Seconds of one mask, the median over a text that the schema takes, over those of a step for one
    sequence."""
    loaded = kit.chat_model()
    text, masks = constraint(), []
    for token in loaded.tokenizer.encode(json.dumps(EXAMPLE)):
        masks.append(kit.seconds(text.allowed))
        text.accept(token)
    step = Bench(loaded, 1, 144).decode(1, 128)
    with kit.quiet():
        return median(masks) / median(kit.seconds(step) for _ in range(5 if small else 25))
