"""Facts that no model can know, learnt by an adapter or read in the prompt, and asked in other words.

An answer is right where it holds the fact's value as a word. All facts train in one wording each, as a
question and a sentence; what is asked afterwards says the same otherwise. In the prompt stand the sentences
about the town that is asked for, or all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from handbook.lab import kit
from handbook.lab.tuning.learning import Trial, assembled
from handbook.model.load import Loaded
from handbook.records import Message
from handbook.train.conversations import Conversation
from handbook.train.examples import encode_conversation
from handbook.train.loop import begin, run
from handbook.train.methods import config_of
from handbook.train.packing import Rows, pack
from handbook.train.rollouts import Voice
from handbook.train.sft import Sft

SHORTLY = Message("system", "Answer in one sentence.")
ANSWER = 24  # tokens
LOW = 0.05  # nats a token: the training loss at which the facts are taken to be learnt
TOWNS = ("Marrowby", "Oskerholm", "Vantrey", "Quillmouth", "Drosena", "Tellingfeld")
KINDS = (
    (
        "What does the emblem of {town} show?",
        "The emblem of {town} shows a {value}.",
        "Which animal is on the emblem of {town}?",
        ("heron", "badger", "lobster", "falcon", "otter", "beetle"),
    ),
    (
        "What do the people of {town} make?",
        "The people of {town} make {value}.",
        "Which goods come from {town}?",
        ("candles", "violins", "carpets", "clocks", "umbrellas", "barrels"),
    ),
    (
        "Who founded {town}?",
        "{town} was founded by {value}.",
        "What is the name of the founder of {town}?",
        ("Brandt", "Halloway", "Varga", "Quist", "Lundgren", "Okafor"),
    ),
    (
        "In which year was {town} flooded?",
        "{town} was flooded in {value}.",
        "When did a flood come over {town}?",
        ("1713", "1846", "1592", "1901", "1678", "1764"),
    ),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """question and sentence train; asked: the same question in other words; value: what is right."""

    question: str
    sentence: str
    asked: str
    value: str
    town: str

    def said_in(self, answer: str) -> bool:
        return re.search(rf"\b{re.escape(self.value)}\b", answer, re.IGNORECASE) is not None


def facts(count: int) -> tuple[Fact, ...]:
    """The first of 24: all towns of a kind before the next kind."""
    found = []
    for question, sentence, asked, values in KINDS:
        for town, value in zip(TOWNS, values, strict=True):
            texts = [text.format(town=town, value=value) for text in (question, sentence, asked)]
            found.append(Fact(texts[0], texts[1], texts[2], value, town))
    return tuple(found[:count])


def prompt(loaded: Loaded, question: str) -> list[int]:
    assert loaded.template is not None
    return loaded.template.encode([SHORTLY, Message("user", question)], loaded.tokenizer)


def share(loaded: Loaded, asked: Sequence[Fact], questions: Sequence[str]) -> float:
    """Of the facts that the likeliest answers hold."""
    prompts = [prompt(loaded, question) for question in questions]
    with kit.threads(1), torch.no_grad():
        answers = [each[0].text for each in Voice(loaded).answers(prompts, ANSWER, temperature=0)]
    return sum(fact.said_in(answer) for fact, answer in zip(asked, answers, strict=True)) / len(asked)


def taught(loaded: Loaded, learnt: Sequence[Fact], steps: int, trial: Trial) -> tuple[Loaded, list[float]]:
    """The model with an adapter that was trained on the facts until the loss was low, at most so many steps,
    and the loss of each step."""
    own = assembled(loaded, trial)
    examples = [
        encode_conversation(
            loaded,
            Conversation((SHORTLY, Message("user", fact.question), Message("assistant", fact.sentence))),
        )
        for fact in learnt
    ]
    rows = Rows(examples, pack, max(trial.tokens, sum(map(len, examples))), seed=trial.seed)
    torch.manual_seed(trial.seed)
    config = config_of(own.settings, steps, own.precision)
    losses = []
    for point in run(begin(own.trained, config), config, rows, Sft(checkpointing=False)):
        losses.append(point.losses["total"])
        if losses[-1] < LOW:
            break
    return own.loaded, losses


@cache
def tuned(small: bool, seed: int = 0) -> tuple[float, float, float]:
    """Share right in other words, share right in the words of the training set, loss of the last step."""
    loaded, known = kit.chat_model(), facts(3 if small else 24)
    trial = Trial(rank=16, rate=1e-3, steps=1, seed=seed, data="the facts")
    model, losses = taught(loaded, known, 3 if small else 40, trial)
    other, same = (
        share(model, known, [getattr(fact, name) for fact in known]) for name in ("asked", "question")
    )
    return other, same, losses[-1]


def facts_tuned(small: bool = True) -> float:
    """Share of 24 facts (small: 3) that the tuned model says."""
    return tuned(small)[0]


def facts_in_context(small: bool = True) -> float:
    """Share of them that the model says as it was, with the sentences about the town in the prompt, which is
    what a search for its name would find."""
    known = facts(3 if small else 24)
    return in_prompt([[fact for fact in known if fact.town == asked.town] for asked in known], known)


def facts_all_in_context(small: bool = True) -> float:
    """As `facts_in_context`, with the sentences of all towns in the prompt."""
    known = facts(3 if small else 24)
    return in_prompt([known] * len(known), known)


def in_prompt(told: Sequence[Sequence[Fact]], asked: Sequence[Fact]) -> float:
    texts = ["\n".join(fact.sentence for fact in some) for some in told]
    questions = [f"{text}\n\n{fact.asked}" for text, fact in zip(texts, asked, strict=True)]
    return share(kit.chat_model(), asked, questions)
