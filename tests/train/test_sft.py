"""Supervised fine-tuning equals trl's: the loss, every gradient, and ten steps of the curve."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from handbook.model.families import family_of
from handbook.model.load import from_hf
from handbook.train.examples import Example
from handbook.train.forward import FAST
from handbook.train.fused import Fused
from handbook.train.kernels.twin import Twin
from handbook.train.loop import TrainConfig, begin, run
from handbook.train.lora import LoRAConfig, add_lora
from handbook.train.packing import IGNORE, Packed, pack
from handbook.train.sft import Sft, sft_loss

pytestmark = [  # of trl itself, which asks transformers by names that it gives up
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing:FutureWarning"),
]
TINY = {
    "vocab_size": 67,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}
SIZES = ((3, 9), (6, 2), (1, 12), (8, 8))  # prompt, answer
STEPS = 10


def examples(seed: int) -> list[Example]:
    random = torch.Generator().manual_seed(seed)
    return [
        Example(
            tuple(torch.randint(1, 67, (prompt + answer,), generator=random).tolist()),
            (False,) * prompt + (True,) * answer,
        )
        for prompt, answer in SIZES
    ]


def test_the_mean_of_what_counts() -> None:
    targets = torch.tensor([3, IGNORE, 5])
    assert sft_loss(torch.tensor([-1.0, 0.0, -3.0]), targets).item() == 2.0
    with pytest.raises(ValueError, match="no target counts"):
        sft_loss(torch.zeros(2), torch.full((2,), IGNORE))


class Theirs:
    """trl's SFTTrainer on the examples of seeds 0 and 1 in turns; a batch is those of one seed."""

    def __init__(self, folder: Path, adapter: Any = None) -> None:
        from datasets import Dataset
        from tokenizers import Tokenizer, models
        from torch.utils.data import SequentialSampler
        from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
        from trl import SFTConfig, SFTTrainer

        class InOrder(SFTTrainer):
            def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
                return SequentialSampler(self.train_dataset)

        torch.manual_seed(3)
        config = AutoConfig.for_model("llama", **TINY)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.normal_(mean=1.0 if "norm" in name else 0.0, std=0.15)
        model.save_pretrained(folder)
        rows = [
            {
                "input_ids": list(e.tokens),
                "labels": [t if c else IGNORE for t, c in zip(e.tokens, e.counted, strict=True)],
            }
            for seed in range(STEPS)
            for e in examples(seed % 2)
        ]
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
        self.trainer = InOrder(
            model=model,
            args=SFTConfig(
                output_dir=str(folder / "out"),
                per_device_train_batch_size=len(SIZES),
                max_steps=STEPS,
                learning_rate=1e-2,
                lr_scheduler_type="constant",
                optim="adamw_torch",
                weight_decay=0.0,
                max_length=None,
                bf16=False,
                use_cpu=True,
                gradient_checkpointing=False,
                report_to=[],
                logging_steps=1,
                save_strategy="no",
                disable_tqdm=True,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"
            ),
            peft_config=adapter,
        )

    def loss(self) -> torch.Tensor:
        """Of the first batch, and its gradients."""
        self.trainer.model.train()
        batch = next(iter(self.trainer.get_train_dataloader()))
        loss: torch.Tensor = self.trainer.compute_loss(self.trainer.model, batch)
        loss.backward()
        return loss.detach()

    def curve(self) -> list[float]:
        self.trainer.model.zero_grad()
        self.trainer.train()
        return [row["loss"] for row in self.trainer.state.log_history if "loss" in row]


def ours(folder: Path) -> tuple[Any, Any]:
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return from_hf(raw, folder), family_of(raw).table


def curve(model: nn.Module) -> list[float]:
    config = TrainConfig(
        steps=STEPS, rate=1e-2, warmup=0, decay=0.0, betas=(0.9, 0.999), schedule="constant", precision="fp32"
    )

    def batches(step: int) -> list[Packed]:
        return [pack(examples(step % 2))]

    return [point.losses["total"] for point in run(begin(model, config), config, batches, Sft())]


def test_full_fine_tuning_equals_trl(tmp_path: Path) -> None:
    theirs = Theirs(tmp_path)
    model, table = ours(tmp_path)
    model.requires_grad_(True)
    wanted = theirs.loss()
    loss = Sft()(model, pack(examples(0)))["total"]
    loss.backward()
    torch.testing.assert_close(loss.detach(), wanted, atol=1e-5, rtol=1e-5)
    gradients = {name: p.grad for name, p in theirs.trainer.model.named_parameters()}
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradients[table.theirs(name)], atol=1e-5, rtol=1e-5)
    model.zero_grad()
    found, wanted_curve = curve(model), theirs.curve()
    assert found == pytest.approx(wanted_curve, abs=1e-4)
    assert found[-1] < found[0] - 0.5, "it learns, so the curve is no flat line"


def test_lora_over_fused_blocks_equals_trl_over_peft(tmp_path: Path) -> None:
    """The fused path itself, in fp32, from the same factors: gradients to 1e-5, ten steps to 1e-4."""
    from peft import LoraConfig

    theirs = Theirs(tmp_path, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    model, table = ours(tmp_path)
    for path in add_lora(model, LoRAConfig(r=4, alpha=8)):
        layer = model.get_submodule(path)
        name = table.theirs(f"{path}.weight").removesuffix(".weight")
        peer = theirs.trainer.model.base_model.model.get_submodule(name)
        with torch.no_grad():
            peer.lora_B.default.weight.normal_(std=0.05)
            layer.a.copy_(peer.lora_A.default.weight)
            layer.b.copy_(peer.lora_B.default.weight)
        layer.peer = [peer]
    FAST[model] = Fused(model, torch.float32, Twin())
    wanted = theirs.loss()
    loss = Sft()(model, pack(examples(0)))["total"]
    loss.backward()
    torch.testing.assert_close(loss.detach(), wanted, atol=1e-5, rtol=1e-5)
    layers = [m for m in model.modules() if hasattr(m, "peer")]
    assert len(layers) == 14
    for layer in layers:
        pairs = (layer.a, layer.peer[0].lora_A), (layer.b, layer.peer[0].lora_B)
        for factor, peer in pairs:
            torch.testing.assert_close(factor.grad, peer.default.weight.grad, atol=1e-5, rtol=1e-5)
    model.zero_grad()
    found, wanted_curve = curve(model), theirs.curve()
    assert found == pytest.approx(wanted_curve, abs=1e-4)
    assert found[-1] < found[0] - 0.5
