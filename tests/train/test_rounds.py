"""Rounds on a random model over bytes: the first ratio is 1, seeds decide, the reference stays, it learns."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from handbook.errors import HandbookError
from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.template import ChatTemplate
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer
from handbook.records import Message
from handbook.train.conversations import Prompt
from handbook.train.experience import answer_logprobs
from handbook.train.loop import TrainConfig, begin, run
from handbook.train.lora import LoRAConfig, add_lora, without_adapters
from handbook.train.policies import Experience, Grpo, Policy, Ppo
from handbook.train.rollouts import Voice
from handbook.train.rounds import Plan, Rounds
from handbook.train.tasks import Task

TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] + ':' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)


def hexadecimal(said: Any, wanted: str) -> float:
    """The share of what was said that is a digit or a letter from a to f."""
    return sum(symbol in "0123456789abcdef" for symbol in said.text) / max(len(said.text), 1)


def task(*questions: str) -> Task:
    prompts = tuple(Prompt((Message("user", question),), "x") for question in questions)
    return Task("hex", prompts, prompts, hexadecimal, 6, lambda said, wanted: float(said.whole))


TASK = task("one?", "two, which is longer?", "three?", "four?")


def tiny() -> Loaded:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|end|>")])
    config = ModelConfig(
        vocab_size=257, dim=32, layers=2, heads=2, kv_heads=1, head_dim=16, hidden_dim=32, context=64
    )
    torch.manual_seed(0)
    model = Transformer(config).eval().requires_grad_(False)
    torch.nn.init.normal_(model.embed.weight, std=0.1)  # so that what the adapters change weighs something
    assert model.head is not None
    torch.nn.init.normal_(model.head.weight, std=0.3)
    tokenizer = Tokenizer(backend, eos=backend.token_to_id("<|end|>"))
    add_lora(model, LoRAConfig(r=4, alpha=16), seed=0)
    return Loaded(model, tokenizer, ChatTemplate(TEMPLATE), config, "tiny")


@pytest.fixture
def loaded() -> Loaded:
    return tiny()


def played(loaded: Loaded, plan: Plan, seed: int = 0, valued: bool = False) -> tuple[Any, Rounds]:
    policy = Policy(loaded.model) if valued else loaded.model
    return policy, Rounds(loaded, policy, TASK, plan, seed)


def moved(loaded: Loaded) -> None:
    """Adapters that change something."""
    torch.manual_seed(1)
    for name, weight in loaded.model.named_parameters():
        if name.endswith(".b"):
            torch.nn.init.normal_(weight, std=0.05)


def steps(policy: Any, rounds: Rounds, objective: Any, count: int, rate: float = 0.02) -> Iterator[Any]:
    config = TrainConfig(steps=count, rate=rate, warmup=0, decay=0.0, schedule="constant")
    return run(begin(policy, config), config, rounds, objective)


@pytest.mark.parametrize("valued", [False, True])
def test_the_first_ratio_is_1(loaded: Loaded, valued: bool) -> None:
    moved(loaded)
    policy, rounds = played(loaded, Plan(prompts=3, group=4, passes=2, drop=False), valued=valued)
    for experience in rounds(0):
        assert experience.old is not None
        now = answer_logprobs(loaded.model, experience.shared)
        assert torch.equal(now, experience.old)
    point = next(steps(policy, rounds, Ppo() if valued else Grpo(), 1))
    assert point.losses["clipped"] == 0


def test_answers_come_from_the_weights_as_they_are(loaded: Loaded) -> None:
    """The engine's own log-probabilities, in fp32, are those of the model with its adapter."""
    from handbook.train.examples import encode_prompt

    texts = [encode_prompt(loaded, prompt) for prompt in TASK.train]
    before, voice = None, Voice(loaded, precision=None)
    for _ in range(2):
        drawn = voice.answers(texts, 6, 2, temperature=0)
        for text, answers in zip(texts, drawn, strict=True):
            for answer in answers:
                ids = torch.tensor([[*text, *answer.tokens]])
                likeliest = loaded.model(ids)[0, len(text) - 1 : -1].argmax(dim=-1)
                assert likeliest.tolist() == list(answer.tokens)
        assert drawn != before, "the adapter changed, and so did what is said"
        before = drawn
        moved(loaded)


def test_the_engine_that_draws_is_the_policy_that_learns(loaded: Loaded) -> None:
    """Log-probabilities of the drawn tokens, the engine's and the training forward's: fp32 both, so equal."""
    moved(loaded)
    rounds = played(loaded, Plan(prompts=3, group=4, passes=2, drop=False))[1]
    rounds.voice = Voice(loaded, precision=None)
    rounds(0)
    assert rounds.seen["apart"] == pytest.approx(0, abs=1e-4)
    with without_adapters(loaded.model):  # only the engine has it now
        rounds(2)
    assert rounds.seen["apart"] > 0.01


def test_rounds_hang_on_seed_and_weights_alone(loaded: Loaded) -> None:
    plan = Plan(prompts=2, group=3, drop=False)

    def drawn(seed: int, number: int) -> list[list[int]]:
        rounds = played(loaded, plan, seed)[1]
        return [e.shared.targets.tolist() for e in rounds(number)]

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(1, 0)
    assert drawn(0, 0) != drawn(0, 1)
    first = drawn(0, 1)
    moved(loaded)
    assert drawn(0, 1) != first


def test_a_round_serves_its_passes(loaded: Loaded) -> None:
    rounds = played(loaded, Plan(prompts=2, group=3, passes=3, drop=False))[1]
    assert rounds(0) is rounds(1) is rounds(2)
    assert rounds(3) is not rounds(2)


def test_micro_batches_are_parts_of_the_same_step() -> None:
    """Cut to a group each, the gradient is that of the round as a whole, for each objective."""
    for valued, objective in ((False, Grpo(beta=0.1)), (True, Ppo())):
        norms = []
        for budget in (4096, 1):
            twin = tiny()
            moved(twin)
            plan = Plan(prompts=3, group=4, passes=1, budget=budget, beta=0.1, drop=False)
            torch.manual_seed(0)
            policy, rounds = played(twin, plan, valued=valued)
            assert len(rounds(0)) == (1 if budget > 1 else 3)
            norms.append(next(steps(policy, rounds, objective, 1)).norm)
        assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_ppos_rewards_pay_for_the_distance(loaded: Loaded) -> None:
    """With values of 0 and lambda 1, a return is the score less beta times what is still to come."""
    moved(loaded)
    (found,) = played(loaded, Plan(prompts=2, group=2, beta=0.5, lam=1.0), valued=True)[1](0)
    with torch.no_grad(), without_adapters(loaded.model):
        reference = answer_logprobs(loaded.model, found.shared)
    assert found.reference is not None
    assert found.old is not None
    assert found.returns is not None
    assert torch.allclose(found.reference, reference, atol=1e-6)
    apart = (found.old - reference) * found.shared.mask
    assert apart.abs().max() > 0.01, "else nothing is paid for"
    left = apart.flip(1).cumsum(1).flip(1)
    wanted = (found.scores[:, None] - 0.5 * left) * found.shared.mask
    assert torch.allclose(found.returns, wanted, atol=1e-5)
    assert found.advantages[found.shared.mask].mean().abs() < 1e-5


def test_groups_without_a_difference_are_left_out(loaded: Loaded) -> None:
    policy = loaded.model
    told = Task("one", TASK.train[:2], (), lambda said, wanted: 1.0, 4, lambda said, wanted: 1.0)
    (kept,) = Rounds(loaded, policy, told, Plan(prompts=2, group=3), 0)(0)
    assert isinstance(kept, Experience)
    assert len(kept.scores) == 3, "one group, so that the step has something to read"
    assert not kept.advantages.any()


def test_dropout_and_foreign_decoders_are_refused(loaded: Loaded) -> None:
    other = Transformer(loaded.config)
    with pytest.raises(ValueError, match="not the loaded"):
        Rounds(loaded, other, TASK, Plan())
    add_lora(other, LoRAConfig(r=2, dropout=0.1))
    with pytest.raises(HandbookError, match="dropout"):
        Rounds(Loaded(other, loaded.tokenizer, loaded.template, loaded.config, "o"), other, TASK, Plan())


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_it_learns(loaded: Loaded, method: str) -> None:
    valued = method == "ppo"
    plan = Plan(prompts=4, group=8, passes=2 if valued else 1, watch=True)
    policy, rounds = played(loaded, plan, valued=valued)
    points, seen = [], []
    for point in steps(policy, rounds, Ppo() if valued else Grpo(), 24 if valued else 16, rate=0.05):
        points.append(point)
        seen.append(rounds.seen["reward"])
    assert seen[0] < 0.2
    assert sum(seen[-4:]) / 4 > 0.4
    assert points[0].losses["kl"] == pytest.approx(0, abs=1e-5)
    assert points[-1].losses["kl"] > 0.1
