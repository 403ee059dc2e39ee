"""transformers' generate in bfloat16, as it is used without a server: whoever waits when a batch has ended
goes into the next one, up to 32, filled up on the left; it lasts until its longest answer is there.

Switches of a run: batch.
"""

from argparse import Namespace
from collections.abc import Sequence
from time import perf_counter, sleep
from typing import Any

from talk import Ask, Times, answer

BATCH = 32


class Transformers:
    def __init__(self, options: Namespace) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(options.threads)
        self.model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16).eval()
        self.model.generation_config.eos_token_id = None
        self.model.generation_config.pad_token_id = 0

    def about(self) -> dict[str, Any]:
        import transformers

        return {"version": f"transformers {transformers.__version__}", "precision": "bf16"}

    def _batch(self, asks: Sequence[Ask], came: list[float]) -> None:
        """Answers them all together; `came` gets the clock at each token."""
        import torch
        from transformers.generation.streamers import BaseStreamer

        class Watcher(BaseStreamer):  # type: ignore[misc]
            def put(self, value: Any) -> None:
                came.append(perf_counter())

            def end(self) -> None:
                pass

        width = max(len(ask.prompt) for ask in asks)
        ids = torch.tensor([[0] * (width - len(ask.prompt)) + list(ask.prompt) for ask in asks])
        mask = torch.tensor([[0] * (width - len(a.prompt)) + [1] * len(a.prompt) for a in asks])
        longest = max(ask.tokens for ask in asks)
        with torch.inference_mode():
            self.model.generate(
                ids, attention_mask=mask, max_new_tokens=longest, do_sample=False, streamer=Watcher()
            )
        del came[0]  # the prompt's

    def run(self, asks: Sequence[Ask], switches: dict[str, Any]) -> dict[str, Any]:
        order = sorted(range(len(asks)), key=lambda n: asks[n].at)
        times: Times = [[] for _ in asks]
        most, start = switches.get("batch", BATCH), perf_counter()
        while order:
            sleep(max(0.0, asks[order[0]].at - (perf_counter() - start)))
            now = perf_counter() - start
            chosen = [n for n in order[:most] if asks[n].at <= now]
            order = order[len(chosen) :]
            came: list[float] = []
            self._batch([asks[n] for n in chosen], came)
            for n in chosen:
                times[n] = [moment - start for moment in came[: asks[n].tokens]]
        return {"times": times}


if __name__ == "__main__":
    answer(Transformers)
