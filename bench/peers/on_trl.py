"""trl's SFTTrainer and DPOTrainer over a peft adapter: one optimizer step for each line that comes in.

The first line out says what the side is, then one a step: {"seconds", "cpu", "loss", "resident", "peak"}. A
step is what lies between the trainer's own on_step_begin and on_step_end: forward, backward, clipping,
optimizer; what collates the batch is before it and isn't counted. cpu: seconds of all its threads.
"""

import json
import sys
import tempfile
import warnings
from argparse import ArgumentParser, Namespace
from time import perf_counter, process_time
from typing import Any

from memory import peak, resident


def dataset(options: Namespace) -> Any:
    """Rows of token ids without end, as trl takes them when they are tokenized already."""
    from datasets import Dataset
    from steps import pairs, texts

    rows: list[dict[str, Any]] = []
    for step in range(options.steps):
        if options.method == "sft":
            rows += [{"input_ids": ids} for ids in texts(options, step)]
        else:
            names = ("prompt_ids", "chosen_ids", "rejected_ids")
            rows += [dict(zip(names, pair, strict=True)) for pair in pairs(options, step)]
    return Dataset.from_list(rows)


def trainer_of(options: Namespace, folder: str, callback: Any) -> Any:
    import torch
    from peft import LoraConfig
    from tokenizers import Tokenizer, models
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    torch.set_num_threads(options.threads)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 2}, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
    common: dict[str, Any] = {
        "output_dir": folder,
        "per_device_train_batch_size": options.batch,
        "max_steps": options.steps,
        "learning_rate": options.rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "bf16": options.precision == "autocast",
        "gradient_checkpointing": options.checkpointing,
        "torch_compile": options.compile,
        "use_cpu": True,
        "report_to": [],
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "max_length": None,
        "dataset_num_proc": None,
        "seed": 0,
    }
    lora = LoraConfig(r=options.r, lora_alpha=2 * options.r, lora_dropout=0.0, target_modules="all-linear")
    kind, config = (SFTTrainer, SFTConfig) if options.method == "sft" else (DPOTrainer, DPOConfig)

    class Ready(kind):  # type: ignore[misc, valid-type]
        """With data that are tokenized and in order."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    return Ready(
        model=model,
        args=config(**common),
        train_dataset=dataset(options),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[callback],
    )


def main() -> None:
    from steps import arguments

    parser = arguments(ArgumentParser(description=__doc__))
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    out = sys.stdout
    sys.stdout = sys.stderr  # trl prints its logs
    warnings.simplefilter("ignore")

    from transformers import TrainerCallback

    class Asked(TrainerCallback):  # type: ignore[misc]
        """Waits for a line before each step, and tells of it after."""

        began = worked = seconds = cpu = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not sys.stdin.readline():
                raise SystemExit(0)
            self.began, self.worked = perf_counter(), process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.seconds, self.cpu = perf_counter() - self.began, process_time() - self.worked

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                told = {"seconds": self.seconds, "cpu": self.cpu, "loss": logs["loss"]}
                print(json.dumps({**told, "resident": resident(), "peak": peak()}), file=out, flush=True)

    import peft
    import transformers
    import trl

    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(options, folder, Asked())
        version = f"trl {trl.__version__}, peft {peft.__version__}, transformers {transformers.__version__}"
        told = {"version": version, "precision": options.precision, "resident": resident(), "peak": peak()}
        trains = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
        print(json.dumps({**told, "trains": trains}), file=out, flush=True)
        trainer.train()


if __name__ == "__main__":
    main()
