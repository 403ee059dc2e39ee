"""A tiny decoder that learns from rewards: the largest of three digits, and a checker that can be fooled.

It begins with random weights, is fine-tuned to say one of the three digits and stop, and is then paid for
what it says, through the same rounds, engine and objectives as the real model of `handbook bench alignment`;
only the task is small enough for seconds. All runs are on one thread and made once per process, since several
claims look at the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from random import Random
from statistics import fmean
from threading import Lock
from typing import Any, Literal

import torch

from handbook.lab import kit
from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.template import ChatTemplate
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer
from handbook.records import Message
from handbook.train.conversations import Conversation, Prompt
from handbook.train.examples import encode_conversation, encode_prompt
from handbook.train.loop import TrainConfig, begin, run
from handbook.train.packing import Rows, pack
from handbook.train.policies import Grpo, Policy, Ppo
from handbook.train.rollouts import Voice
from handbook.train.rounds import Plan, Rounds
from handbook.train.sft import Sft
from handbook.train.tasks import Said, Task
from handbook.train.tiny import initialise

Method = Literal["grpo", "ppo", "hacking"]
DIGITS, END = "0123456789", "<|end|>"
LETTERS = (*DIGITS, "=", " ")
TEMPLATE = (
    "{% for m in messages %}{{ m.content + ('<|end|>' if m.role == 'assistant' else '=') }}{% endfor %}"
)
HELD_OUT = 64
MOST = 6  # tokens of an answer
SAMPLES = 8
_training = Lock()


def exact(said: Said, wanted: str) -> float:
    """1 for the wanted digit and an end there, else 0."""
    return float(said.whole and said.text == wanted)


def anywhere(said: Said, wanted: str) -> float:
    """1 where the wanted digit stands somewhere: the checker that can be fooled."""
    return float(wanted in said.text)


def problems(seed: int = 0) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Three different digits, of which the largest is wanted: to train on, and 64 of the 720 held out."""
    every = ["".join(digits) for digits in permutations(DIGITS, 3)]
    Random(seed).shuffle(every)
    prompts = tuple(Prompt((Message("user", digits),), max(digits)) for digits in every)
    return prompts[HELD_OUT:], prompts[:HELD_OUT]


def gambles(seed: int = 0) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """The same digits, one of which was drawn where nobody saw it: each question stands there three times,
    once with each as the right answer. Who answers with one digit is right in a third of the cases."""
    train, held_out = (
        tuple(Prompt(prompt.messages, digit) for prompt in side for digit in prompt.messages[0].content)
        for side in problems(seed)
    )
    return train, held_out


TASK = Task("largest digit", *problems(), exact, MOST, exact)
GAMBLE = Task("which digit", *gambles(), anywhere, MOST, exact)


def newborn(seed: int) -> Loaded:
    """A decoder of two layers over digits, with random weights that all train."""
    from tokenizers import AddedToken, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.BPE(vocab={letter: n for n, letter in enumerate(LETTERS)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(END)])
    config = ModelConfig(
        vocab_size=len(LETTERS) + 1,
        dim=64,
        layers=2,
        heads=2,
        kv_heads=2,
        head_dim=32,
        hidden_dim=128,
        context=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(config)
        initialise(model, seed)
    tokenizer = Tokenizer(backend, eos=backend.token_to_id(END))
    return Loaded(model, tokenizer, ChatTemplate(TEMPLATE), config, "newborn")


def settings(steps: int, rate: float) -> TrainConfig:
    """The same rate from the third step on."""
    return TrainConfig(steps=steps, rate=rate, warmup=3, decay=0.0, schedule="constant")


def taught(loaded: Loaded, steps: int, seed: int) -> None:
    """Fine-tuned on guesses at `GAMBLE`: one of the digits, and the end. One text in ten names two, as
    people's texts are not all alike either: what is never said is never rewarded."""
    random, texts = Random(seed), []
    for number, prompt in enumerate(GAMBLE.train):
        second = random.choice(prompt.messages[0].content) if number % 10 == 0 else ""
        answer = Message("assistant", (prompt.answer or "") + second)
        texts.append(Conversation((*prompt.messages, answer)))
    rows = Rows([encode_conversation(loaded, text) for text in texts], pack, 256, 1, seed)
    for _ in run(begin(loaded.model, config := settings(steps, 3e-3)), config, rows, Sft()):
        pass


@dataclass(frozen=True)
class Look:
    """Held-out problems, answered at temperature 1: mean reward, and share that is right in truth."""

    reward: float
    right: float


@dataclass(frozen=True)
class Learnt:
    """A run. rounds: what each drew, `Rounds.seen`; clipped: share of tokens that the clip stopped, of every
    pass after a round's first."""

    before: Look
    after: Look
    rounds: list[dict[str, float]] = field(default_factory=list)
    clipped: list[float] = field(default_factory=list)
    says: tuple[str, ...] = ()


def looked(loaded: Loaded, task: Task) -> tuple[Look, tuple[str, ...]]:
    """Eight answers to each held-out problem, judged; and some of what was said."""
    texts = [encode_prompt(loaded, prompt) for prompt in task.held_out]
    drawn = Voice(loaded, precision=None).answers(texts, task.most, SAMPLES, seed=4711)
    told = list(zip(task.held_out, drawn, strict=True))
    prompts, answers = (
        [prompt for prompt, row in told for _ in row],
        [each for _, row in told for each in row],
    )
    look = Look(fmean(task.rewards(prompts, answers)), fmean(task.truths(prompts, answers) or ()))
    return look, tuple(f"{prompt.messages[0].content}={row[0].text}" for prompt, row in told[:5])


PASSES = {"grpo": 1, "ppo": 2, "hacking": 1}
ROUNDS = {"grpo": 60, "ppo": 60, "hacking": 60}
SHORT = {"grpo": 15, "ppo": 15, "hacking": 28}
RATES = {"grpo": 1e-3, "ppo": 1e-3, "hacking": 2e-3}


def learn(method: Method, seed: int, small: bool = True) -> Learnt:
    """A whole run, made once per process."""
    with _training:  # two readers who open the lab at once wait for one training
        return _learn(method, seed, small)


@cache
def _learn(method: Method, seed: int, small: bool) -> Learnt:
    with kit.threads(1):
        return learning(method, seed, (SHORT if small else ROUNDS)[method])


def learning(
    method: Method, seed: int, rounds: int, watch: Callable[[dict[str, float]], None] = lambda seen: None
) -> Learnt:
    """Fine-tuned on honest guesses, then so many rounds of 16 prompts with 8 answers each. watch: sees every
    round."""
    loaded, passes = newborn(seed), PASSES[method]
    task = GAMBLE if method == "hacking" else TASK
    taught(loaded, 60, seed)
    policy = Policy(loaded.model, through=True) if method == "ppo" else loaded.model
    batches = Rounds(loaded, policy, task, Plan(prompts=16, group=8, passes=passes, drop=False), seed)
    batches.voice = Voice(loaded, precision=None)  # fp32, as the training forward
    objective: Any = Ppo() if method == "ppo" else Grpo()
    config = settings(rounds * passes, RATES[method])
    before, _ = looked(loaded, task)
    seen, clipped = list[dict[str, float]](), list[float]()
    for point in run(begin(policy, config), config, batches, objective):
        if (point.step - 1) % passes:  # the first pass has ratio 1
            clipped.append(point.losses["clipped"])
        if point.step % passes == 0:
            seen.append({"round": float(len(seen) + 1), **batches.seen})
            watch(seen[-1])
    after, says = looked(loaded, task)
    return Learnt(before, after, seen, clipped, says)


def seeds(small: bool) -> range:
    return range(1 if small else 3)


def grpo_success(small: bool = True) -> list[float]:
    return [learn("grpo", seed, small).after.right for seed in seeds(small)]


def ppo_success(small: bool = True) -> list[float]:
    return [learn("ppo", seed, small).after.right for seed in seeds(small)]


def clip_share(small: bool = True) -> list[float]:
    return [fmean(learn("ppo", seed, small).clipped) for seed in seeds(small)]


def hacking_proxy_gain(small: bool = True) -> list[float]:
    runs = (learn("hacking", seed, small) for seed in seeds(small))
    return [found.after.reward - found.before.reward for found in runs]


def hacking_true_change(small: bool = True) -> list[float]:
    runs = (learn("hacking", seed, small) for seed in seeds(small))
    return [found.after.right - found.before.right for found in runs]
