"""Training on pairs: packed rows, the objectives against trl's trainers, and what is measured held-out."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from handbook.errors import CheckpointError, HandbookError
from handbook.model.families import family_of
from handbook.model.load import from_hf
from handbook.train.examples import Example
from handbook.train.logprobs import per_document, row_logprobs
from handbook.train.loop import TrainConfig, begin, run
from handbook.train.lora import LoRAConfig, add_lora
from handbook.train.margins import held_out_pairs
from handbook.train.packing import IGNORE, Rows, pack, padded
from handbook.train.preference import (
    Dpo,
    ExamplePair,
    Orpo,
    Reward,
    answer_lengths,
    halves,
    pack_pairs,
    with_prompts,
    with_reference,
)
from handbook.train.reward import RewardModel, load_reward, save_reward

pytestmark = [  # of trl itself: it imports what it calls experimental, and asks transformers by an old name
    pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
TINY = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}
SIZES = [(5, 4, 7), (3, 6, 2), (8, 5, 5)]  # prompt, chosen, rejected; the chosen ones end anywhere
EVEN = [(4, 5, 7), (4, 5, 2), (4, 5, 6)]  # all chosen documents of one length


def pairs_of(sizes: list[tuple[int, int, int]], seed: int = 0) -> list[ExamplePair]:
    random = torch.Generator().manual_seed(seed)

    def made(prompt: list[int], length: int) -> Example:
        answer = torch.randint(1, TINY["vocab_size"], (length,), generator=random).tolist()
        return Example(tuple(prompt + answer), (False,) * len(prompt) + (True,) * length)

    found = []
    for prompt, chosen, rejected in sizes:
        words = torch.randint(1, TINY["vocab_size"], (prompt,), generator=random).tolist()
        found.append(ExamplePair(made(words, chosen), made(words, rejected)))
    return found


@dataclass(frozen=True)
class Twins:
    """The same random weights twice, and which of ours is which of theirs."""

    theirs: Any
    ours: Any
    folder: Path
    names: dict[str, str]

    def same_gradients(self) -> None:
        theirs = dict(self.theirs.named_parameters())
        for name, value in self.ours.named_parameters():
            assert value.grad.abs().max() > 0, name
            torch.testing.assert_close(value.grad, theirs[self.names[name]].grad, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Twins]:
    """twins(seed, head): a decoder, or with head a reward model."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    def make(seed: int = 1, head: bool = False) -> Twins:
        torch.manual_seed(seed)
        config = AutoConfig.for_model("llama", **TINY)
        theirs: Any = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        with torch.no_grad():
            for name, value in theirs.named_parameters():
                value.normal_(mean=1.0 if "norm" in name else 0.0, std=0.15)
        folder = tmp_path_factory.mktemp("twins")
        theirs.save_pretrained(folder)
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        ours: Any = from_hf(raw, folder).requires_grad_(True)
        table = family_of(raw).table
        names = {name: str(table.theirs(name)) for name, _ in ours.named_parameters()}
        if head:
            reward = AutoModelForSequenceClassification.from_config(
                AutoConfig.for_model("llama", num_labels=1, **TINY), attn_implementation="eager"
            )
            reward.model.load_state_dict(theirs.model.state_dict())
            theirs, ours = reward, RewardModel(ours)
            ours.head.load_state_dict({"weight": theirs.score.weight})
            names = {f"backbone.{a}": b for a, b in names.items()} | {"head.weight": "score.weight"}
        return Twins(theirs.train(), ours.train(), folder, names)

    return make


def batch_of(pairs: list[ExamplePair]) -> dict[str, Tensor]:
    """As trl's DPO collates them."""
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    def row(pair: ExamplePair) -> dict[str, Any]:
        prompt = pair.chosen.counted.index(True)
        known = dict(zip(("ref_chosen_logps", "ref_rejected_logps"), pair.reference or (), strict=False))
        return {
            "prompt_ids": list(pair.chosen.tokens[:prompt]),
            "chosen_ids": list(pair.chosen.tokens[prompt:]),
            "rejected_ids": list(pair.rejected.tokens[prompt:]),
            **known,
        }

    return DataCollatorForPreference(pad_token_id=0)([row(pair) for pair in pairs])


def accelerator() -> SimpleNamespace:
    """One process on a CPU."""
    alone: Any = lambda x: x  # noqa: E731
    return SimpleNamespace(device="cpu", gather=alone, gather_for_metrics=alone, unwrap_model=alone)


def trl_dpo(model: nn.Module, kind: str, reference: nn.Module | None = None, **more: Any) -> SimpleNamespace:
    """What DPOTrainer's own loss asks of its trainer."""
    from trl.trainer.utils import add_fused_lm_head

    for each in (model, reference):
        if each is not None and not hasattr(each, "_fused_twice"):
            add_fused_lm_head(each, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
            each._fused_twice = True
    return SimpleNamespace(
        model=model,
        ref_model=reference,
        accelerator=accelerator(),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=reference is None,
        f_divergence_type="reverse_kl",
        loss_types=[kind],
        loss_weights=[1.0],
        use_weighting=False,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **({"beta": 0.1, "label_smoothing": 0.0} | more),
    )


KINDS = [
    ("sigmoid", Dpo(0.1), {}),
    ("hinge", Dpo(0.1, "hinge"), {}),
    ("ipo", Dpo(0.1, "ipo"), {}),
    ("robust", Dpo(0.3, "robust", 0.2), {"beta": 0.3, "label_smoothing": 0.2}),
    ("sigmoid_norm", Dpo(0.5, normalised=True), {"beta": 0.5}),
]


@pytest.mark.parametrize(("kind", "objective", "more"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_dpo_equals_trl(twins: Callable[..., Twins], kind: str, objective: Dpo, more: dict[str, Any]) -> None:
    """The loss of a batch and every weight's gradient, fp32, to 1e-5, the reference another model."""
    from trl import DPOTrainer

    policy, reference = twins(1), twins(2)
    pairs = pairs_of(SIZES)
    self = trl_dpo(policy.theirs, kind, reference.theirs, **more)
    theirs = DPOTrainer._compute_loss(self, policy.theirs, batch_of(pairs), False)
    theirs.backward()
    found = objective(policy.ours, pack_pairs(with_reference(reference.ours, pairs)))
    found["total"].backward()
    torch.testing.assert_close(found["total"], theirs, atol=1e-5, rtol=1e-5)
    policy.same_gradients()
    metrics = {name: values[-1] for name, values in self._metrics["train"].items()}
    assert found["accuracy"].item() == pytest.approx(metrics["rewards/accuracies"]) or kind in (
        "ipo",
        "sigmoid_norm",
    )
    told = self.beta * (found["chosen"] - found["rejected"]).item()
    assert told == pytest.approx(metrics["rewards/margins"], abs=1e-4)


def test_smoothed_labels_equal_trl(twins: Callable[..., Twins]) -> None:
    """trl 1.16 keeps conservative DPO under aot_unpaired, which sorts a batch: alone, a pair is sorted."""
    from trl import DPOTrainer

    policy, reference = twins(1), twins(2)
    for pair in pairs_of(SIZES):
        self = trl_dpo(policy.theirs, "aot_unpaired", reference.theirs, label_smoothing=0.2)
        theirs = DPOTrainer._compute_loss(self, policy.theirs, batch_of([pair]), False)
        known = pack_pairs(with_reference(reference.ours, [pair]))
        ours = Dpo(0.1, label_smoothing=0.2)(policy.ours, known)["total"]
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def trl_orpo(model: nn.Module, pairs: list[ExamplePair], weight: float) -> Tensor:
    from trl.experimental.orpo import ORPOTrainer

    batch = {}
    for side in ("chosen", "rejected"):
        tokens, _, mask = padded([getattr(pair, side) for pair in pairs])
        counted, _, _ = padded([Example(e.counted, e.counted) for e in (getattr(p, side) for p in pairs)])
        batch[f"{side}_input_ids"] = tokens
        batch[f"{side}_attention_mask"] = mask.long()
        batch[f"{side}_labels"] = tokens.where(counted.bool(), IGNORE)
    self = SimpleNamespace(
        beta=weight,
        accelerator=accelerator(),
        is_encoder_decoder=False,
        padding_value=0,
        aux_loss_enabled=False,
    )
    for name in ("concatenated_inputs", "get_batch_logps"):
        setattr(self, name, getattr(ORPOTrainer, name))
    for name in ("concatenated_forward", "odds_ratio_loss"):
        setattr(self, name, getattr(ORPOTrainer, name).__get__(self))
    return ORPOTrainer.get_batch_loss_metrics(self, model, batch)[0]


def test_orpo_equals_trl(twins: Callable[..., Twins]) -> None:
    """Chosen documents of one length, since trl's mean is over the batch's tokens and ours over pairs."""
    policy = twins(1)
    pairs = pairs_of(EVEN)
    theirs = trl_orpo(policy.theirs, pairs, 0.3)
    theirs.backward()
    ours = Orpo(0.3, prompt=True)(policy.ours, pack_pairs(pairs))["total"]
    ours.backward()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    policy.same_gradients()


def trl_reward(model: nn.Module, pairs: list[ExamplePair], centring: float | None) -> Tensor:
    from trl import RewardTrainer

    batch = batch_of(pairs)
    batch.pop("completion_mask")
    self = SimpleNamespace(
        model=model,
        accelerator=accelerator(),
        args=SimpleNamespace(center_rewards_coefficient=centring),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
    )
    return RewardTrainer.compute_loss(self, model, batch)


@pytest.mark.parametrize("centring", [0.0, 0.05])
def test_reward_equals_trl(twins: Callable[..., Twins], centring: float) -> None:
    policy = twins(1, head=True)
    pairs = pairs_of(SIZES)
    theirs = trl_reward(policy.theirs, pairs, centring or None)
    theirs.backward()
    ours = Reward(centring)(policy.ours, pack_pairs(pairs))["total"]
    ours.backward()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    policy.same_gradients()


@pytest.mark.parametrize("method", ["dpo", "ipo", "orpo", "reward"])
def test_ten_steps_follow_trl(twins: Callable[..., Twins], method: str) -> None:
    """The loss curve of ten AdamW steps, a new batch each, within 1e-4: ours in our loop, two micro-batches a
    step, theirs in torch's own few lines."""
    from trl import DPOTrainer

    policy = twins(3, head=method == "reward")
    batches = [pairs_of(EVEN + EVEN[:1], seed) for seed in range(10)]
    if method in ("dpo", "ipo"):
        batches = [with_reference(policy.ours, pairs) for pairs in batches]
    kind = "sigmoid" if method == "dpo" else method
    objectives = {"orpo": Orpo(0.3, prompt=True), "reward": Reward()}
    objective: Any = objectives.get(method) or Dpo(0.1, kind)
    config = TrainConfig(steps=10, rate=2e-3, warmup=0, floor=1.0, decay=0.0, clip=1.0)
    state = begin(policy.ours, config)
    ours = [
        point.losses["total"]
        for point in run(
            state, config, lambda n: [pack_pairs(batches[n][:1]), pack_pairs(batches[n][1:])], objective
        )
    ]
    theirs = []
    optimizer = torch.optim.AdamW(policy.theirs.parameters(), lr=2e-3, betas=config.betas, weight_decay=0.0)
    for pairs in batches:
        if method == "orpo":
            loss = trl_orpo(policy.theirs, pairs, 0.3)
        elif method == "reward":
            loss = trl_reward(policy.theirs, pairs, None)
        else:
            loss = DPOTrainer._compute_loss(
                trl_dpo(policy.theirs, kind), policy.theirs, batch_of(pairs), False
            )
        loss.backward()
        nn.utils.clip_grad_norm_(policy.theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        theirs.append(loss.item())
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-4
    assert max(ours) - min(ours) > 1e-3, "a curve that stands still proves little"


def test_a_row_holds_the_chosen_answers_first(twins: Callable[..., Twins]) -> None:
    """Log-probabilities from the row are those of each document read alone, and lengths those of answers."""
    model, pairs = twins().ours, pairs_of(SIZES)
    row = pack_pairs(pairs)
    assert row.weight == 3
    assert answer_lengths(row).tolist() == [4, 6, 5, 7, 2, 5]
    alone = [
        pack([example]) for side in ("chosen", "rejected") for example in (getattr(p, side) for p in pairs)
    ]
    expected = torch.stack([row_logprobs(model, each).sum() for each in alone])
    torch.testing.assert_close(per_document(row_logprobs(model, row), row.bounds), expected)
    known = with_reference(model, pairs, budget=1)
    torch.testing.assert_close(pack_pairs(known).reference, expected.detach())
    chosen, rejected = halves(expected.detach())
    assert [pair.reference for pair in known] == [
        pytest.approx(each) for each in zip(chosen.tolist(), rejected.tolist(), strict=True)
    ]
    assert pack_pairs([known[0], pairs[1]]).reference is None, "half a reference is none"
    with pytest.raises(ValueError, match="both answers need a token, got 4 and 0"):
        ExamplePair(pairs[0].chosen, Example((1, 2), (True, False)))


def test_prompts_may_count() -> None:
    """Of the chosen half only, and never across documents."""
    pairs = pack_pairs(pairs_of(EVEN))
    targets = with_prompts(pairs)
    half = pairs.bounds[3]
    assert torch.equal(targets[half:], pairs.targets[half:])
    for start, end in zip(pairs.bounds[:3], pairs.bounds[1:4], strict=True):
        assert targets[start:end].tolist() == [*pairs.tokens[start + 1 : end].tolist(), IGNORE]


def test_the_reference_through_the_adapters(twins: Callable[..., Twins]) -> None:
    """Kept before training or computed without the adapters, it is the same, dropout or not."""
    model = twins().ours
    pairs = pairs_of(SIZES)
    known = with_reference(model, pairs)
    add_lora(model, LoRAConfig(r=2, dropout=0.5), seed=3)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad and name.endswith(".b"):
                value.normal_(std=0.2)
    model.eval()
    assert with_reference(model, pairs) == known, "an adapter is no part of the reference"
    kept, computed = (Dpo(0.1)(model, pack_pairs(each)) for each in (known, pairs))
    assert kept["total"].item() == pytest.approx(computed["total"].item(), abs=1e-6)
    assert abs(kept["chosen"].item()) > 1e-2, "an adapter that does nothing proves nothing"
    model.train()
    assert torch.equal(Dpo().reference(model, pack_pairs(pairs)), pack_pairs(known).reference)
    assert model.training
    assert model.blocks[0].attention.query.training


def test_no_reference_is_said(twins: Callable[..., Twins]) -> None:
    model, pairs = twins().ours, pack_pairs(pairs_of(SIZES))
    with pytest.raises(HandbookError, match=r"embed.weight and .* others train beside them"):
        Dpo()(model, pairs)
    with pytest.raises(HandbookError, match="it has none"):
        Dpo()(model.requires_grad_(False), pairs)
    free = Dpo(reference_free=True)(model, pairs)
    known = replace(pairs, reference=torch.zeros(6))
    assert free["total"].item() == pytest.approx(Dpo()(model, known)["total"].item())


def test_rows_of_pairs_train(twins: Callable[..., Twins]) -> None:
    """Through the loop with LoRA and cached references the margin of pairs it trains on rises."""
    model = twins().ours
    pairs = with_reference(model, pairs_of(SIZES + EVEN))
    add_lora(model, LoRAConfig(r=4), seed=0)
    rows = Rows(pairs, pack_pairs, budget=40, micros=2)
    config = TrainConfig(steps=12, rate=2e-2, warmup=0, decay=0.0)
    points = list(run(begin(model, config), config, rows, Dpo(0.5)))
    assert points[0].losses["margin"] == pytest.approx(0, abs=1e-5)
    assert points[0].losses["total"] == pytest.approx(0.6931, abs=1e-4)
    assert points[-1].losses["margin"] > 1


@pytest.mark.parametrize("adapted", [True, False])
def test_a_reward_model_comes_back(twins: Callable[..., Twins], tmp_path: Path, adapted: bool) -> None:
    made = twins()
    pairs = pack_pairs(pairs_of(SIZES))
    if adapted:
        add_lora(made.ours, LoRAConfig(r=2, targets="query"), seed=0)
    model = RewardModel(made.ours)
    assert model(pairs).tolist() == [0.0] * 6, "before training all are equally good"
    config = TrainConfig(steps=3, rate=1e-2, warmup=0)
    list(run(begin(model, config), config, lambda n: [pairs], Reward()))
    rewards = model.eval()(pairs)
    assert rewards.abs().min() > 0
    save_reward(tmp_path / "reward", model, "tiny")
    raw = json.loads((made.folder / "config.json").read_text(encoding="utf-8"))
    again = load_reward(tmp_path / "reward", from_hf(raw, made.folder))
    assert torch.equal(again(pairs), rewards)
    other = RewardModel(from_hf(raw, made.folder))
    other.load_state_dict({"head.weight": model.head.weight}, strict=False)
    assert not torch.allclose(other(pairs), rewards), "what the decoder learned matters"


def test_a_broken_reward_model_is_said(twins: Callable[..., Twins], tmp_path: Path) -> None:
    model = RewardModel(twins().ours.requires_grad_(False))
    with pytest.raises(HandbookError, match="trained with a RewardModel, got a Transformer"):
        Reward()(model.backbone, pack_pairs(pairs_of(SIZES)))
    save_reward(tmp_path, model)
    (tmp_path / "reward.json").write_text('{"format": "other"}')
    with pytest.raises(CheckpointError, match=r"should be a handbook.reward/1, and is 'other'"):
        load_reward(tmp_path, model.backbone)
    save_reward(tmp_path, model)
    model.head = nn.Linear(8, 1, bias=False)
    save_reward(tmp_path, model)
    with pytest.raises(CheckpointError, match=r"head.weight \[1, 8\] has no place, \[1, 32\] does"):
        load_reward(tmp_path, model.backbone)
    (tmp_path / "reward.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="can't be read"):
        load_reward(tmp_path, model.backbone)


def test_margins_by_the_plain_way(twins: Callable[..., Twins]) -> None:
    """Each answer read alone with all its logits, log-probabilities and divergence written out."""
    policy, reference = twins(1).ours, twins(2).ours
    sizes = [*SIZES, *EVEN, (3, 12, 9), (3, 9, 12)]
    pairs = pairs_of(sizes)
    sides: dict[str, list[Tensor]] = defaultdict(list)
    kl, tokens = 0.0, 0
    for pair in pairs:
        for side in ("chosen", "rejected"):
            example = getattr(pair, side)
            ids, prompt = torch.tensor(example.tokens), example.counted.index(True)
            logs = [m(ids[None])[0, prompt - 1 : -1].log_softmax(-1) for m in (policy, reference)]
            ours, theirs = (log.gather(1, ids[prompt:, None]).sum() for log in logs)
            sides[side].append(ours - theirs)
            sides[f"{side} whole"].append(ours)
            sides[f"{side} mean"].append(ours / example.weight)
            kl += (logs[0].exp() * (logs[0] - logs[1])).sum().item()
            tokens += example.weight
    chosen, rejected = torch.stack(sides["chosen"]), torch.stack(sides["rejected"])
    found = held_out_pairs(policy, pairs, reference, budget=30)
    assert found.pairs == 8
    assert found.accuracy == pytest.approx((chosen > rejected).float().mean().item())
    chosen_whole, rejected_whole = (torch.stack(sides[f"{side} whole"]) for side in ("chosen", "rejected"))
    by_token = torch.stack(sides["chosen mean"]) > torch.stack(sides["rejected mean"])
    whole = chosen_whole > rejected_whole
    assert by_token.float().mean() != whole.float().mean(), "else means and sums are not told apart"
    assert found.likelier == pytest.approx(by_token.float().mean().item())
    assert 0 < found.accuracy < 1
    assert found.margin == pytest.approx((chosen - rejected).mean().item(), abs=1e-4)
    assert (found.chosen, found.rejected) == pytest.approx(
        (chosen.mean().item(), rejected.mean().item()), abs=1e-4
    )
    assert found.kl == pytest.approx(kl / tokens, rel=1e-4)
    apart = torch.tensor([float(c - r) for _, c, r in sizes])
    assert found.longer_chosen == pytest.approx(apart.mean().item())
    assert found.longer == pytest.approx(((chosen - rejected).sign() * apart).mean().item())


def test_margins_of_the_reference_are_none(twins: Callable[..., Twins]) -> None:
    model, pairs = twins().ours, pairs_of(SIZES)
    found = held_out_pairs(model, pairs, model)
    assert (found.accuracy, found.margin, found.kl, found.longer) == (0.5, 0.0, 0.0, 0.0)
    add_lora(model, LoRAConfig(r=2), seed=0)
    assert held_out_pairs(model, pairs).kl == pytest.approx(0, abs=1e-6), "B begins at zero"
    with pytest.raises(ValueError, match="no pairs"):
        held_out_pairs(model, [])
