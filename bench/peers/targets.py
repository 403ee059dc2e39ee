"""The figures that were promised, from what was found; those that nothing was measured for are left out."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

OUT, DECODE, PREFILL = "output_tokens_per_s", "decode_tokens_per_s", "prefill_tokens_per_s"
LLAMA = ("llama-Q4_0", "llama-Q4_1", "llama-Q8_0", "llama-BF16")
Found = Mapping[str, Any]


def compare(found: Found) -> list[dict[str, Any]]:
    """Rows of figure, value and target."""
    rows = []
    for figure, target, value in _figures(found):
        try:
            rows.append({"figure": figure, "value": value(), "target": target})
        except KeyError:
            continue
    return rows


def _figures(found: Found) -> Iterator[tuple[str, str, Callable[[], float]]]:
    def median(part: str, work: str, side: str, key: str) -> float:
        value: float = found[part][work][side][key]["median"]
        return value

    def over(part: str, work: str, key: str, theirs: str) -> Callable[[], float]:
        return lambda: median(part, work, "handbook", key) / median(part, work, theirs, key)

    def best(sides: Found, key: str, forms: tuple[str, ...] = LLAMA) -> float:
        values = [sides[form][key]["median"] for form in forms if form in sides]
        if not values:
            raise KeyError(forms)
        return float(max(values))

    def over_llama(
        work: str, key: str, part: str = "batch", forms: tuple[str, ...] = LLAMA
    ) -> Callable[[], float]:
        return lambda: median(part, work, "handbook", key) / best(found[part][work], key, forms)

    yield "output tokens/s at 32 over vllm", "1.6 (2.0)", over("batch", "32", OUT, "vllm")
    yield "output tokens/s at 32 over llama.cpp's best", "3.4 (4.2)", over_llama("32", OUT)
    yield "decode at 8 over llama.cpp's best", "1.9 (2.2)", over_llama("8", DECODE)
    yield "decode at 1 over llama.cpp Q4", "0.85 (1.05)", over_llama("1", DECODE, forms=LLAMA[:2])
    yield "decode at 1 over vllm", "3.5", over("batch", "1", DECODE, "vllm")
    yield (
        "decode at 1, copied text with lookup, over llama.cpp's best",
        "1.5",
        lambda: found["copying"]["handbook, lookup"][DECODE]["median"] / best(found["copying"], DECODE),
    )
    yield "mixed stream over transformers", "6", over("saturation", "mixed", OUT, "transformers")
    yield "mixed stream over vllm", "1.5", over("saturation", "mixed", OUT, "vllm")
    for count, target in (("1", "0.8"), ("32", "0.5")):
        yield (
            f"share of the roof at {count}",
            target,
            lambda count=count: found["roof"][count]["roof_share"]["median"],  # type: ignore[misc]
        )
    for length in ("512", "1024"):
        yield f"prefill of {length} over vllm", "1.25 (1.7)", over("prefill", length, PREFILL, "vllm")
        yield f"prefill of {length} over llama.cpp's best", "4", over_llama(length, PREFILL, "prefill")
    yield (
        "start to first token over vllm",
        "0.1",
        lambda: found["start"]["handbook"]["first_token_s"] / found["start"]["vllm"]["first_token_s"],
    )
    yield "time outside kernels at 32", "0.1 (0.05)", lambda: found["roof"]["32"]["outside_kernels"]["median"]
    yield "resident MiB at 32", "800", lambda: median("batch", "32", "handbook", "resident") / 2**20
    yield "cache wasted by pages", "0.04", lambda: found["switches"]["cache"]["page_waste"]
    yield "cache wasted by reservation", "", lambda: found["switches"]["cache"]["reservation_waste"]
    yield (
        "TTFT p99 at 0.7 load, chunked over whole",
        "0.5",
        lambda: (
            median("switches", "chunking", "chunked", "ttft_p99_s")
            / median("switches", "chunking", "whole", "ttft_p99_s")
        ),
    )
    yield (
        "shared prefix, cache on over off",
        "2",
        lambda: median("switches", "prefix", "shared", OUT) / median("switches", "prefix", "alone", OUT),
    )
