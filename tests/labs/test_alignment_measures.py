"""What the alignment lab measures, by arithmetic done here; and broken code, which it notices."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from handbook.lab.alignment import learner, looks, memory, toy, tuned
from handbook.model import count
from handbook.train import dpo, grpo, preference
from handbook.train.conversations import Pair
from handbook.train.reward import RewardModel


@pytest.fixture
def nothing_kept() -> Iterator[None]:
    """For tests that break code: what is measured once per process must not outlive it."""
    kept = (tuned.subject, tuned._tune, tuned._reward, learner._learn)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def test_the_bandits_optimum_by_hand() -> None:
    """0.4 e^2, 0.3 e, 0.2, 0.1 e^-2, over their sum 3.985."""
    raised = [0.4 * math.exp(2), 0.3 * math.e, 0.2, 0.1 * math.exp(-2)]
    assert toy.optimum().tolist() == pytest.approx([x / sum(raised) for x in raised])
    assert toy.variation(torch.tensor([0.5, 0.5]), torch.tensor([0.2, 0.8])) == pytest.approx(0.3)


def test_dpo_is_rlhf_where_all_is_compared_and_free() -> None:
    assert toy.equivalence_gap() == 0
    assert toy.variation(toy.fitted(toy.table(), toy.EVERY, beta=2.0), toy.optimum(beta=2.0)) < 1e-6


def test_what_no_pair_holds_moves_with_what_it_shares() -> None:
    """By length, A gains a nat, B none, C loses one; D, twice as long as A, gains two that no pair asks."""
    raised = [0.4 * math.e, 0.3, 0.2 / math.e, 0.1 * math.exp(2)]
    assert toy.off_support_mass() == pytest.approx(raised[3] / sum(raised) - 0.1, rel=1e-6)
    free = [0.4 * math.e, 0.3, 0.2 / math.e, 0.1]
    found = toy.fitted(toy.table(), toy.WITHOUT_D)
    assert found[3].item() == pytest.approx(free[3] / sum(free), rel=1e-4)


def test_a_dpo_without_its_reference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(chosen: Tensor, rejected: Tensor, a: Tensor, b: Tensor, beta: float) -> Tensor:
        return dpo.dpo_loss(chosen, rejected, None, None, beta)

    monkeypatch.setattr(toy, "dpo_loss", alone)
    assert toy.equivalence_gap() > 0.05


def test_an_advantage_by_hand() -> None:
    """Rewards -0.04, -0.02, 1.02; errors 0.06, 0.18, 0.22."""
    assert toy.gae_example() == pytest.approx(0.06 + 0.95 * (0.18 + 0.95 * 0.22))
    assert toy.advantages(lam=0.0) == pytest.approx([0.06, 0.18, 0.22])
    assert toy.advantages(lam=1.0, beta=0.0) == pytest.approx([0.5, 0.4, 0.2])


def test_estimators_of_a_kl_summed_by_hand() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, noise = (torch.randn(1000, generator=draw).double() for _ in range(2))
    p, q = logits.softmax(dim=0), (logits + 0.3 * noise).softmax(dim=0)
    kl = (p * (p / q).log()).sum().item()
    d = (p / q).log()
    variance = (p * (d - kl) ** 2).sum().item()
    assert toy.estimator("k1") == pytest.approx((kl, variance))
    assert toy.estimator("k3")[0] == pytest.approx(kl)
    assert toy.estimator("k2")[0] != pytest.approx(kl, rel=1e-4)
    assert toy.k1_k3_variance() == pytest.approx(variance / toy.estimator("k3")[1])


def test_weights_are_counted_once_each() -> None:
    one = count.parameters(memory.SMOLLM2)
    assert memory.parameters(memory.modules("orpo")) == one
    assert memory.parameters(memory.modules("rlhf")) == 4 * one + 576 + 576 + 1  # two heads, a bias
    assert (memory.dpo_memory(), memory.orpo_memory()) == (2, 1)
    assert memory.rlhf_memory() == pytest.approx(4, rel=1e-4)
    assert all(p.is_meta for module in memory.modules("rlhf")[:2] for p in module.parameters())
    shared = memory.modules("sft") * 2
    assert memory.parameters(shared) == one
    with pytest.raises(ValueError, match="sft, orpo, dpo, rlhf"):
        memory.modules("kto")


def test_problems_are_apart_and_right() -> None:
    train, held_out = learner.problems()
    asked = [prompt.messages[0].content for prompt in (*train, *held_out)]
    assert len(asked) == len(set(asked)) == 720
    assert len(held_out) == 64
    assert all(prompt.answer == max(prompt.messages[0].content) for prompt in train)
    gambles = learner.GAMBLE.held_out
    assert len(gambles) == 3 * 64
    assert {prompt.answer for prompt in gambles[:3]} == set(gambles[0].messages[0].content)
    assert {prompt.messages[0].content for prompt in gambles} == {p.messages[0].content for p in held_out}


def test_checkers_by_hand() -> None:
    def said(text: str, whole: bool = True) -> Any:
        return SimpleNamespace(text=text, whole=whole)

    assert [learner.exact(said(*a), "4") for a in (("4",), ("4", False), ("42",), ("",))] == [1, 0, 0, 0]
    assert [learner.anywhere(said(*a), "4") for a in (("4",), ("214", False), ("2",))] == [1, 1, 0]


def test_rewards_teach_the_tiny_model_and_fool_it() -> None:
    honest, fooled = learner.learn("grpo", 0), learner.learn("hacking", 0)
    assert honest.before.right < 0.4 < 0.6 < honest.after.right
    assert fooled.after.reward > fooled.before.reward + 0.2
    assert fooled.after.right < 0.1 < 0.2 < fooled.before.right
    assert len(honest.rounds) == learner.SHORT["grpo"]
    assert fooled.rounds[-1]["length"] > 4
    assert honest is learner.learn("grpo", 0)
    assert not honest.clipped  # one pass a round: the ratio is 1


def test_ppo_learns_and_its_clip_is_counted() -> None:
    found = learner.learn("ppo", 0)
    assert found.after.right > 0.6
    assert len(found.clipped) == learner.SHORT["ppo"]  # of every second pass
    assert 0 < learner.clip_share()[0] == pytest.approx(sum(found.clipped) / len(found.clipped))


def test_advantages_of_the_wrong_sign_are_noticed(
    nothing_kept: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handbook.train import rounds

    monkeypatch.setattr(rounds, "grpo_advantages", lambda *args: -grpo.grpo_advantages(*args))
    assert learner.grpo_success()[0] < 0.3


def test_halves_share_no_pair() -> None:
    found = tuned.subject(small=True)
    assert found.train(0) == found.sides[0]
    assert found.held_out(0) == found.sides[1][: tuned.SMALL.read]
    texts = [{pair.chosen.tokens for pair in side} for side in found.sides]
    assert not texts[0] & texts[1]
    assert all(pair.reference is not None for side in found.sides for pair in side)


def test_preferences_of_digits() -> None:
    for pair in tuned.digits(20):
        asked, right, wrong = pair.prompt[0].content, pair.chosen[0].content, pair.rejected[0].content
        assert right == max(asked)
        assert wrong[0] in asked
        assert wrong[0] != right
    assert {len(pair.rejected[0].content) for pair in tuned.digits(20)} == {1, 2}


def test_the_first_loss_is_log_2_and_the_base_comes_back() -> None:
    model = tuned.subject(small=True).loaded.model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert tuned.dpo_first_loss() == pytest.approx(math.log(2), abs=1e-6)
    tuned.tuned("orpo", 1.0, 0)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_dpo_moves_towards_what_was_chosen() -> None:
    assert min(tuned.dpo_accuracy()) > 0.75
    assert min(tuned.orpo_accuracy()) > 0.75
    assert sum(tuned.dpo_likelier()) > sum(tuned.dpo_accuracy_base())
    assert all(high < low for high, low in zip(tuned.dpo_kl_high_beta(), tuned.dpo_kl(), strict=True))
    found = tuned.tuned("dpo", 0.1, 0)
    assert found.tokens == 2  # a digit and the end
    assert tuned.dpo_chosen_change()[0] == pytest.approx(found.seen.chosen / 2)
    assert found is tuned.tuned("dpo", 0.1, 0)


def test_a_loss_of_the_wrong_sign_is_noticed(nothing_kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(chosen: Tensor, rejected: Tensor, a: Tensor, b: Tensor, *rest: Any) -> Tensor:
        return dpo.dpo_loss(rejected, chosen, b, a, *rest)

    monkeypatch.setattr(preference, "dpo_loss", flipped)
    assert max(tuned.dpo_accuracy()) < 0.35


def test_rewards_are_each_answers_own() -> None:
    """One pair at a time gives what rows of many give."""
    found = tuned.subject(small=True)
    with tuned.adapted(found.loaded, found.setting):
        model = RewardModel(found.loaded.model)
        torch.nn.init.ones_(model.head.weight)
        pairs = found.held_out(0)[:7]
        chosen, rejected = tuned.rewards(model, pairs, found.setting)
        for pair, *both in zip(pairs, chosen, rejected, strict=True):
            alone = model(preference.pack_pairs([pair])).tolist()
            assert both == pytest.approx(alone, abs=1e-4)


def test_reward_figures_by_hand() -> None:
    found = tuned.Rewarded([1.0, 2.0, 0.0], [0.0, 2.0, 5.0], [1, 2, 0], [0, 2, 5])
    assert found.accuracy == 0.5  # right, a tie, wrong
    assert found.with_length == pytest.approx(1)
    assert sum(tuned.reward_accuracy()) / 2 > 0.6
    assert all(-1 <= each <= 1 for each in tuned.reward_length_correlation())


def test_lengths_of_a_set_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def pair(chosen: str, rejected: str) -> Pair:
        ask, *sides = (tuned.Message("assistant", text) for text in ("?", chosen, rejected))
        return Pair((ask,), *((side,) for side in sides))

    monkeypatch.setattr(tuned, "records", lambda: [pair("abc", "a"), pair("a", "b"), pair("", "b")])
    assert tuned.length_baseline() == 0.5


def test_a_live_run_of_dpo() -> None:
    pulls, kl = looks.dpo_run(0.5, steps=8)
    assert [pull.step for pull in pulls] == list(range(1, 9))
    assert (pulls[0].margin, pulls[0].weight) == pytest.approx((0, 0.5), abs=1e-4)
    assert all(pull.margin == pytest.approx(pull.chosen - pull.rejected) for pull in pulls)
    last = pulls[-1]
    assert last.weight == pytest.approx(1 / (1 + math.exp(0.5 * last.margin)), rel=1e-3)
    assert last.margin > 0.5
    assert kl > 0


def test_plots_along_a_line() -> None:
    found = looks.dpo_losses(0.1)
    assert dict(found["sigmoid"])[0.0] == pytest.approx(math.log(2))
    assert min(found["ipo"], key=lambda point: point[1])[0] == pytest.approx(5)
    assert dict(found["hinge"])[10.0] == 0
    bound = looks.clipped(1.0, 0.2)
    assert bound[-1][1] == pytest.approx(1.2)
    assert bound[0][1] == pytest.approx(0.4)
    assert looks.clipped(-1.0, 0.2)[0][1] == pytest.approx(-0.8)
    assert looks.clipped(-1.0, 0.2)[-1][1] == pytest.approx(-1.9)
    rows = looks.bandit(0.5, 2.0)
    assert [row["answer"] for row in rows] == list(toy.ANSWERS)
    for name in list(rows[0])[2:]:
        assert sum(row[name][1] for row in rows) == pytest.approx(1)  # type: ignore[index, misc]
