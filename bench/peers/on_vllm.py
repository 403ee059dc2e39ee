"""vLLM, built for processors: its engine in this process, stepped as requests arrive. bfloat16.

Switches are passed over: prefix caching is on, as it is by default, and its cache is emptied before each run.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talk import Ask, answer, drive


class Vllm:
    def __init__(self, options: Namespace) -> None:
        # Left to itself it keeps one core free, and two are all there may be.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", f"0-{options.threads - 1}")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ["VLLM_NO_USAGE_STATS"] = "1"
        from vllm import EngineArgs, LLMEngine

        self.engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=options.model,
                dtype="bfloat16",
                max_model_len=options.context,
                skip_tokenizer_init=True,
                max_num_seqs=256,
                disable_log_stats=True,
            )
        )

    def about(self) -> dict[str, Any]:
        import vllm

        return {"version": f"vllm {vllm.__version__}", "precision": "bf16"}

    def run(self, asks: Sequence[Ask], switches: dict[str, Any]) -> dict[str, Any]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self.engine
        engine.reset_prefix_cache()

        def admit(number: int, ask: Ask) -> None:
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=ask.tokens,
                ignore_eos=True,
                detokenize=False,
                output_kind=RequestOutputKind.DELTA,
            )
            engine.add_request(str(number), {"prompt_token_ids": list(ask.prompt)}, sampling)

        def step() -> dict[int, int]:
            return {int(out.request_id): len(out.outputs[0].token_ids) for out in engine.step()}

        return {"times": drive(asks, admit, step)}


def preload() -> None:
    """Begins this process anew with the OpenMP that vLLM recommends, where its environment has that."""
    library = Path(sys.prefix) / "lib" / "libiomp5.so"
    if library.is_file() and "libiomp5" not in os.environ.get("LD_PRELOAD", ""):
        os.environ["LD_PRELOAD"] = str(library)
        os.execv(sys.executable, [sys.executable, *sys.argv])


if __name__ == "__main__":
    preload()
    answer(Vllm)
