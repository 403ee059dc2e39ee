"""What the lab's sliders ask of the simulator: the same questions as the claims', with other numbers."""

from typing import NamedTuple

import torch

from handbook.engine.kernels.pack import rotate
from handbook.engine.kernels.plain import quantize_rows
from handbook.engine.pages import Pages
from handbook.engine.speculative import best_length, expected_tokens
from handbook.engine.work import Limits
from handbook.lab.serving.simulator import GPU, STEPS, Cost, Story, simulate, simulate_static
from handbook.lab.serving.streams import Job, Lengths, stream

ROOMY = 1 << 15  # pages of 16


def roomy(share: bool = False) -> Pages:
    return Pages(ROOMY, 16, share=share)


class Both(NamedTuple):
    """The same jobs in static batches and continuously, by a clock that counts steps."""

    jobs: list[Job]
    static: Story
    continuous: Story


def batching(count: int, slots: int, spread: float, seed: int = 1) -> Both:
    """Answers around 48 tokens; spread: of their logarithm, 0 for all alike."""
    answers = Lengths(4, 48, 256, spread)
    jobs = stream(count, seed=seed, prompts=Lengths(16, 16, 16, 0.0), answers=answers)
    limits = Limits(tokens=max(4096, slots), running=slots)
    static = simulate_static(jobs, slots, limits, roomy(), STEPS)
    return Both(jobs, static, simulate(jobs, limits, roomy(), STEPS))


class Prefixed(NamedTuple):
    """share: of the prompts' tokens that were found in the cache. first: mean seconds to the first token.
    tokens: given out per second."""

    share: float
    first: float
    tokens: float


def prefixed(shared: int, own: int, count: int, pages: int, keep: bool) -> Prefixed:
    """`count` requests that come ten a second, with `shared` tokens in common of each prompt."""
    lengths = Lengths(own, own, own, 0.0)
    jobs = stream(count, 10.0, seed=4, prompts=lengths, answers=Lengths(16, 32, 64, 0.5), shared=shared)
    story = simulate(jobs, Limits(running=64), Pages(pages, 16, share=keep), GPU)
    firsts = story.firsts()
    found = story.counts.reused / sum(len(job.prompt) for job in jobs)
    return Prefixed(found, sum(firsts) / len(firsts), story.rate)


class Chunked(NamedTuple):
    """chunk: tokens of a step, 0 for whole prompts. gap: longest time between two tokens of those who speak;
    first: seconds to the first token of the long prompt."""

    chunk: int
    gap: float
    first: float


def chunked(length: int, chunk: int, speakers: int = 16, cost: Cost = GPU) -> Chunked:
    """A prompt of `length` tokens comes while others speak."""
    short, steady = Lengths(16, 16, 16, 0.0), Lengths(400, 400, 400, 0.0)
    jobs = stream(speakers, seed=2, prompts=short, answers=steady)
    comes = 100 * cost.step
    long = Job(comes, range(1 << 24, (1 << 24) + length), 1)
    running = speakers + 1
    limits = (
        Limits(tokens=max(chunk, running + 1), running=running)
        if chunk
        else Limits(tokens=length + 1000, running=running, chunked=False)
    )
    story = simulate([*jobs, long], limits, roomy(), cost)
    speaking = (gap for served in story.served[:-1] for gap in served.gaps)
    return Chunked(chunk, max(speaking), story.served[-1].first)


class Drafted(NamedTuple):
    """drafts: k. tokens: expected per step. gain: per second, over none."""

    drafts: int
    tokens: float
    gain: float


def drafted(acceptance: float, cost: float, most: int) -> list[Drafted]:
    """cost: time of one draft, making and reading it, as a share of a step."""
    return [
        Drafted(k, tokens := expected_tokens(acceptance, k), tokens / (1 + cost * k)) for k in range(most + 1)
    ]


def best(acceptance: float, cost: float, most: int) -> int:
    return best_length(acceptance, cost, most)


def rounding_error(outlier: float, turned: bool, width: int = 576, rows: int = 256) -> float:
    """Of Gaussian activations with one channel `outlier` times as large, in 8 bits with a scale for each row:
    root mean square of the error over that of the others' values."""
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    usual = float(x.pow(2).mean().sqrt())
    x[:, 100] *= outlier
    y = rotate(x) if turned else x
    whole, scales = quantize_rows(y)
    error = whole * scales[:, None] - y
    return float(error.pow(2).mean().sqrt()) / usual
